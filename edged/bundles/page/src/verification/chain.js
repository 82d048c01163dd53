/** The check `chain`: the recorder's own numbering joins its segments, so that none was taken out between them. */

import { failed, notEstablished, together, verified } from "./report.js";
import { bodyOf } from "./sealed.js";
import { byCodePoints } from "./words.js";

/** Follow `recorder_seq` and `recorder_prev` through every segment entry here, sealed or merely listed. */
export function checkChain(sealed) {
  const links = new Map();
  for (const each of sealed) {
    const body = bodyOf(each, "segment");
    if (body) links.set(each.ref, { ref: each.ref, station: each.entry.station, body });
  }
  const groups = new Map();
  for (const link of links.values()) {
    const key = `${link.station} ${link.body.recorder}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(link);
  }
  const ordered = [...groups.values()].sort(
    ([one], [two]) => byCodePoints(one.station, two.station) || byCodePoints(one.body.recorder, two.body.recorder),
  );
  const count = links.size;
  return together(
    ordered.flatMap((group) => brokenIn(group, links)),
    verified(
      `${count} segment entries follow each other without a break, from each recorder's first.`,
      `${count} 个片段条目自各记录仪首个片段起首尾相接，无中断。`,
    ),
  );
}

function brokenIn(group, links) {
  const checks = [];
  const whose = `${group[0].body.recorder} (${group[0].station})`;
  const numbers = new Map();
  group.sort((one, two) => one.body.recorder_seq - two.body.recorder_seq);
  for (const { ref, body } of group) {
    const number = body.recorder_seq;
    if (numbers.has(number)) {
      checks.push(failed(`${whose} has two segments numbered ${number}.`, `${whose} 有两个片段编号均为 ${number}。`));
    }
    numbers.set(number, ref);
    const check = ofLink(body, whose, numbers, links);
    if (check) checks.push(check);
  }
  return checks;
}

/** Check that a segment's `recorder_prev` is the recorder's segment of the number before. */
function ofLink(body, whose, numbers, links) {
  const [number, before] = [body.recorder_seq, body.recorder_prev];
  if (number === 1) {
    return before === null
      ? null
      : failed(`${whose} has a segment before its first.`, `${whose} 在首个片段之前还有片段。`);
  }
  const expected = numbers.get(number - 1);
  // With no such number here, any segment entry that is here is another number's, or another recorder's.
  if (before === null || (expected === undefined ? links.has(before) : before !== expected)) {
    return failed(
      `Segment ${number} of ${whose} does not follow number ${number - 1}.`,
      `${whose} 的第 ${number} 个片段并非接在第 ${number - 1} 个之后。`,
    );
  }
  if (links.has(before)) return null;
  return notEstablished(
    `Segment ${number - 1} of ${whose} is not here: what came before segment ${number} is not shown.`,
    `${whose} 的第 ${number - 1} 个片段不在此处，第 ${number} 个之前的情况无从证明。`,
  );
}
