/** The checks `custody` and `derivatives`: what was done with the evidence, and what was made of it. */

import { failed, notEstablished, together, verified } from "./report.js";
import { bodyOf } from "./sealed.js";
import { Words } from "./words.js";

/** Ask of every custody entry what is asked of a segment's. */
export function checkCustody(custody) {
  const problems = custody.flatMap((each) =>
    Object.values(each.checks)
      .filter((check) => check.verdict !== "verified")
      .map((check) => ({ verdict: check.verdict, detail: new Words(`${each.place}:`, `${each.place}：`).plus(check.detail) })),
  );
  return together(
    problems,
    verified(
      `All ${custody.length} custody entries are valid, in the log, signed, and by whom they say.`,
      `全部 ${custody.length} 条经手条目均有效、在日志内、已签名且签名者属实。`,
    ),
  );
}

/** Compare each derivative with the entry that was made of it, and that entry with its parent. */
export function checkDerivatives(layout, digests, segments, custody) {
  const parents = new Map();
  const made = new Map();
  for (const each of [...custody, ...segments]) {
    const body = bodyOf(each, "segment");
    if (body) parents.set(body.segment, body.sha256);
  }
  for (const each of custody) {
    const body = bodyOf(each, "derivative");
    if (!body) continue;
    const product = `${body.segment} ${body.kind} ${body.sha256} ${body.bytes}`;
    made.set(product, [...(made.get(product) ?? []), body.parent_sha256]);
  }
  const problems = [];
  for (const { segment, kind, path } of layout.derivatives) {
    const found = digests.get(path);
    const fromParents = made.get(`${segment} ${kind} ${found.sha256} ${found.size}`);
    if (fromParents === undefined) {
      problems.push(failed(`${path} is in no derivative entry here.`, `${path} 与此处任何衍生件条目都不相符。`));
    } else if (!parents.has(segment)) {
      problems.push(notEstablished(`What ${path} was made from is not here.`, `${path} 的原件不在此处。`));
    } else if (!fromParents.includes(parents.get(segment))) {
      problems.push(failed(`${path} was made from another file than its segment.`, `${path} 并非由该片段制成。`));
    }
  }
  const count = layout.derivatives.length;
  return together(
    problems,
    verified(`Each of ${count} derivatives is the one its entry describes.`, `${count} 个衍生件均与其条目相符。`),
  );
}
