/** The check `bag`: the files here are exactly the listed ones, byte for byte (RFC 8493; EVIDENCE.md, section 6). */

import { MalformedError } from "../errors.js";
import { equal, fromUtf8, utf8 } from "../evidence/bytes.js";
import { BAGIT, MANIFEST, TAG_MANIFEST } from "./layout.js";
import { failed, verified } from "./report.js";
import { some, sorted } from "./words.js";

const BAGIT_TEXT = utf8("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n");
const MAX_MANIFEST_BYTES = 64 << 20;
const LINE = /^([0-9a-f]{64}) {2}([^\n]+)$/;

/** Compare both manifests with what is here; the answer is never `not-established`. */
export async function checkBag(layout, contents) {
  const objection = await firstObjection(layout, contents);
  const count = layout.files.size;
  return (
    objection ??
    verified(
      `All ${count} files are listed, none is missing or too many, and each has its listed digest.`,
      `全部 ${count} 个文件均已列入清单，不缺不多，摘要逐一相符。`,
    )
  );
}

async function firstObjection(layout, contents) {
  if (layout.notRegular.length > 0) {
    const names = some(layout.notRegular);
    return failed(`Not regular files: ${names}.`, `不是普通文件：${names}。`);
  }
  const crowded = [...layout.segments.values()].flatMap((each) => (each.originals.length > 1 ? each.originals : []));
  const strangers = [...new Set([...layout.strangers, ...crowded])];
  if (strangers.length > 0) {
    const names = some(strangers);
    return failed(`No bundle has a place for: ${names}.`, `证据包中不应有：${names}。`);
  }
  const missing = [BAGIT, MANIFEST, TAG_MANIFEST].filter((path) => !layout.files.has(path));
  if (missing.length > 0) {
    const names = some(missing);
    return failed(`This is no bag: ${names} is not here.`, `不是完整的证据包：缺少 ${names}。`);
  }
  const misnamed = await misnamedAnchors(layout, contents);
  if (misnamed.length > 0) {
    const names = some(misnamed);
    return failed(`Not what its name, a digest, says: ${names}.`, `内容与作为文件名的摘要不符：${names}。`);
  }
  let listed, tags;
  try {
    if (!equal(await contents.small(BAGIT, 1 << 10), BAGIT_TEXT)) {
      return failed("bagit.txt is not that of BagIt 1.0.", "bagit.txt 不是 BagIt 1.0 的内容。");
    }
    listed = parse(await contents.small(MANIFEST, MAX_MANIFEST_BYTES));
    tags = parse(await contents.small(TAG_MANIFEST, MAX_MANIFEST_BYTES));
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return failed(`A list of files is malformed: ${error.message}.`, `文件清单格式有误：${error.message}。`);
  }
  const paths = [...layout.files.keys()];
  const payload = paths.filter((path) => path.startsWith("data/"));
  const beside = paths.filter((path) => !path.startsWith("data/") && path !== TAG_MANIFEST);
  return (await compare(MANIFEST, payload, listed, contents)) ?? (await compare(TAG_MANIFEST, beside, tags, contents));
}

/** Find anchors that have not the digest that they are named by. */
async function misnamedAnchors(layout, contents) {
  const misnamed = [];
  for (const path of layout.anchors) {
    if (path.endsWith(".checkpoint")) continue;
    if ((await contents.sha256(path)) !== path.slice(path.lastIndexOf("/") + 1)) misnamed.push(path);
  }
  return misnamed;
}

async function compare(name, here, listed, contents) {
  const present = new Set(here);
  const lacking = sorted([...listed.keys()].filter((path) => !present.has(path)));
  if (lacking.length > 0) {
    return failed(`Listed in ${name} but not here: ${some(lacking)}.`, `${name} 所列文件缺失：${some(lacking)}。`);
  }
  const unlisted = sorted(here.filter((path) => !listed.has(path)));
  if (unlisted.length > 0) {
    return failed(`Here but not listed in ${name}: ${some(unlisted)}.`, `${name} 未列出的文件：${some(unlisted)}。`);
  }
  await contents.sha256OfAll(here);
  const altered = [];
  for (const path of sorted(here)) if ((await contents.sha256(path)) !== listed.get(path)) altered.push(path);
  if (altered.length === 0) return null;
  return failed(`Not as listed in ${name}: ${some(altered)}.`, `与 ${name} 所列摘要不符：${some(altered)}。`);
}

/** Read a manifest in the one form that `sha256sum -c` and this page read alike. */
function parse(data) {
  const text = fromUtf8(data, "it");
  if (text && !text.endsWith("\n")) throw new MalformedError("its last line is not ended");
  const listed = new Map();
  for (const line of text ? text.slice(0, -1).split("\n") : []) {
    const found = LINE.exec(line);
    if (!found) throw new MalformedError("a line is not a digest, two spaces and a path");
    if (listed.has(found[2])) throw new MalformedError(`it lists ${found[2]} twice`);
    listed.set(found[2], found[1]);
  }
  return listed;
}
