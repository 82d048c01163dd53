/**
 * Findings: what the evidence itself says and a reader should know; and what no check can show.
 *
 * A finding fails nothing: a gap in the footage or a quarantined file is what the recorder left, stated openly.
 */

import { hex, sha256Hex } from "../evidence/bytes.js";
import { media } from "../evidence/bodies.js";
import { bundleName } from "../evidence/ids.js";
import { isNamedAsMedia } from "../evidence/media_names.js";
import { isoformat, parseInstant, rfc3339 } from "../evidence/times.js";
import { meaning } from "./anomalies.js";
import { bodyOf } from "./sealed.js";
import { Words, byCodePoints, signedSeconds, some, sorted } from "./words.js";

const CLOCK_TOLERANCE_MS = 3_000; // a day's drift that GA/T 947 allows a recorder
const CLOCK_SET_MS = 2_000n; // a clock that was just set is right to that: it counts whole seconds
const DAY_MS = 86_400_000n;
const CAMERA_GAP = 1_000_000n; // microseconds; segments join within 0.04 s, file names count whole seconds
const MOST = 1_000;
const NAMED = 5;

/** Give what the entries here say that a reader should not miss. */
export async function findings(layout, contents, logs, segments, custody) {
  const sealed = segments.filter((each) => bodyOf(each, "segment"));
  const bodies = sealed.map((each) => each.entry.body);
  return [
    ...sealed.flatMap((each) => ofSegment(each.entry.body, each.entry.moment)),
    ...unreadable(bodies),
    ...unsynchronised(segments.flatMap((each) => each.entry ?? [])),
    ...cameraGaps(bodies),
    ...custody.flatMap((each) => (each.entry ? ofCustody(each.entry.type, each.entry.body, rfc3339(each.entry.moment)) : [])),
    ...clockCourses(custody.flatMap((each) => each.entry ?? [])),
    ...(await absentTokens(layout, contents, logs, custody)),
    ...lateProofs(layout, logs, [...segments, ...custody]),
  ];
}

/** Give what a reader should know of the anchors and of whom they come from. */
export function ofAnchors(anchors, trust) {
  const found = [];
  if (anchors.unreadable.length > 0) {
    const names = some(anchors.unreadable);
    found.push(new Words(`No token, or not whose one can tell: ${names}.`, `不是令牌，或无法得知出自何处：${names}。`));
  }
  const stations = new Set(trust.roots.map((root) => hex(root.key.spki)));
  for (const root of trust.tsas) {
    if (!stations.has(hex(root.key.spki))) continue;
    const name = root.subjectText;
    found.push(
      new Words(
        `The time-stamping root ${name} shares its key with a root of stations: the time is not from outside.`,
        `时间戳根证书 ${name} 与所给采集站根证书密钥相同：时间并非来自站外。`,
      ),
    );
  }
  return found;
}

function ofSegment(segment, sealedAt) {
  const found = [];
  const name = segment.segment;
  if (segment.quarantine !== null) {
    const { code, unreadable } = segment.quarantine;
    const ranges = some(unreadable.map(([start, end]) => `${start}–${end}`));
    found.push(
      new Words(
        `${name} (${segment.path}) is in quarantine (${code})${ranges ? `; unreadable bytes: ${ranges}` : ""}.`,
        `${name}（${segment.path}）处于隔离（${code}）${ranges ? `；无法读取的字节：${ranges}` : ""}。`,
      ),
    );
  }
  const end = momentOf(segment.recorded.end ?? segment.recorded.start);
  const ahead = BigInt(CLOCK_TOLERANCE_MS + segment.recorded.uncertainty_ms) * 1000n;
  if (end !== null && end.moment - sealedAt > ahead) {
    found.push(
      new Words(
        `By the recorder's clock ${name} was recorded after it was sealed.`,
        `按记录仪时钟，${name} 的录制时间晚于固证时间。`,
      ),
    );
  }
  return found;
}

/** Name the files that cannot be played and should, by their names, together where the reason is the same. */
function unreadable(segments) {
  const names = new Map();
  for (const each of segments) {
    if (media(each.media) === null || each.side_of !== null || !isNamedAsMedia(each.path)) continue;
    const reason = each.media.unreadable;
    if (!names.has(reason)) names.set(reason, []);
    names.get(reason).push(bundleName(each.path));
  }
  return [...names].map(([reason, found]) => {
    const shown = sorted(found).slice(0, NAMED).join(", ");
    const more = found.length > NAMED ? ` (+${found.length - NAMED})` : "";
    return new Words(
      `${found.length} file(s) cannot be played: ${reason}: ${shown}${more}.`,
      `${found.length} 个文件无法播放（${reason}）：${shown}${more}。`,
    );
  });
}

/** Say for how many segments the station's clock had nothing to go by. */
function unsynchronised(entries) {
  const count = entries.filter((entry) => entry.clock === "unsynchronised").length;
  if (count === 0) return [];
  return [
    new Words(
      `The station's clock was not synchronised when ${count} of ${entries.length} segment(s) were sealed.`,
      `${entries.length} 个片段中有 ${count} 个固证时采集站时钟未同步。`,
    ),
  ];
}

/** Find times between the videos of one recorder that none of them covers. */
function cameraGaps(segments) {
  const timed = [];
  for (const each of segments) {
    const [start, end] = [momentOf(each.recorded.start), momentOf(each.recorded.end)];
    if (start && end && start.moment < end.moment && each.side_of === null) timed.push({ recorder: each.recorder, start, end });
  }
  timed.sort(
    (one, two) =>
      byCodePoints(one.recorder, two.recorder) || compare(one.start.moment, two.start.moment) || compare(one.end.moment, two.end.moment),
  );
  const found = [];
  let before = null;
  let reached = null;
  for (const { recorder, start, end } of timed) {
    if (recorder !== before) reached = null;
    before = recorder;
    if (reached !== null && start.moment - reached.moment > CAMERA_GAP) {
      const [from, to] = [iso(reached), iso(start)];
      found.push(
        new Words(
          `${recorder} shows nothing between ${from} and ${to} (its own clock).`,
          `${recorder} 在 ${from} 至 ${to} 之间没有录像（按其自身时钟）。`,
        ),
      );
    }
    reached = reached === null || end.moment > reached.moment ? end : reached;
  }
  return found;
}

function ofCustody(type, body, when) {
  switch (type) {
    case "docking":
      return ofDocking(body);
    case "anomaly": {
      const about = body.subject ? `${body.subject.kind} ${body.subject.id}` : body.docking || "-";
      const told = meaning(body);
      return [
        new Words(
          `The station noted an anomaly on ${when}: ${body.kind} (${about})${told ? `: ${told.en}` : ""}.`,
          `采集站于 ${when} 记录异常：${body.kind}（${about}）${told ? `：${told.zh}` : ""}。`,
        ),
      ];
    }
    case "correction":
      return [
        new Words(
          `On ${when} a person corrected the facts of intake of ${body.segment}.`,
          `${when} 有人更正了 ${body.segment} 的采集事实。`,
        ),
      ];
    case "wipe":
      if (body.outcome === "gone") return [];
      return [
        new Words(
          `Erasing ${body.path} from the recorder ended as: ${body.outcome}.`,
          `从记录仪清除 ${body.path} 的结果为：${body.outcome}。`,
        ),
      ];
    case "disposal":
      return [
        new Words(
          `${body.segment} was ${body.phase} for disposal on ${when}.`,
          `${body.segment} 于 ${when} 的销毁状态：${body.phase}。`,
        ),
      ];
    default:
      return [];
  }
}

function ofDocking(body) {
  const found = [];
  const [off, blur] = [body.clock_offset_ms, body.clock_uncertainty_ms ?? 0];
  if (off !== null && Math.abs(off) > CLOCK_TOLERANCE_MS + blur) {
    const by = `${signedSeconds(off)} s (± ${signedSeconds(blur).slice(1)} s)`;
    found.push(
      new Words(
        `At ${body.docking} the clock of ${body.recorder.id} was ${by} off the station's.`,
        `${body.docking} 时 ${body.recorder.id} 的时钟与采集站相差 ${by}。`,
      ),
    );
  }
  if (!body.recorder.known) {
    found.push(
      new Words(
        `The recorder ${body.recorder.id} of ${body.docking} was not in the register.`,
        `${body.docking} 的记录仪 ${body.recorder.id} 未登记。`,
      ),
    );
  }
  return found;
}

/** Find recorders whose clocks went wrong between two dockings by more than their standard allows, beyond doubt. */
export function clockCourses(entries) {
  const found = [];
  const before = new Map();
  const dockings = entries.filter((entry) => entry.type === "docking");
  dockings.sort((one, two) => compare(one.moment, two.moment) || byCodePoints(one.epoch, two.epoch) || one.seq - two.seq);
  for (const { station, moment, body } of dockings) {
    const { docking, recorder, clock_offset_ms: off, clock_uncertainty_ms: blur, clock_set: set } = body;
    const who = JSON.stringify([station, recorder.id]);
    const bounds = off === null ? null : [BigInt(off) - BigInt(blur ?? 0), BigInt(off) + BigInt(blur ?? 0)];
    const earlier = before.get(who);
    // One that the station set was right then, to within the tolerance; what it showed before that counts no more.
    before.set(who, { moment, docking, bounds: set ? [-CLOCK_SET_MS, CLOCK_SET_MS] : bounds });
    if (!earlier?.bounds || bounds === null) continue;
    const [least, most] = [bounds[0] - earlier.bounds[1], bounds[1] - earlier.bounds[0]];
    const allowed = BigInt(CLOCK_TOLERANCE_MS) * ((moment - earlier.moment) / 1000n);
    if (least * DAY_MS <= allowed && most * DAY_MS >= -allowed) continue;
    const by = `${signedSeconds(least)} … ${signedSeconds(most)} s`;
    found.push(
      new Words(
        `Between ${earlier.docking} and ${docking} the clock of ${recorder.id} went ${by} against the station's, ` +
          "more than the 3 s a day that GA/T 947 allows: it drifts, or somebody set it.",
        `${earlier.docking} 至 ${docking} 之间，${recorder.id} 的时钟相对采集站变化 ${by}，` +
          "超过 GA/T 947 允许的每日 3 秒：时钟漂移，或被人设置。",
      ),
    );
  }
  return found;
}

/** Name the tokens that `anchor` entries speak of and that are not here. */
async function absentTokens(layout, contents, logs, custody) {
  const anchors = custody.flatMap((each) => bodyOf(each, "anchor") ?? []);
  if (anchors.length === 0) return [];
  const here = new Set();
  for (const path of [...layout.tokens, ...layout.anchors]) here.add(await contents.sha256(path));
  for (const log of logs.values()) {
    for (const head of log.heads.values()) {
      if (head.cosigned !== null) for (const line of linesOf(head.cosigned)) here.add(sha256Hex(line));
    }
  }
  return anchors
    .filter((anchor) => !here.has(anchor.sha256))
    .map(
      (anchor) =>
        new Words(
          `A token by ${anchor.by} over ${anchor.origin} at size ${anchor.size} is named but not here.`,
          `条目提到 ${anchor.by} 对 ${anchor.origin}（大小 ${anchor.size}）出具的令牌，但不在此处。`,
        ),
    );
}

/** Name the entries whose proofs pass over an anchored checkpoint: their time may look later than it was. */
function lateProofs(layout, logs, sealed) {
  const anchored = new Map();
  for (const [name, log] of logs) {
    const sizes = [...log.heads].filter(([size, head]) => head.cosigned !== null || layout.logs.get(name).sizes.get(size).tokens.size > 0);
    anchored.set(name, sizes.map(([size]) => size));
  }
  const late = sealed.filter(({ entry, ending }) => {
    if (entry === null || ending === null) return false;
    const sizes = anchored.get(`${entry.station}/${entry.epoch}`) ?? [];
    return sizes.some((earlier) => BigInt(entry.seq) < earlier && earlier < ending.checkpoint.size);
  });
  if (late.length === 0) return [];
  const names = some(late.map((each) => each.place));
  return [
    new Words(
      `Not proven by the earliest anchored checkpoint that covers them: ${names}.`,
      `未以覆盖它们的最早带时间锚的检查点证明：${names}。`,
    ),
  ];
}

/** Keep a report readable, whatever a forger wrote into entries. */
export function shortened(found) {
  if (found.length <= MOST) return found;
  const more = found.length - MOST;
  return [...found.slice(0, MOST), new Words(`And ${more} more findings.`, `另有 ${more} 项发现。`)];
}

/** Give the lines of a file, each with its LF. */
function linesOf(data) {
  const lines = [];
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf(10, at);
    lines.push(data.subarray(at, end < 0 ? data.length : end + 1));
    at = end < 0 ? data.length : end + 1;
  }
  return lines;
}

function momentOf(text) {
  return text === null ? null : parseInstant(text);
}

function iso({ moment, offsetMinutes }) {
  return isoformat(moment, offsetMinutes);
}

function compare(one, two) {
  return one < two ? -1 : one > two ? 1 : 0;
}
