/**
 * What the station noted as out of order, in plain words.
 *
 * The same words as in `edged/evidence/verification/anomalies.py`, and the same rules: the first sentence counts whose
 * keys are all there, as whole numbers or texts; keys that end in `_ms` are written as seconds.
 */

import { Words } from "./words.js";

const KEY = /\{([a-z0-9_]+)\}/g;
const OFFSETS = ["ahead_ms", "behind_ms"]; // in no detail: how far a clock was ahead, or behind, by `offset_ms`
const LONGEST = 120; // characters of a text out of a detail

/** What each kind is called. */
const NAMES = {
  "recorder-refused": ["a recorder was refused", "记录仪被拒绝"],
  "officer-not-registered": ["the officer is not in the register", "执法人员未登记"],
  "officer-not-qualified": ["the officer's qualification was not valid", "执法人员资格无效"],
  "not-a-file": ["the card holds something that is no file", "存储卡上有非文件项"],
  "not-listed": ["a folder could not be listed", "目录无法列出"],
  "unreadable": ["a file could not be read", "文件无法读取"],
  "gone-after-inventory": ["a file left the card after it was listed", "文件在列出之后消失"],
  "changed-after-inventory": ["a file changed after it was listed", "文件在列出之后改变"],
  "changed-before-wipe": ["a file changed before it was to be erased; it was left", "文件在清除前改变，予以保留"],
  "unreadable-before-wipe": ["a file could not be read again; it was left", "文件清除前无法复读，予以保留"],
  "not-erased": ["the card did not let a file be erased; it was left", "存储卡未能清除文件，文件仍在"],
  "not-writable": ["the card cannot be written to", "存储卡不可写"],
  "unlock-command-failed": ["the program that unlocks the recorder failed", "记录仪解锁程序失败"],
  "clock-command-failed": ["the program that sets the recorder's clock failed", "记录仪校时程序失败"],
  "vault-copy-differs": ["the disk gave other bytes than were sealed", "磁盘读出与固证不符"],
  "classification-contradicted": ["a later case file says otherwise", "后来的案件数据与之矛盾"],
  "ledger-restored": ["the ledger had gone on elsewhere: a restored backup", "台账曾在别处继续：备份恢复所致"],
  "ledger-contradicted": ["what was published contradicts what the station signed", "已公布内容与采集站签名内容矛盾"],
  "second-reading-differs": ["the card gave different bytes when it was read a second time", "存储卡两次读出的内容不同"],
  "partly-unreadable": ["a part of a file could not be read", "文件有一部分无法读取"],
  "changed-since-interruption": ["a file changed while its copying was interrupted", "文件在复制中断期间改变"],
  "changed-since-sealed": ["a file holds other bytes than were sealed from it", "文件内容与先前固证时不同"],
  "gone-from-card": ["a file whose copying was interrupted is gone from the card", "复制中断的文件已不在存储卡上"],
  "replica-not-confirmed": ["central storage does not hold a copy any more", "中心存储不再存有副本"],
  "counter-skips": ["the recorder's counter leaves out numbers", "记录仪编号有缺号"],
  "counter-begins-anew": ["the recorder's counter began anew", "记录仪编号重新开始"],
  "join-gap": ["a recording goes on only after a gap", "同一录像的片段之间有空隙"],
  "join-overlap": ["a file begins before the one before it ends: the recorder's clock was set back", "后一文件在前一文件结束之前开始：记录仪时钟曾被回拨"],
  "recording-incomplete": ["a recording stops early", "录像提前中止"],
  "missing-since-last-docking": ["files of the last inventory are gone, and the station had not erased them", "上次清单中的文件未经采集站清除即已消失"],
  "same-file-again": ["the same file again", "同一文件再次出现"],
  "recorder-clock-off": ["the recorder's clock was wrong", "记录仪时钟不准"],
  "recorder-clock-drifts": ["the recorder's clock goes wrong faster than GA/T 947 allows", "记录仪时钟漂移超过 GA/T 947 的规定"],
  "recorder-clock-jumped": ["the recorder's clock was set, or lost its time", "记录仪时钟被重新设置或曾丢失时间"],
  "recorded-times-differ": ["a file's name and its content claim different times", "文件名与文件内容所称时间不一致"],
  "station-clock-stepped": ["the station's clock was set", "采集站时钟被调整"],
};

/** What the details say; of a kind that has several reasons, each by `why`. */
const TOLD = {
  "second-reading-differs": [["{path}: SHA-256 first {first_sha256}, then {second_sha256}; both are kept in the entry", "{path}：SHA-256 先为 {first_sha256}，后为 {second_sha256}；条目载明两者"]],
  "partly-unreadable": [["{unreadable_bytes} byte(s) of {path}; what could be read is kept", "{path} 有 {unreadable_bytes} 字节；能读出的部分已保留"]],
  "changed-since-interruption": [["what was copied of {path} before is kept as well", "先前已复制的 {path} 部分也予以保留"]],
  "changed-since-sealed": [["{path} was sealed as {sealed} in {docking}; what it holds now is a segment of its own", "{path} 曾在 {docking} 固证为 {sealed}；现在的内容另作片段"]],
  "counter-skips": [
    ["this station knows no file with a number from {first} to {last} ({count} in all), between {before} and {after}", "本站未见编号 {first} 至 {last} 的文件（共 {count} 个），位于 {before} 与 {after} 之间"],
    ["this station knows no file with a number from {first} to {last} ({count} in all), before {after}", "本站未见编号 {first} 至 {last} 的文件（共 {count} 个），位于 {after} 之前"],
  ],
  "counter-begins-anew": [["after {last} came {number}; how many files lie between cannot be told", "{last} 之后为 {number}；其间有多少文件无从得知"]],
  "join-gap": [["the recorder itself ended {before} to go on in {after}, and left at least {least_ms} and at most {most_ms} seconds between them", "记录仪自行结束 {before} 并续录于 {after}，其间空隙至少 {least_ms} 秒、至多 {most_ms} 秒"]],
  "join-overlap": [["{after} begins at least {least_ms} and at most {most_ms} seconds before {before} ends", "{after} 在 {before} 结束之前至少 {least_ms} 秒、至多 {most_ms} 秒开始"]],
  "recording-incomplete/empty": [["{file} is empty: nothing was written", "{file} 为空：没有写入内容"]],
  "recording-incomplete/no-index": [["{file} was never finished, as when the power fails while recording", "{file} 未写完，如录制中断电"]],
  "recording-incomplete/not-continued": [["the recorder itself ended {file} to go on in another, and none goes on from it", "记录仪自行结束 {file} 以便续录，但没有后续文件"]],
  "missing-since-last-docking": [["of what it held at {last_docking}, {held} file(s) that the station has are gone, and {lost} that it never took in", "{last_docking} 时卡上文件中，采集站已存的有 {held} 个消失，从未取入的有 {lost} 个消失"]],
  "same-file-again": [
    ["{at} holds again what the station erased there in {erased_in}", "{at} 再次出现采集站在 {erased_in} 已清除的内容"],
    ["{at} holds the same bytes as {first_at}", "{at} 与 {first_at} 内容相同"],
  ],
  "recorder-clock-off": [
    ["{ahead_ms} seconds ahead of the station's when it was connected, to within {uncertainty_ms}", "接入时比采集站快 {ahead_ms} 秒，不确定度 {uncertainty_ms} 秒"],
    ["{behind_ms} seconds behind the station's when it was connected, to within {uncertainty_ms}", "接入时比采集站慢 {behind_ms} 秒，不确定度 {uncertainty_ms} 秒"],
  ],
  "recorder-clock-drifts": [["{least_a_day_ms} to {most_a_day_ms} seconds a day since {since}, by {readings} readings", "自 {since} 起每日 {least_a_day_ms} 至 {most_a_day_ms} 秒，依据 {readings} 次比对"]],
  "recorder-clock-jumped": [["{offset_ms} seconds off the station's when it was connected, and {before_least_ms} to {before_most_ms} at {since}", "接入时与采集站相差 {offset_ms} 秒，而在 {since} 时相差 {before_least_ms} 至 {before_most_ms} 秒"]],
  "recorded-times-differ": [["the name of {path} says {name}, its content {container}: {by_ms} seconds more", "{path} 的文件名为 {name}，内容为 {container}：多 {by_ms} 秒"]],
  "station-clock-stepped/while-running": [["from {before} to {after}, by {by_ms} seconds", "由 {before} 改为 {after}，相差 {by_ms} 秒"]],
  "station-clock-stepped/while-off": [["while the station was off: its newest entry says {before}, and its clock then showed {after}", "采集站停机期间：最新条目为 {before}，其后时钟显示 {after}"]],
};

/** What is said instead where `first` and `last` are the same number. */
const ONE = {
  "counter-skips": [
    ["this station knows no file with the number {first}, between {before} and {after}", "本站未见编号 {first} 的文件，位于 {before} 与 {after} 之间"],
    ["this station knows no file with the number {first}, before {after}", "本站未见编号 {first} 的文件，位于 {after} 之前"],
  ],
};

/** Say what an anomaly means, in both languages; null for a kind that this version does not know. */
export function meaning({ kind, detail }) {
  if (!Object.hasOwn(NAMES, kind)) return null;
  const [en, zh] = NAMES[kind];
  const why = typeof detail.why === "string" ? detail.why : "";
  const known = [kind, `${kind}/${why}`].filter((each) => Object.hasOwn(TOLD, each)).flatMap((each) => TOLD[each]);
  const first = value(detail, "first");
  const one = whole(first) && first === value(detail, "last") && Object.hasOwn(ONE, kind) ? ONE[kind] : [];
  for (const told of [...one, ...known]) {
    const [inEnglish, inChinese] = told.map((text) => filled(text, detail));
    if (inEnglish === null || inChinese === null) continue;
    const rest = whole(value(detail, "more")) ? detail.more : null;
    const [also, alsoChinese] = rest === null ? ["", ""] : [` (and ${rest} more such)`, `（另有 ${rest} 项）`];
    return new Words(`${en}: ${inEnglish}${also}`, `${zh}：${inChinese}${alsoChinese}`);
  }
  return new Words(en, zh);
}

function filled(text, detail) {
  let lacks = false;
  const said = text.replace(KEY, (_, key) => {
    const found = OFFSETS.includes(key) ? offset(detail, key) : value(detail, key);
    if (whole(found)) return key.endsWith("_ms") ? seconds(found) : String(found);
    if (typeof found === "string") return shortened(found);
    lacks = true;
    return "";
  });
  return lacks ? null : said;
}

/** Give what `offset_ms` is without its sign, for the one of the two keys that its sign speaks of. */
function offset(detail, key) {
  const found = value(detail, "offset_ms");
  if (!whole(found) || found < 0 !== (key === "behind_ms")) return undefined;
  return found < 0 ? -found : found;
}

function value(detail, key) {
  return Object.hasOwn(detail, key) ? detail[key] : undefined;
}

function whole(number) {
  return typeof number === "number" || typeof number === "bigint";
}

function shortened(text) {
  const characters = [...text];
  return characters.length <= LONGEST ? text : `${characters.slice(0, LONGEST).join("")}…`;
}

function seconds(ms) {
  const all = BigInt(ms < 0 ? -ms : ms);
  return `${ms < 0 ? "-" : ""}${all / 1000n}.${String(all % 1000n).padStart(3, "0")}`;
}
