/** The check `time`, and the bounds in time of an entry (EVIDENCE.md, section 7): what the anchors say of one entry. */

import { rfc3339 } from "../evidence/times.js";
import { earliestOf } from "./anchors.js";
import { failed, notEstablished, together, verified } from "./report.js";
import { Words } from "./words.js";

/** Cosignatures, and many tokens, count whole seconds: only what lies further apart has an order. */
const RESOLUTION = 1_000_000n;

/** Give the lower bound that the anchor cited as `after` sets, null if none holds. */
export function notBefore(after) {
  return after.anchors.reduce((one, two) => (one === null || two.moment > one.moment ? two : one), null);
}

/** Say what is known of the time at which an entry existed; `after` is what was found of the anchor it cites. */
export function checkTime(covering, after, entry, trust) {
  const anchor = earliestOf(covering);
  const wrong = new Map([...covering.own.failed, ...covering.larger.failed, ...after.failed].map((words) => [words.en, words]));
  const objections = [...wrong.values()].map((words) => failed(words.en, words.zh));
  if (anchor !== null) objections.push(...contradictions(anchor, notBefore(after)));
  if (objections.length > 0) return together(objections, objections[0]);
  if (covering.own.anchors.length > 0) {
    const when = rfc3339(anchor.moment);
    return verified(`The entry existed on ${when}, says ${anchor.by}.`, `${anchor.by} 证明该条目在 ${when} 已存在。`);
  }
  const reason = reasonOf(covering, trust);
  if (entry === null) return notEstablished(reason.en, reason.zh);
  const claim = rfc3339(entry.moment);
  return notEstablished(
    `The station's own clock says ${claim}. That is a claim. ${reason.en}`,
    `采集站自身时钟为 ${claim}，这只是声明。${reason.zh}`,
  );
}

/** Find an entry that cites what came after it was covered. */
function contradictions(covering, after) {
  if (after === null || after.moment - after.accuracy <= covering.moment + covering.accuracy + RESOLUTION) return [];
  const [since, until] = [rfc3339(after.moment), rfc3339(covering.moment)];
  return [
    failed(
      `The entry cites an anchor of ${since} (${after.by}), yet ${covering.by} says it existed on ${until}.`,
      `条目引用了 ${since} 的时间锚（${after.by}），而 ${covering.by} 称其在 ${until} 已存在。`,
    ),
  ];
}

/** Say why nothing is established, the most telling reason first. */
function reasonOf({ own, larger }, trust) {
  if (trust.tsas.length === 0 && trust.policy === null) {
    return new Words(
      "Nobody outside the station confirms it: no time-stamping authority and no witness policy was given.",
      "没有站外证据予以证实：未提供时间戳机构或见证策略。",
    );
  }
  if (own.undecided.length > 0) return own.undecided[0];
  if (larger.anchors.length > 0) {
    return new Words(
      "Only a later checkpoint than the one this entry is proven by is anchored.",
      "只有晚于该条目证明所达检查点的检查点带有时间锚。",
    );
  }
  if (larger.undecided.length > 0) return larger.undecided[0];
  return new Words(
    "No token of a given authority and no quorum of given witnesses covers it.",
    "没有所给机构的令牌或所给见证方的联署覆盖它。",
  );
}
