/**
 * What verification found: the verdict, every check with its reason, and what stays unproven.
 *
 * `plainReport` gives the object that `edged verify --json` prints (EVIDENCE.md, section 7).
 */

import { rfc3339 } from "../evidence/times.js";
import { Words } from "./words.js";

export const BUNDLE_CHECKS = ["bag", "selection", "consistency", "custody", "derivatives", "chain", "completeness"];
export const SEGMENT_CHECKS = ["bytes", "entry", "inclusion", "signature", "identity", "time"];

/** The checks of the bundle that an overall `verified` needs; the others only can fail it. */
const NEEDED = ["bag", "selection", "consistency", "custody", "derivatives"];
const FROM_WORST = ["failed", "not-established", "verified"];

const check = (verdict, en, zh) => ({ verdict, detail: new Words(en, zh) });

/** Say yes. */
export const verified = (en, zh) => check("verified", en, zh);
/** Say no: something here contradicts something else. */
export const failed = (en, zh) => check("failed", en, zh);
/** Say that what is here decides nothing. */
export const notEstablished = (en, zh) => check("not-established", en, zh);

/** Give the worst of several verdicts; nothing to check is verified. */
export function worst(verdicts) {
  const found = new Set(verdicts);
  return FROM_WORST.find((verdict) => found.has(verdict)) ?? "verified";
}

/** Give the first of the worst checks, or `otherwise` where all are verified. */
export function together(checks, otherwise) {
  const verdict = worst(checks.map((each) => each.verdict));
  if (verdict === "verified") return otherwise;
  const [first, ...more] = checks.filter((each) => each.verdict === verdict);
  if (more.length === 0) return first;
  const rest = new Words(`(${more.length} more like it.)`, `（另有 ${more.length} 处。）`);
  return { verdict, detail: first.detail.plus(rest) };
}

/** Give the worst of a segment's six checks. */
export function verdictOfSegment(segment) {
  return worst(Object.values(segment.checks).map((each) => each.verdict));
}

/** Judge the bundle as a whole. */
export function verdictOf(report) {
  const ofSegments = report.segments.map(verdictOfSegment);
  const ofChecks = Object.values(report.checks).map((each) => each.verdict);
  if ([...ofSegments, ...ofChecks].includes("failed")) return "failed";
  return ofSegments.length > 0 && openChecks(report).size === 0 ? "verified" : "not-established";
}

/** Give the checks that keep the bundle from being verified. */
export function openChecks(report) {
  const named = NEEDED.map((name) => [name, report.checks[name]]);
  for (const segment of report.segments) named.push(...Object.entries(segment.checks));
  return new Set(named.filter(([, each]) => each.verdict !== "verified").map(([name]) => name));
}

/** Give the object that `edged verify --json` prints. */
export function plainReport(report) {
  return {
    verdict: verdictOf(report),
    checks: plainChecks(report.checks),
    segments: report.segments.map((segment) => ({
      segment: segment.segment,
      name: segment.name,
      verdict: verdictOfSegment(segment),
      checks: plainChecks(segment.checks),
      root: segment.root && { subject: segment.root.subject, sha256: segment.root.sha256 },
      not_before: segment.notBefore === null ? null : rfc3339(segment.notBefore),
      not_after: segment.notAfter === null ? null : rfc3339(segment.notAfter),
      damage: segment.damage.map((each) => ({
        chunk: each.chunk,
        from_byte: each.fromByte,
        to_byte: each.toByte,
        from_time: each.fromTime,
        to_time: each.toTime,
      })),
    })),
    findings: report.findings.map((each) => each.en),
    not_proven: report.notProven.map((each) => each.en),
  };
}

function plainChecks(checks) {
  return Object.fromEntries(
    Object.entries(checks).map(([name, each]) => [name, { verdict: each.verdict, detail: each.detail.en }]),
  );
}
