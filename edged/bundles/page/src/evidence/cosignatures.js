/**
 * Cosignatures of witnesses: C2SP `tlog-cosignature`, Ed25519 (signature type 0x04).
 *
 * What a witness signs are two lines of its own before the whole text of the checkpoint, so a cosignature fits no other
 * log, size, root or time.
 */

import { MalformedError } from "../errors.js";
import { utf8 } from "./bytes.js";
import { COSIGNATURE, signaturesBy, verifyEd25519 } from "./note.js";

const TIME_BYTES = 8;
const LAST = 253_402_214_400n; // 9999-12-31, in seconds

/**
 * Give the earliest moment at which a witness cosigned a note, among all its signatures; null if none is by it.
 *
 * Throws MalformedError if any that claims to be by it is not: a note with such a line is rejected whole.
 */
export function earliest(note, key) {
  const moments = signaturesBy(note, key).map((each) => verify(each.signature, note.text, key));
  return moments.length === 0 ? null : moments.reduce((one, two) => (two < one ? two : one));
}

/** Give the moment at which a witness cosigned the text of a checkpoint. */
export function verify(signature, text, key) {
  if (key.kind !== COSIGNATURE) throw new MalformedError(`the line is no cosignature by ${key.name}`);
  if (signature.length !== TIME_BYTES + 64) {
    throw new MalformedError(`the cosignature by ${key.name} has ${signature.length} bytes`);
  }
  const seconds = signature.subarray(0, TIME_BYTES).reduce((number, byte) => number * 256n + BigInt(byte), 0n);
  if (!verifyEd25519(signature.subarray(TIME_BYTES), utf8(`cosignature/v1\ntime ${seconds}\n${text}`), key.publicKey)) {
    throw new MalformedError(`the cosignature by ${key.name} is not over this checkpoint`);
  }
  // Zero is how other types of cosignature say that no time is meant.
  if (seconds < 1n || seconds > LAST) throw new MalformedError(`the cosignature by ${key.name} is of no time`);
  return seconds * 1_000_000n;
}
