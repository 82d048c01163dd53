/**
 * The check `selection`: the bundle is what the station decided to hand over, all of it and nothing else.
 *
 * The station lists segments and entries in `export.json` and cites that list in its `export` entry before the bundle is
 * made, so that whoever passes the bundle on cannot drop one unnoticed.
 */

import { MalformedError } from "../errors.js";
import { equal, sha256Hex, utf8 } from "../evidence/bytes.js";
import { decode, encode, isObject } from "../evidence/canonical.js";
import { isSegmentId, isSha256 } from "../evidence/ids.js";
import { EXPORT, TEXTS } from "./layout.js";
import { failed, notEstablished, together, verified } from "./report.js";
import { bodyOf } from "./sealed.js";
import { Words, some, sorted } from "./words.js";

const MAX_LIST_BYTES = 16 << 20;
const LIST_KEYS = "entries export segments v";

/** Check that the bundle is what the station decided to hand over: all of it, and nothing else. */
export async function checkSelection(layout, contents, segments, custody) {
  const exports = custody.filter((each) => bodyOf(each, "export"));
  const texts = await checkTexts(layout, contents, [...segments, ...custody]);
  if (exports.length === 0) {
    const missing = notEstablished(
      "No export entry is here, so nothing shows that the bundle is complete.",
      "缺少导出条目，无从证明证据包完整。",
    );
    return together([...texts, missing], missing);
  }
  if (!layout.files.has(EXPORT)) {
    const missing = notEstablished("export.json is not here.", "缺少 export.json。");
    return together([...texts, missing], missing);
  }
  let data;
  try {
    data = await contents.small(EXPORT, MAX_LIST_BYTES);
  } catch (error) {
    return malformed(EXPORT, error);
  }
  const digest = sha256Hex(data);
  const citing = exports.filter((each) => each.entry.body.list_sha256 === digest);
  if (citing.length !== 1) {
    return failed(
      `${citing.length} export entries cite export.json as it is here; exactly one must.`,
      `有 ${citing.length} 个导出条目引用此处的 export.json，应恰有一个。`,
    );
  }
  return together(
    [...texts, ...ofExport(citing[0], segments), ...ofLists(data, citing[0], layout, [...segments, ...custody])],
    verified(
      "The bundle holds exactly what the station's signed export entry lists.",
      "证据包内容与采集站已签名的导出条目所列完全一致。",
    ),
  );
}

/** Read `export.json` strictly. */
function parseExportList(data) {
  const found = readObject(data);
  const shaped =
    Object.keys(found).sort().join(" ") === LIST_KEYS &&
    found.v === 1 &&
    typeof found.export === "string" &&
    Array.isArray(found.segments) &&
    Array.isArray(found.entries);
  if (!shaped) throw new MalformedError("it is not {v, export, segments, entries}");
  const isList = (list, isKind) =>
    list.every((each, at) => typeof each === "string" && isKind(each) && (at === 0 || list[at - 1] < each));
  if (!isList(found.segments, isSegmentId) || !isList(found.entries, isSha256)) {
    throw new MalformedError("its lists are not sorted, or hold something twice or something else than ids");
  }
  return found;
}

/** Check that the export entry is proven, and is by the station of every segment. */
function ofExport(exported, segments) {
  const checks = Object.values(exported.checks)
    .filter((check) => check.verdict !== "verified")
    .map((check) => ({ verdict: check.verdict, detail: new Words("The export entry:", "导出条目：").plus(check.detail) }));
  const { station } = exported.entry;
  const stations = new Set(segments.flatMap((each) => (each.entry ? [each.entry.station] : [])));
  stations.delete(station);
  if (stations.size > 0) {
    const others = some(sorted(stations));
    checks.push(
      notEstablished(`The export entry is by ${station}, segments are by ${others}.`, `导出条目出自 ${station}，而片段出自 ${others}。`),
    );
  }
  return checks;
}

/** Compare the lists in export.json with what is here, both ways. */
function ofLists(data, exported, layout, here) {
  let listed;
  try {
    listed = parseExportList(data);
  } catch (error) {
    return [malformed(EXPORT, error)];
  }
  const checks = [];
  if (exported.entry.body.export !== listed.export) {
    checks.push(failed("export.json is of another export than its entry.", "export.json 与导出条目不属于同一次导出。"));
  }
  const present = new Map();
  for (const each of here) if (each.ref !== null && each !== exported) present.set(each.ref, each.place);
  checks.push(...bothWays("segments", "片段", listed.segments, new Map([...layout.segments.keys()].map((name) => [name, name]))));
  checks.push(...bothWays("entries", "条目", listed.entries, present));
  return checks;
}

function bothWays(en, zh, listed, present) {
  const checks = [];
  const wanted = new Set(listed);
  const lacking = sorted([...wanted].filter((each) => !present.has(each)));
  if (lacking.length > 0) {
    checks.push(failed(`Listed ${en} that are not here: ${some(lacking)}.`, `导出清单所列${zh}缺失：${some(lacking)}。`));
  }
  const extra = sorted([...present.keys()].filter((each) => !wanted.has(each)).map((each) => present.get(each)));
  if (extra.length > 0) {
    checks.push(failed(`Here but not exported: ${some(extra)}.`, `不在导出清单内的${zh}：${some(extra)}。`));
  }
  return checks;
}

function readObject(data) {
  const document = decode(data);
  if (!isObject(document) || !equal(encode(document), data)) throw new MalformedError("it is no object in canonical form");
  return document;
}

/** Check that each disclosed text is one that an entry here cites. */
async function checkTexts(layout, contents, here) {
  if (!layout.files.has(TEXTS)) return [];
  let document;
  try {
    document = readObject(await contents.small(TEXTS, MAX_LIST_BYTES));
  } catch (error) {
    return [malformed(TEXTS, error)];
  }
  const cited = new Set();
  for (const each of here) if (each.entry) citedTexts(each.entry.body, cited);
  const checks = [];
  for (const [digest, value] of Object.entries(document)) {
    if (!isText(value) || sha256Hex(utf8(value.salt + value.text)) !== digest) {
      checks.push(failed(`The text ${digest} in texts.json is altered.`, `texts.json 中的文字 ${digest} 已被改动。`));
    } else if (!cited.has(digest)) {
      checks.push(failed(`No entry here cites the text ${digest}.`, `此处没有条目引用文字 ${digest}。`));
    }
  }
  return checks;
}

function isText(value) {
  return (
    isObject(value) &&
    Object.keys(value).sort().join(" ") === "salt text" &&
    typeof value.salt === "string" &&
    typeof value.text === "string" &&
    /^[0-9a-f]{32}$/.test(value.salt)
  );
}

/** Gather the texts that may be shown with the entries: a Map from digest to text, of those that hash to theirs. */
export async function readTexts(layout, contents) {
  const texts = new Map();
  if (!layout.files.has(TEXTS)) return texts;
  try {
    const document = readObject(await contents.small(TEXTS, MAX_LIST_BYTES));
    for (const [digest, value] of Object.entries(document)) {
      if (isText(value) && sha256Hex(utf8(value.salt + value.text)) === digest) texts.set(digest, value.text);
    }
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  return texts;
}

/**
 * Gather the digests of the reasons that a body cites.
 *
 * A type of a later version, or a further key, may cite one anywhere: every {`code`, `text`} counts.
 */
function citedTexts(value, cited) {
  if (isObject(value) && typeof value.code === "string" && typeof value.text === "string" && isSha256(value.text)) {
    cited.add(value.text);
  }
  if (value !== null && typeof value === "object") for (const each of Object.values(value)) citedTexts(each, cited);
}

function malformed(path, error) {
  if (!(error instanceof MalformedError)) throw error;
  return failed(`${path} is malformed: ${error.message}.`, `${path} 格式有误：${error.message}。`);
}
