/** Names of things and of files (EVIDENCE.md: principles, sections 1, 2, 4 and 6). */

import { MalformedError } from "../errors.js";
import { concat, fromHex, hex, sha256, utf8 } from "./bytes.js";

export const ID_PATTERN = "[A-Za-z0-9_][A-Za-z0-9._-]{0,63}";
export const EPOCH_PATTERN = "[0-9]{4}-(?:0[1-9]|1[0-2])-[0-9a-f]{4}";
export const SEGMENT_PATTERN = "sg-[0-9a-f]{32}";

const ID = new RegExp(`^${ID_PATTERN}$`);
const EPOCH = new RegExp(`^${EPOCH_PATTERN}$`);
const SEGMENT = new RegExp(`^${SEGMENT_PATTERN}$`);
const DOMAIN = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;
const OWN_NAMES = new Set(["chunks.sha256", "entry.json", "entry.tlog-proof"]);
const DEVICE = /^(?:con|prn|aux|nul|com[1-9]|lpt[1-9])$/;
const NAME_LENGTH = 100;

export const isId = (text) => ID.test(text);
export const isEpoch = (text) => EPOCH.test(text);
export const isSegmentId = (text) => SEGMENT.test(text);
export const isSha256 = (text) => /^[0-9a-f]{64}$/.test(text);

/** Give the id of the segment with this content from this recorder (section 1). */
export function segmentId(recorder, sha256Text) {
  return `sg-${hex(sha256(concat(utf8(recorder), Uint8Array.of(0), fromHex(sha256Text)))).slice(0, 32)}`;
}

/** Take the origin of a log apart into domain, station and epoch. */
export function splitOrigin(origin) {
  const parts = origin.split("/");
  const [domain, station, epoch] = parts;
  if (parts.length !== 3 || !DOMAIN.test(domain) || !isId(station) || !isEpoch(epoch)) {
    throw new MalformedError(`${JSON.stringify(origin)} is no origin DOMAIN/STATION/EPOCH`);
  }
  return { domain, station, epoch };
}

/** Refuse a path that is not relative, or not escaped as section 2 says. */
export function checkPath(path) {
  if (!path || path.startsWith("/")) throw new MalformedError("a path is relative to the root of the card");
  const raw = [];
  const bytes = utf8(path);
  for (let at = 0; at < bytes.length; at += 1) {
    const escaped = bytes[at] === 0x25 && /^[0-9A-F]{2}$/.exec(String.fromCharCode(bytes[at + 1], bytes[at + 2]));
    raw.push(escaped ? parseInt(escaped[0], 16) : bytes[at]);
    if (escaped) at += 2;
  }
  if (/\p{Surrogate}/u.test(path) || escapePath(Uint8Array.from(raw)) !== path) {
    throw new MalformedError("the path is not escaped as section 2 of the evidence format says");
  }
}

/** Write a path: each byte outside valid UTF-8, each control byte and `%` itself become `%XX`. */
export function escapePath(raw) {
  let text = "";
  for (let at = 0; at < raw.length; ) {
    const length = characterAt(raw, at);
    const byte = raw[at];
    if (length === 0 || byte < 0x20 || byte === 0x7f || byte === 0x25) {
      text += `%${hex([byte]).toUpperCase()}`;
      at += 1;
    } else {
      text += new TextDecoder("utf-8", { ignoreBOM: true }).decode(raw.subarray(at, at + length));
      at += length;
    }
  }
  return text;
}

/** Give the length of the UTF-8 character at a place, 0 where none begins. */
function characterAt(raw, at) {
  const length = raw[at] < 0x80 ? 1 : raw[at] < 0xe0 ? 2 : raw[at] < 0xf0 ? 3 : 4;
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(raw.subarray(at, at + length));
  if (text !== "\ufffd" && [...text].length === 1) return length;
  const isReplacement = raw[at] === 0xef && raw[at + 1] === 0xbf && raw[at + 2] === 0xbd;
  return isReplacement ? 3 : 0;
}

/** Derive NAME, the file name of an original in a bundle, from its escaped path (section 6). */
export function bundleName(path) {
  let name = path.slice(path.lastIndexOf("/") + 1).replace(/[^A-Za-z0-9._-]/gu, "_") || "_";
  const lower = name.toLowerCase();
  if (/^[.-]/.test(name) || OWN_NAMES.has(lower) || DEVICE.test(lower.split(".")[0])) name = `_${name}`;
  name = name.replace(/\.$/, "_");
  if (name.length <= NAME_LENGTH) return name;
  const extension = name.includes(".") ? name.slice(name.lastIndexOf(".")) : "";
  if (extension.length >= NAME_LENGTH) return name.slice(0, NAME_LENGTH).replace(/\.$/, "_");
  return name.slice(0, NAME_LENGTH - extension.length) + extension;
}
