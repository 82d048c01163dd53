/**
 * Proofs as text files: C2SP `tlog-proof`, and the body of a `tlog-witness` add-checkpoint request.
 *
 * Both are a few lines, a blank line, and a checkpoint verbatim, which is given back as the bytes that stood there.
 */

import { MalformedError } from "../errors.js";
import { blankLine, parseBase64, parseDecimal } from "./bytes.js";

const PROOF = "c2sp.org/tlog-proof@v1";
const MAX_HASHES = 63; // no path in a tree of fewer than 2^63 leaves is longer

/** Read a `tlog-proof`; extra data, which nothing authenticates, is passed over. */
export function parseProof(data) {
  const { lines, checkpoint } = split(data);
  if (lines.shift() !== PROOF) throw new MalformedError(`the proof does not begin with ${PROOF}`);
  if (lines[0]?.startsWith("extra ")) parseBase64(lines.shift().slice("extra ".length), "the extra data");
  const index = number(lines, "index ", "the index of the proof");
  return { index, hashes: hashes(lines), checkpoint };
}

/** Read the body of a `tlog-witness` add-checkpoint request. */
export function parseConsistency(data) {
  const { lines, checkpoint } = split(data);
  const old = number(lines, "old ", "the old size of the proof");
  return { old, hashes: hashes(lines), checkpoint };
}

function split(data) {
  const blank = blankLine(data);
  if (blank < 0 || blank + 2 >= data.length) {
    throw new MalformedError("a proof is some lines, a blank line and a checkpoint");
  }
  const head = data.subarray(0, blank);
  if (head.some((byte) => byte > 0x7f)) throw new MalformedError("the proof is not ASCII");
  return { lines: String.fromCharCode(...head.subarray(0, 1 << 16)).split("\n"), checkpoint: data.slice(blank + 2) };
}

function number(lines, prefix, what) {
  if (!lines[0]?.startsWith(prefix)) throw new MalformedError(`${what} is missing`);
  return parseDecimal(lines.shift().slice(prefix.length), what);
}

function hashes(lines) {
  if (lines.length > MAX_HASHES) throw new MalformedError(`the proof has more than ${MAX_HASHES} hashes`);
  return lines.map((line) => parseBase64(line, "a hash of the proof", 32));
}
