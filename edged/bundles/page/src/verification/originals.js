/** The check `bytes`: the original is, byte for byte, the file that was sealed; if not, where it differs. */

import { hex, sha256Hex, utf8 } from "../evidence/bytes.js";
import { bundleName } from "../evidence/ids.js";
import { parseInstant, withOffset } from "../evidence/times.js";
import { notEstablished, verified } from "./report.js";
import { Words } from "./words.js";

/** Length of a chunk; only the last of a file may be shorter. */
export const CHUNK_BYTES = 8_388_608;
/** The chunk list of a file of two terabytes. */
export const MAX_CHUNK_LIST_BYTES = 16 << 20;

const NAMED_PLACES = 3;
const LATEST = 253_402_300_800_000_000n; // the end of the year 9999, in microseconds
const EARLIEST = -62_135_596_800_000_000n;

/** Compare an original {name, digests, chunkList, sm3} with its entry's body: {check, damage}. */
export function checkBytes(original, sealed) {
  if (original === null) return { check: notEstablished("The file is not here.", "文件不在此处。"), damage: [] };
  if (sealed === null) {
    const check = notEstablished("There is no readable entry to compare the file with.", "没有可读的条目可供比对。");
    return { check, damage: [] };
  }
  const found = original.digests;
  const objections = objectionsTo(original, sealed);
  const damage = found.size !== sealed.bytes || found.sha256 !== sealed.sha256 ? damageOf(original, sealed) : [];
  if (objections.length === 0) {
    const check = verified(
      `All ${sealed.bytes} bytes are as sealed: length, SHA-256, ${sealed.chunks.count} chunks and name.`,
      `全部 ${sealed.bytes} 字节与固证时一致：长度、SHA-256、${sealed.chunks.count} 个分块及文件名。`,
    );
    return { check, damage: [] };
  }
  const said = [...objections, ...damage.slice(0, NAMED_PLACES).map(where)];
  if (damage.length > NAMED_PLACES) {
    said.push(new Words(`(${damage.length} damaged chunks in all.)`, `（共 ${damage.length} 个分块受损。）`));
  }
  return { check: { verdict: "failed", detail: said.reduce((one, two) => one.plus(two), new Words("", "")) }, damage };
}

/** Give the digest of the chunk list that a file has. */
export function chunksSha256(digests) {
  return sha256Hex(utf8(digests.chunks.map((chunk) => `${hex(chunk)}\n`).join("")));
}

function objectionsTo(original, sealed) {
  const { digests: found, chunkList } = original;
  const expectedName = bundleName(sealed.path);
  const objections = [];
  if (original.name !== expectedName) {
    objections.push(
      new Words(`The file is named ${original.name} instead of ${expectedName}.`, `文件名为 ${original.name}，应为 ${expectedName}。`),
    );
  }
  if (found.size !== sealed.bytes) {
    objections.push(
      new Words(`The file has ${found.size} bytes; ${sealed.bytes} were sealed.`, `文件长 ${found.size} 字节，固证时为 ${sealed.bytes} 字节。`),
    );
  }
  if (found.sha256 !== sealed.sha256) {
    objections.push(new Words("The file is not the one that was sealed.", "文件内容与固证时不同。"));
  } else if (sealed.sm3 !== undefined && original.sm3 !== sealed.sm3) {
    objections.push(new Words("The sealed SM3 digest is not that of this file.", "固证的 SM3 摘要与此文件不符。"));
  } else if (chunksSha256(found) !== sealed.chunks.sha256 || found.chunks.length !== sealed.chunks.count) {
    objections.push(new Words("The sealed chunk list is not that of this file.", "固证的分块清单与此文件不符。"));
  }
  if (chunkList !== null && sha256Hex(chunkList) !== sealed.chunks.sha256) {
    objections.push(new Words("chunks.sha256 is not the sealed chunk list.", "chunks.sha256 不是固证时的分块清单。"));
  }
  return objections;
}

/** Give the stretches that differ, as far as the sealed chunk list is here to say so. */
function damageOf({ digests: found, chunkList }, sealed) {
  if (chunkList === null || sha256Hex(chunkList) !== sealed.chunks.sha256) return [];
  const text = new TextDecoder("latin1").decode(chunkList);
  if (!/^(?:[0-9a-f]{64}\n)*$/.test(text)) return [];
  const expected = text.split("\n").slice(0, -1);
  const damage = [];
  for (let chunk = 0; chunk < Math.max(expected.length, found.chunks.length); chunk += 1) {
    if (chunk < expected.length && chunk < found.chunks.length && expected[chunk] === hex(found.chunks[chunk])) continue;
    const fromByte = chunk * CHUNK_BYTES;
    const toByte = Math.min(fromByte + CHUNK_BYTES, Math.max(sealed.bytes, found.size));
    damage.push({ chunk, fromByte, toByte, fromTime: timeAt(sealed, fromByte), toTime: timeAt(sealed, toByte) });
  }
  return damage;
}

/** Give the time of day at a byte, by proportion between the recorder's claimed start and end. */
export function timeAt(sealed, byte) {
  const { start, end } = sealed.recorded;
  if (start === null || end === null || byte < 0 || byte > sealed.bytes || sealed.bytes === 0) return null;
  const begun = parseInstant(start);
  const lasted = parseInstant(end).moment - begun.moment;
  if (lasted < 0n) return null;
  const moment = begun.moment + (lasted * BigInt(byte)) / BigInt(sealed.bytes);
  const local = moment + BigInt(begun.offsetMinutes) * 60_000_000n;
  return local < EARLIEST || local >= LATEST ? null : withOffset(moment, begun.offsetMinutes);
}

/** Say which bytes are damaged, and when they were recorded. */
export function where(damage) {
  let en = `Chunk ${damage.chunk}, bytes ${damage.fromByte} to ${damage.toByte - 1}, is damaged`;
  let zh = `第 ${damage.chunk} 分块（第 ${damage.fromByte} 至 ${damage.toByte - 1} 字节）受损`;
  if (damage.fromTime && damage.toTime) {
    en += `: recorded between ${damage.fromTime} and ${damage.toTime} by the recorder's clock`;
    zh += `，按记录仪时钟录于 ${damage.fromTime} 至 ${damage.toTime}`;
  }
  return new Words(`${en}.`, `${zh}。`);
}
