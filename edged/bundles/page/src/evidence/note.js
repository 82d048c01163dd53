/**
 * Signed notes and checkpoints, as C2SP `signed-note`, `tlog-checkpoint` and `tlog-cosignature` have them.
 *
 * A note is accepted only in its exact form: one text, one blank line, signature lines and nothing else. Its text
 * means nothing before `verifyNote` has said yes.
 */

import { ed25519 } from "@noble/curves/ed25519.js";
import { MalformedError } from "../errors.js";
import { concat, equal, fromUtf8, hex, parseBase64, parseDecimal, sha256, toBase64, utf8 } from "./bytes.js";

/** Signature type of a log's own signature. */
export const ED25519 = 0x01;
/** Signature type of a witness's timestamped cosignature. */
export const COSIGNATURE = 0x04;

const MAX_SIGNATURES = 100;
const MAX_BYTES = 1_048_576;
const DASH = "\u2014 ";
const SPACES = /[\t-\r\x1c-\x20\x85\p{Z}]/u;

/** Say whether an Ed25519 signature verifies by RFC 8032, without ZIP-215's leniency. */
export function verifyEd25519(signature, message, publicKey) {
  try {
    return signature.length === 64 && publicKey.length === 32 && ed25519.verify(signature, message, publicKey, { zip215: false });
  } catch {
    return false; // a point that is none
  }
}

/** Compute the key id: first four bytes of SHA-256(name || LF || type || public key). */
export function keyId(name, publicKey, kind = ED25519) {
  return sha256(concat(utf8(`${name}\n`), Uint8Array.of(kind), publicKey)).slice(0, 4);
}

/** Write a raw Ed25519 public key as a verifier key. */
export function vkey(name, publicKey) {
  checkName(name);
  return `${name}+${hex(keyId(name, publicKey))}+${toBase64(concat(Uint8Array.of(ED25519), publicKey))}`;
}

/** Read a verifier key with a 32-byte key (Ed25519 signatures or cosignatures). */
export function parseVkey(text) {
  const [name, number, ...rest] = text.split("+");
  if (rest.length === 0) throw new MalformedError("a verifier key is written NAME+ID+KEY");
  checkName(name);
  const key = parseBase64(rest.join("+"), "the verifier key", 33);
  const [kind, publicKey] = [key[0], key.slice(1)];
  if (kind !== ED25519 && kind !== COSIGNATURE) {
    throw new MalformedError(`verifier keys of type 0x${hex([kind])} are not known`);
  }
  const expected = keyId(name, publicKey, kind);
  if (number !== hex(expected)) throw new MalformedError("the id in the verifier key is not the one of its key");
  return { name, keyId: expected, kind, publicKey };
}

/** Give the key of a log under the name that signs its checkpoints. */
export function logKey(name, publicKey) {
  return parseVkey(vkey(name, publicKey));
}

/** Take the bytes of a note apart; nothing is verified yet. */
export function parseNote(data) {
  if (data.length > MAX_BYTES) throw new MalformedError("the note is longer than a megabyte");
  const whole = fromUtf8(data, "the note");
  checkText(whole);
  const blank = whole.lastIndexOf("\n\n");
  const lines = whole.slice(blank + 2);
  if (blank < 0 || !lines.endsWith("\n")) {
    throw new MalformedError("a note is a text, a blank line and signature lines");
  }
  const signatures = lines.slice(0, -1).split("\n").map(parseSignature);
  if (signatures.length > MAX_SIGNATURES) throw new MalformedError(`the note has more than ${MAX_SIGNATURES} signatures`);
  return { text: whole.slice(0, blank + 1), signatures };
}

/** Give the signature lines that claim to be by `key`. */
export function signaturesBy(note, key) {
  return note.signatures.filter((each) => each.name === key.name && equal(each.keyId, key.keyId));
}

/** Say whether `key` signed the note: it has a signature by it, and each one that claims to be verifies. */
export function verifyNote(note, key) {
  const ours = signaturesBy(note, key);
  return ours.length > 0 && ours.every((each) => verifyEd25519(each.signature, utf8(note.text), key.publicKey));
}

/** Read the text of a checkpoint; extension lines have no place in ours (EVIDENCE.md, section 3). */
export function parseCheckpoint(text) {
  const lines = text.split("\n");
  if (lines.length !== 4 || lines[3]) throw new MalformedError("a checkpoint is three lines: origin, size and root");
  const [origin, size, root] = lines;
  if (!origin) throw new MalformedError("the checkpoint has no origin");
  return {
    origin,
    size: parseDecimal(size, "the size of the checkpoint"),
    root: parseBase64(root, "the root of the checkpoint", 32),
  };
}

function parseSignature(line) {
  const rest = line.slice(DASH.length);
  const space = rest.indexOf(" ");
  if (!line.startsWith(DASH) || space < 0) {
    throw new MalformedError("a signature line is written: dash, key name, base64");
  }
  const name = rest.slice(0, space);
  checkName(name);
  const data = parseBase64(rest.slice(space + 1), "the signature");
  if (data.length <= 4) throw new MalformedError("the signature is too short");
  return { name, keyId: data.slice(0, 4), signature: data.slice(4), line: `${line}\n` };
}

function checkName(name) {
  if (!name || name.includes("+") || SPACES.test(name)) {
    throw new MalformedError(`${JSON.stringify(name)} is no key name: it is empty or holds a space or a plus`);
  }
  checkText(name);
}

function checkText(text) {
  if (/[\0-\x09\x0b-\x1f]/.test(text)) throw new MalformedError("a note holds no control characters but newlines");
  if (/\p{Surrogate}/u.test(text)) throw new MalformedError("a note is UTF-8 and holds no lone surrogate");
}
