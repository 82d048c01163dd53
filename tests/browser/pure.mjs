// Answers for the page's pure modules, asked line by line: {"call": name, "with": argument} in, the answer or {"refused"} out.

import { createInterface } from "node:readline";
import { MalformedError } from "../../edged/bundles/page/src/errors.js";
import { fromHex, hex, parseBase64, parseDecimal } from "../../edged/bundles/page/src/evidence/bytes.js";
import { decode, encode } from "../../edged/bundles/page/src/evidence/canonical.js";
import { parseEntry } from "../../edged/bundles/page/src/evidence/entry.js";
import { bundleName, checkPath, escapePath, segmentId, splitOrigin } from "../../edged/bundles/page/src/evidence/ids.js";
import { isNamedAsMedia } from "../../edged/bundles/page/src/evidence/media_names.js";
import { leafHash, verifyConsistency, verifyInclusion } from "../../edged/bundles/page/src/evidence/merkle.js";
import { parseNote } from "../../edged/bundles/page/src/evidence/note.js";
import { parsePolicy } from "../../edged/bundles/page/src/evidence/policy.js";
import { meaning } from "../../edged/bundles/page/src/verification/anomalies.js";
import { clockCourses } from "../../edged/bundles/page/src/verification/findings.js";
import { printable, signedSeconds } from "../../edged/bundles/page/src/verification/words.js";
import { timeAt } from "../../edged/bundles/page/src/verification/originals.js";

const many = (hashes) => hashes.map(fromHex);

const CALLS = {
  canonical: (data) => hex(encode(decode(fromHex(data)))),
  entry: (data) => parseEntry(fromHex(data)).type,
  note: (data) => parseNote(fromHex(data)).signatures.map((each) => [each.name, hex(each.keyId), hex(each.signature)]),
  policy: (data) => [...parsePolicy(fromHex(data)).witnesses.keys()],
  base64: (text) => hex(parseBase64(text, "it")),
  decimal: (text) => String(parseDecimal(text, "it")),
  escape: (data) => escapePath(fromHex(data)),
  path: (path) => checkPath(path) ?? "a path",
  name: (path) => bundleName(path),
  media: (path) => isNamedAsMedia(path),
  segment: ([recorder, sha256]) => segmentId(recorder, sha256),
  origin: (origin) => Object.values(splitOrigin(origin)),
  printable: (text) => printable(text),
  meaning: (body) => {
    const words = meaning(decode(new TextEncoder().encode(JSON.stringify(body))));
    return words && [words.en, words.zh];
  },
  signed: (ms) => signedSeconds(ms),
  courses: (entries) => clockCourses(entries.map((data) => parseEntry(fromHex(data)))).map(({ en, zh }) => [en, zh]),
  timeAt: ([sealed, byte]) => timeAt(sealed, byte),
  inclusion: ([index, size, leaf, proof, root]) =>
    verifyInclusion(BigInt(index), BigInt(size), leafHash(fromHex(leaf)), many(proof), fromHex(root)),
  consistency: ([old, size, proof, oldRoot, root]) =>
    verifyConsistency(BigInt(old), BigInt(size), many(proof), fromHex(oldRoot), fromHex(root)),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call, with: argument } = JSON.parse(line);
  let answer;
  try {
    answer = { is: CALLS[call](argument) };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    answer = { refused: true };
  }
  console.log(JSON.stringify(answer));
}
