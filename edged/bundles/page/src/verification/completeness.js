/** The check `completeness`: what lay on the card is accounted for, file by file. */

import { MalformedError } from "../errors.js";
import { sha256Hex } from "../evidence/bytes.js";
import { decode, isObject } from "../evidence/canonical.js";
import { failed, notEstablished, together, verified } from "./report.js";
import { bodyOf } from "./sealed.js";
import { Words, some, sorted } from "./words.js";

const MAX_INVENTORY_BYTES = 32 << 20;

/** Account for every file of the dockings that the segments came from: {check, amiss}; amiss becomes findings. */
export async function checkCompleteness(layout, contents, segments, custody) {
  const visits = visitsOf([...segments, ...custody]);
  const dockings = segments.flatMap((each) => bodyOf(each, "segment")?.docking ?? []);
  const wanted = sorted(new Set([...dockings, ...layout.inventories.keys()]));
  if (wanted.length === 0) {
    return { check: notEstablished("There is no docking to account for.", "没有可供核对的接入记录。"), amiss: [] };
  }
  const problems = [];
  const amiss = [];
  for (const docking of wanted) {
    const visit = visits.get(docking) ?? newVisit(docking);
    const found = await inventoryOf(visit, layout.inventories.get(docking), contents);
    if (found.problem) problems.push(found.problem);
    else amiss.push(...amissIn(visit, found.files));
  }
  if (amiss.length > 0) {
    problems.push(notEstablished("Something is amiss: see the findings.", "有异常之处，见“发现”。"));
  }
  const check = together(
    problems,
    verified(
      `In ${wanted.length} docking(s) every file was sealed or met before, and what was erased adds up.`,
      `${wanted.length} 次接入时卡上的每个文件均已固证或先前已固证，清除数量相符。`,
    ),
  );
  return { check, amiss };
}

function newVisit(docking) {
  return { docking, entries: [], ends: [], numbers: [], accounted: new Set(), gone: new Set() };
}

/** Gather what the entries here say of each docking. */
function visitsOf(sealed) {
  const visits = new Map();
  for (const { entry } of sealed) {
    if (!["docking", "undocking", "segment", "sighting", "wipe"].includes(entry?.type)) continue;
    const { type, body } = entry;
    if (!visits.has(body.docking)) visits.set(body.docking, newVisit(body.docking));
    const visit = visits.get(body.docking);
    if (type === "docking") visit.entries.push(body);
    if (type === "undocking") visit.ends.push(body.remaining);
    if (type === "segment") visit.numbers.push(body.recorder_seq);
    if (type === "segment" || type === "sighting") visit.accounted.add(body.path);
    if (type === "wipe" && body.outcome === "gone") visit.gone.add(body.path);
  }
  return visits;
}

/** Give the files of a docking's inventory with their lengths, or what keeps them from being known. */
async function inventoryOf(visit, path, contents) {
  const name = visit.docking;
  if (path === undefined) return { problem: notEstablished(`The inventory of ${name} is not here.`, `缺少 ${name} 的清单。`) };
  if (visit.entries.length !== 1) {
    return {
      problem: notEstablished(`There is not one docking entry for ${name} here.`, `此处 ${name} 的接入条目不是恰好一条。`),
    };
  }
  let data;
  try {
    data = await contents.small(path, MAX_INVENTORY_BYTES);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return { problem: failed(`${path} is malformed: ${error.message}.`, `${path} 格式有误：${error.message}。`) };
  }
  if (sha256Hex(data) !== visit.entries[0].inventory_sha256) {
    return { problem: failed(`${path} is not the inventory that was sealed.`, `${path} 不是固证时的清单。`) };
  }
  try {
    return { files: filesIn(data, name) };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return { problem: notEstablished(`${path} cannot be understood: ${error.message}.`, `${path} 无法解读：${error.message}。`) };
  }
}

function filesIn(data, docking) {
  const document = decode(data);
  if (!isObject(document) || document.v !== 1 || document.docking !== docking || !Array.isArray(document.items)) {
    throw new MalformedError("it is no inventory of this docking");
  }
  const files = new Map();
  for (const item of document.items) {
    const isFile = isObject(item) && item.kind === "file" && typeof item.path === "string" && Number.isInteger(item.bytes);
    if (isFile) files.set(item.path, item.bytes);
    else if (!isObject(item) || (item.kind !== "folder" && item.kind !== "other")) {
      throw new MalformedError("an item of it is neither file, folder nor other");
    }
  }
  return files;
}

/** Give what does not add up in one docking. */
function amissIn(visit, files) {
  const amiss = [];
  const [name, entry] = [visit.docking, visit.entries[0]];
  const lost = sorted([...files.keys()].filter((path) => !visit.accounted.has(path)));
  if (lost.length > 0) {
    amiss.push(
      new Words(
        `${lost.length} file(s) of the inventory of ${name} were neither sealed nor sighted: ${some(lost)}.`,
        `${name} 清单中有 ${lost.length} 个文件既未固证也未见于先前固证：${some(lost)}。`,
      ),
    );
  }
  const total = [...files.values()].reduce((sum, bytes) => sum + BigInt(bytes), 0n);
  if (entry.files !== files.size || BigInt(entry.bytes) !== total) {
    amiss.push(
      new Words(
        `The docking entry of ${name} counts ${entry.files} files and ${entry.bytes} bytes, its inventory ${files.size} and ${total}.`,
        `${name} 的接入条目记 ${entry.files} 个文件、${entry.bytes} 字节，清单为 ${files.size} 个、${total} 字节。`,
      ),
    );
  }
  if (entry.missing) {
    amiss.push(
      new Words(
        `${entry.missing} file(s) that the recorder held at its last docking were gone at ${name}, and the station had not erased them.`,
        `记录仪上次接入时的 ${entry.missing} 个文件，在 ${name} 时已不在卡上，且并非由采集站清除。`,
      ),
    );
  }
  const left = [...files.keys()].filter((path) => !visit.gone.has(path)).length;
  if (visit.ends.length !== 1 || visit.ends[0] !== left) {
    const said = visit.ends.length === 1 ? String(visit.ends[0]) : `${visit.ends.length} undocking entries`;
    const saidZh = visit.ends.length === 1 ? String(visit.ends[0]) : `${visit.ends.length} 条离站条目`;
    amiss.push(
      new Words(
        `After ${name}, ${left} file(s) should have stayed on the card; the entries here say ${said}.`,
        `${name} 之后卡上应余 ${left} 个文件，而此处条目记为 ${saidZh}。`,
      ),
    );
  }
  const numbers = [...visit.numbers].sort((one, two) => one - two);
  if (numbers.some((number, at) => at > 0 && number !== numbers[at - 1] + 1)) {
    amiss.push(
      new Words(
        `The numbers of the segments sealed in ${name} have a gap or a repetition.`,
        `${name} 中固证片段的编号有缺漏或重复。`,
      ),
    );
  }
  return amiss;
}
