/** A report in plain words: what each check is about, and the verdict on the bundle in one sentence. */

import { openChecks, verdictOf } from "./report.js";
import { Words } from "./words.js";

/** What each check is about. */
export const TITLES = {
  bag: new Words("The list of files", "文件清单"),
  selection: new Words("Handed over whole", "交付完整"),
  consistency: new Words("One history of the log", "日志历史唯一"),
  custody: new Words("The custody record", "经手记录"),
  derivatives: new Words("Copies for viewing", "衍生件"),
  chain: new Words("Unbroken numbering", "编号连续"),
  completeness: new Words("Every file of the card", "卡上文件清点"),
  bytes: new Words("The original, byte for byte", "原件逐字节"),
  entry: new Words("Its entry", "台账条目"),
  inclusion: new Words("In the station's log", "日志收录"),
  signature: new Words("The signature", "签名"),
  identity: new Words("Whose key it is", "签名者身份"),
  time: new Words("When", "时间"),
};

export const VERDICTS = {
  verified: new Words("verified", "已验证"),
  failed: new Words("FAILED", "不通过"),
  "not-established": new Words("not established", "未能证实"),
};

/** Give the verdict on the bundle in one sentence. */
export function headline(report) {
  const count = report.segments.length;
  const verdict = verdictOf(report);
  if (verdict === "verified") {
    return new Words(
      `Verified: ${count} original(s) are what the station sealed, and the bundle is whole.`,
      `已验证：${count} 个原件与采集站固证时一致，证据包完整。`,
    );
  }
  if (verdict === "failed") {
    return new Words(
      "FAILED: something in this bundle is not what the station sealed and signed.",
      "不通过：证据包中有内容与采集站固证并签名的不符。",
    );
  }
  const open = unsure(report);
  if (open.size === 1 && open.has("time")) {
    return new Words(
      `Not established, because of the time alone: ${count} original(s) are what the station sealed and the bundle is whole, but nothing from outside the station confirms when.`,
      `未能证实，仅因时间一项：${count} 个原件与采集站固证时一致，证据包完整，但没有站外证据证实时间。`,
    );
  }
  if (open.size === 2 && open.has("time") && open.has("completeness")) {
    return new Words(
      `Not established: the time is not confirmed from outside, and there are findings on whether files are missing: ${count} original(s) are what the station sealed.`,
      `未能证实：时间没有站外证据，且完整性有异常：${count} 个原件与采集站固证时一致。`,
    );
  }
  return new Words(
    "Not established: nothing here contradicts the evidence, but not everything could be shown.",
    "未能证实：没有发现矛盾，但并非每一项都能得到证明。",
  );
}

/** Give every check that is not verified, also those that the verdict does not need. */
function unsure(report) {
  const open = openChecks(report);
  for (const [name, check] of Object.entries(report.checks)) if (check.verdict !== "verified") open.add(name);
  return open;
}
