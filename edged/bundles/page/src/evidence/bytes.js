/** Bytes, and the texts that stand for them: exactly one spelling is accepted for each value. */

import { sha256 } from "@noble/hashes/sha2.js";
import { MalformedError } from "../errors.js";

const STRICT = { fatal: true, ignoreBOM: true };
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const MAX_SIZE = (1n << 63n) - 1n;

export { sha256 };

export function hex(bytes) {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

export function fromHex(text) {
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

export function sha256Hex(bytes) {
  return hex(sha256(bytes));
}

export function utf8(text) {
  return new TextEncoder().encode(text);
}

/** Read UTF-8 strictly; a byte order mark is a character like any other. */
export function fromUtf8(bytes, what = "the text") {
  try {
    return new TextDecoder("utf-8", STRICT).decode(bytes);
  } catch {
    throw new MalformedError(`${what} is not UTF-8`);
  }
}

export function concat(...pieces) {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

export function equal(one, two) {
  return one.length === two.length && one.every((byte, at) => byte === two[at]);
}

export function startsWith(whole, beginning) {
  return whole.length >= beginning.length && equal(whole.subarray(0, beginning.length), beginning);
}

/** Give the place of two newlines in a row, -1 without any. */
export function blankLine(bytes) {
  return bytes.findIndex((byte, at) => byte === 10 && bytes[at + 1] === 10);
}

export function toBase64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Read standard base64 in its one canonical spelling, of `length` bytes if given. */
export function parseBase64(text, what, length) {
  let data;
  try {
    data = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new MalformedError(`${what} is no base64: ${short(text)}`);
  }
  if (toBase64(data) !== text) {
    throw new MalformedError(`${what} is not in the one canonical base64 spelling: ${short(text)}`);
  }
  if (length !== undefined && data.length !== length) {
    throw new MalformedError(`${what} has ${data.length} bytes instead of ${length}`);
  }
  return data;
}

/** Read an ASCII decimal without leading zeroes, at most 2^63 - 1, as a BigInt. */
export function parseDecimal(text, what) {
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(text) || BigInt(text) > MAX_SIZE) {
    throw new MalformedError(`${what} is no decimal number: ${short(text)}`);
  }
  return BigInt(text);
}

function short(text) {
  return JSON.stringify(text.length <= 40 ? text : `${text.slice(0, 40)}…`);
}
