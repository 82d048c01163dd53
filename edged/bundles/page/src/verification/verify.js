/**
 * From the files of a bundle to a verdict (EVIDENCE.md, section 7): the same questions, in the same order and with the
 * same answers, as `edged verify` asks.
 *
 * Order: place every file by its name; digest the large ones in one pass each; read logs and anchors; examine every
 * entry with its proof; then ask the questions that span several entries. No step trusts an earlier one that failed,
 * and none stops the others: the report always has every check.
 */

import { MalformedError } from "../errors.js";
import { bundleName } from "../evidence/ids.js";
import { readAnchors } from "./anchors.js";
import { checkBag } from "./bag.js";
import { checkChain } from "./chain.js";
import { checkCompleteness } from "./completeness.js";
import { checkCustody, checkDerivatives } from "./custody.js";
import { findings, ofAnchors, shortened } from "./findings.js";
import { checkConsistency } from "./history.js";
import { arrange } from "./layout.js";
import { notProven } from "./limits.js";
import { readLogs } from "./logs.js";
import { MAX_CHUNK_LIST_BYTES, checkBytes } from "./originals.js";
import { Contents } from "./reading.js";
import { Examiner, bodyOf } from "./sealed.js";
import { checkSelection, readTexts } from "./selection.js";

/**
 * Verify a bundle.
 *
 * `files` is {listing(), blob(path)}; `trust` is {roots, tsas, crls: parsed, policy: parsed or null}; `digester` digests
 * blobs; `now` is the moment of verification; `tell(step)` hears of progress. Gives the report with what a page shows
 * besides: `layout`, `sealed` by segment, `custody`, `texts`. Throws UnreadableError where the medium does not give the
 * bytes, or the bundle is larger than can be held in view.
 */
export async function verify(files, trust, { digester, now, tell = () => {} }) {
  const layout = arrange(files.listing());
  const contents = new Contents(files, digester);
  tell("originals");
  const large = [...layout.segments.values()].flatMap((each) => each.originals);
  const digests = await contents.stream([...large, ...layout.derivatives.map((each) => each.path)]);
  tell("logs");
  const logs = await readLogs(layout.logs, contents);
  const anchors = await readAnchors(layout, contents, logs, trust, now);
  tell("entries");
  const examiner = new Examiner(contents, logs, trust, anchors);
  const segments = [];
  for (const each of layout.segments.values()) {
    const place = `data/segments/${each.segment}`;
    segments.push(await examiner.examine(place, each.entry, each.proof, { segment: each.segment }));
  }
  const custody = [];
  for (const each of layout.custody.values()) {
    custody.push(await examiner.examine(each.place, each.entry, each.proof, each));
  }
  tell("bundle");
  const { check: completeness, amiss } = await checkCompleteness(layout, contents, segments, custody);
  const reports = [];
  for (const [at, each] of [...layout.segments.values()].entries()) {
    reports.push(await reportOf(each, segments[at], contents, digests));
  }
  const all = [...segments, ...custody];
  const found = [...amiss, ...(await findings(layout, contents, logs, segments, custody)), ...ofAnchors(anchors, trust)];
  return {
    checks: {
      bag: await checkBag(layout, contents),
      selection: await checkSelection(layout, contents, segments, custody),
      consistency: checkConsistency(logs, all),
      custody: checkCustody(custody),
      derivatives: checkDerivatives(layout, digests, segments, custody),
      chain: checkChain(all),
      completeness,
    },
    segments: reports,
    findings: shortened(found),
    notProven: notProven(trust, reports),
    layout,
    sealed: segments,
    custody,
    texts: await readTexts(layout, contents),
  };
}

/** Judge one segment by its six checks. */
async function reportOf(files, sealed, contents, digests) {
  const original = await originalOf(files, sealed, contents, digests);
  const { check, damage } = checkBytes(original, bodyOf(sealed, "segment"));
  return {
    segment: files.segment,
    name: original?.name ?? null,
    path: original?.path ?? null,
    checks: { bytes: check, ...sealed.checks, time: sealed.time },
    root: sealed.root,
    notBefore: sealed.notBefore,
    notAfter: sealed.notAfter,
    damage,
  };
}

/** Gather what lies in a segment's folder; of several originals the one with the right name. */
async function originalOf(files, sealed, contents, digests) {
  const named = new Map(files.originals.map((path) => [path.slice(path.lastIndexOf("/") + 1), path]));
  if (named.size === 0) return null;
  const body = bodyOf(sealed, "segment");
  const expected = body && bundleName(body.path);
  const name = named.has(expected) ? expected : [...named.keys()][0];
  const path = named.get(name);
  let chunkList = null;
  if (files.chunkList !== null) {
    try {
      chunkList = await contents.small(files.chunkList, MAX_CHUNK_LIST_BYTES);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      chunkList = new Uint8Array(1); // no chunk list, so `checkBytes` says that it is not the sealed one
    }
  }
  const sm3 = body?.sm3 === undefined ? null : await contents.sm3(path);
  return { name, path, digests: digests.get(path), chunkList, sm3 };
}
