/**
 * A bundle as one zip: read so strictly that no two programs can see two bundles in it.
 *
 * Zip says everything twice, in a header before each file and in a directory at the end, and programs differ in which
 * they believe. So both must agree, files must lie one after another without a gap from the first byte to the directory,
 * and nothing may be compressed, encrypted or appended (EVIDENCE.md, section 6; the format is PKWARE's APPNOTE). That is
 * why no zip library reads it: they are made to be lenient. Only headers are read; files are slices of the zip itself.
 */

import { UnreadableError } from "../errors.js";
import { equal } from "../evidence/bytes.js";
import { MAX_FILES, holds } from "../verification/layout.js";
import { readBlob } from "../verification/reading.js";

const MAX_DIRECTORY_BYTES = 64 << 20;
const END = 22;
const END_64 = 56;
const LOCATOR_64 = 20;
const CENTRAL = 46;
const LOCAL = 30;

const UTF_8 = 0x0800;
const ENCRYPTED = 0x0041;
const FULL_16 = 0xffff;
const FULL_32 = 0xffffffff;
const ZIP64 = 0x0001;
const PLAIN_VERSION = 20;
const ZIP64_VERSION = 45;
/** Extra fields that change neither name nor content, with the most bytes that they need: zip64 sizes, Unix times, owner. */
const HARMLESS = new Map([[ZIP64, 28], [0x5455, 13], [0x7875, 15]]);

const MOST = BigInt(Number.MAX_SAFE_INTEGER);

/** Open a zip: {listing(), blob(path)} of what lies below its one top folder. */
export async function openZip(blob, name) {
  const reader = new Reader(blob, name);
  const found = await reader.members();
  return {
    listing: () => [...found.values()].map(({ path, kind, size }) => ({ path, kind, size })),
    blob: (path) => {
      const { at, size } = found.get(path);
      return blob.slice(at, at + size);
    },
  };
}

class Reader {
  #blob;
  #name;

  constructor(blob, name) {
    this.#blob = blob;
    this.#name = name;
  }

  async members() {
    const { count, size, start } = await this.#findDirectory();
    if (count > MAX_FILES || size > MAX_DIRECTORY_BYTES) this.#refuse(`it lists more than ${MAX_FILES} files`);
    const members = this.#readDirectory(await this.#read(start, size), count);
    members.sort((one, two) => one.headerAt - two.headerAt);
    const found = new Map();
    let expected = 0;
    for (const member of members) {
      if (member.headerAt !== expected) this.#refuse("its files overlap, or leave gaps between them");
      const at = await this.#checkLocal(member);
      expected = at + member.size;
      if (found.has(member.path)) this.#refuse("a name occurs twice in it");
      found.set(member.path, { path: member.path, kind: member.kind, size: member.size, at });
    }
    if (expected !== start) this.#refuse("its files overlap, or leave gaps between them");
    return this.#belowOneTop(found);
  }

  /** Give number of files, length and place of the directory, which must end where the end record begins. */
  async #findDirectory() {
    const { size: length } = this.#blob;
    if (length < END) this.#refuse("it is too short");
    const last = await this.#view(length - END, END);
    const numbers = [4, 6, 8, 10].map((at) => last.getUint16(at, true));
    const [disk, firstDisk, here] = numbers;
    let [count, size, start] = [numbers[3], last.getUint32(12, true), last.getUint32(16, true)];
    if (last.getUint32(0, true) !== 0x06054b50 || last.getUint16(20, true) || disk || firstDisk || here !== count) {
      this.#refuse("it does not end as a zip of one part without a comment ends");
    }
    let end = length - END;
    if (count === FULL_16 || size === FULL_32 || start === FULL_32) {
      end -= LOCATOR_64 + END_64;
      if (end < 0) this.#refuse("it is too short");
      const wide = await this.#readWideEnd(end);
      const agrees = (said, full, real) => said === full || said === real;
      if (!agrees(count, FULL_16, wide.count) || !agrees(size, FULL_32, wide.size) || !agrees(start, FULL_32, wide.start)) {
        this.#refuse("its two end records contradict each other");
      }
      ({ count, size, start } = wide);
    } else if (end >= LOCATOR_64 && (await this.#view(end - LOCATOR_64, 4)).getUint32(0, true) === 0x07064b50) {
      // Some programs look for a zip64 end there whatever the end record says.
      this.#refuse("its zip64 end is not where it must be");
    }
    if (start + size !== end) this.#refuse("its directory does not end where the zip ends");
    return { count, size, start };
  }

  async #readWideEnd(at) {
    const wide = await this.#view(at, END_64 + LOCATOR_64);
    const isWide = wide.getUint32(0, true) === 0x06064b50 && this.#number(wide, 4) === 44;
    const isLocated =
      wide.getUint32(END_64, true) === 0x07064b50 &&
      wide.getUint32(END_64 + 4, true) === 0 &&
      this.#number(wide, END_64 + 8) === at &&
      wide.getUint32(END_64 + 16, true) === 1;
    if (!isWide || !isLocated) this.#refuse("its zip64 end is not where it must be");
    const count = this.#number(wide, 32);
    if (wide.getUint32(16, true) || wide.getUint32(20, true) || this.#number(wide, 24) !== count) {
      this.#refuse("it is one of several parts");
    }
    return { count, size: this.#number(wide, 40), start: this.#number(wide, 48) };
  }

  #readDirectory(directory, count) {
    const view = new DataView(directory.buffer, directory.byteOffset, directory.length);
    const members = [];
    let at = 0;
    for (let number = 0; number < count; number += 1) {
      if (at + CENTRAL > directory.length) this.#refuse("its directory is cut short");
      const [nameLength, extraLength, commentLength, disk] = [28, 30, 32, 34].map((place) => view.getUint16(at + place, true));
      const end = at + CENTRAL + nameLength + extraLength;
      if (view.getUint32(at, true) !== 0x02014b50 || commentLength || disk || end > directory.length) {
        this.#refuse("its directory is malformed");
      }
      members.push(this.#readMember(view, at, directory.slice(at + CENTRAL, at + CENTRAL + nameLength), directory.slice(end - extraLength, end)));
      at = end;
    }
    if (at !== directory.length) this.#refuse("its directory is longer than it says");
    return members;
  }

  #readMember(view, at, rawName, extra) {
    const flags = view.getUint16(at + 8, true);
    const needed = view.getUint16(at + 6, true);
    const told = [8, 10, 12, 14, 16, 18].map((place) => view.getUint16(at + place, true)); // flags to CRC
    // A place beyond 32 bits makes the directory, and it alone, ask for a program that knows zip64.
    const isFar = needed === ZIP64_VERSION && view.getUint32(at + 42, true) === FULL_32;
    const versions = isFar ? [needed, PLAIN_VERSION] : [needed];
    if (flags & ENCRYPTED) this.#refuse("it is encrypted; a bundle never is");
    const [size, packed, headerAt] = this.#widen(extra, [24, 20, 42].map((place) => view.getUint32(at + place, true)));
    if (flags & ~UTF_8 || view.getUint16(at + 10, true) || packed !== size) {
      this.#refuse("a file in it is compressed or written as a stream; a bundle is stored as it is");
    }
    const name = this.#nameOf(rawName, flags);
    const kind = kindOf(name, view.getUint16(at + 40, true));
    if (kind === "folder" && size) this.#refuse("a folder in it has content");
    return { path: name.replace(/\/+$/, ""), kind, size, headerAt, rawName, versions, told };
  }

  /** Compare the header before a file with what the directory says of it; give where the bytes begin. */
  async #checkLocal(member) {
    const header = await this.#view(member.headerAt, LOCAL);
    const [nameLength, extraLength] = [26, 28].map((place) => header.getUint16(place, true));
    const tail = await this.#read(member.headerAt + LOCAL, nameLength + extraLength);
    const told = [6, 8, 10, 12, 14, 16].map((place) => header.getUint16(place, true));
    const [size, packed] = this.#widen(tail.subarray(nameLength), [22, 18].map((place) => header.getUint32(place, true)));
    const agrees =
      header.getUint32(0, true) === 0x04034b50 &&
      member.versions.includes(header.getUint16(4, true)) &&
      told.every((number, at) => number === member.told[at]) &&
      size === member.size &&
      packed === member.size &&
      equal(tail.subarray(0, nameLength), member.rawName);
    if (!agrees) this.#refuse("the header of a file in it contradicts the directory");
    return member.headerAt + LOCAL + tail.length;
  }

  /** Give the `told` numbers, each taken from the zip64 extra field where 32 bits were too few for it. */
  #widen(extra, told) {
    const view = new DataView(extra.buffer, extra.byteOffset, extra.length);
    let [from, to] = [0, 0];
    const seen = new Set();
    for (let at = 0; at < extra.length; ) {
      const isWhole = extra.length - at >= 4 && extra.length - at - 4 >= view.getUint16(at + 2, true);
      const kind = isWhole ? view.getUint16(at, true) : 0;
      if (!isWhole || seen.has(kind) || !(view.getUint16(at + 2, true) <= (HARMLESS.get(kind) ?? -1))) {
        this.#refuse("a header in it carries what a bundle does not need");
      }
      seen.add(kind);
      const end = at + 4 + view.getUint16(at + 2, true);
      if (view.getUint16(at, true) === ZIP64) [from, to] = [at + 4, end];
      at = end;
    }
    return told.map((number) => {
      if (number !== FULL_32) return number;
      if (to - from < 8) this.#refuse("a size in it is missing");
      from += 8;
      return this.#number(view, from - 8);
    });
  }

  #nameOf(raw, flags) {
    let name;
    try {
      if (!(flags & UTF_8) && raw.some((byte) => byte > 0x7f)) throw new TypeError("not ASCII");
      name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
    } catch {
      this.#refuse("a name in it is no text");
    }
    const parts = name.replace(/\/$/, "").split("/");
    if (parts.some((part) => part === "" || part === "." || part === "..") || /[\\\0]/.test(name)) {
      this.#refuse("a name in it leads out of the bundle");
    }
    return name;
  }

  /** Take the one top folder off every name. */
  #belowOneTop(found) {
    const below = new Map();
    const tops = new Set();
    for (const [path, member] of found) {
      const slash = path.indexOf("/");
      tops.add(slash < 0 ? path : path.slice(0, slash));
      if (slash >= 0) below.set(path.slice(slash + 1), { ...member, path: path.slice(slash + 1) });
    }
    const paths = [...found.keys()].sort();
    if ([...found.values()].some((member) => member.kind !== "folder" && holds(paths, member.path))) {
      this.#refuse("a name in it is a file and a folder at once");
    }
    if (below.size === 0 || tops.size !== 1) this.#refuse("a bundle's zip holds exactly one folder");
    return below;
  }

  #number(view, at) {
    const number = view.getBigUint64(at, true);
    if (number > MOST) this.#refuse("it is cut short");
    return Number(number);
  }

  async #view(at, length) {
    const data = await this.#read(at, length);
    return new DataView(data.buffer, data.byteOffset, data.length);
  }

  async #read(at, length) {
    if (at + length > this.#blob.size) this.#refuse("it is cut short");
    return readBlob(this.#blob.slice(at, at + length), this.#name);
  }

  #refuse(why) {
    throw new UnreadableError(`${this.#name} is no bundle in zip form: ${why}.`);
  }
}

function kindOf(name, mode) {
  const type = mode & 0xf000;
  if (name.endsWith("/")) return type === 0 || type === 0x4000 ? "folder" : "other";
  return type === 0 || type === 0x8000 ? "file" : "other";
}
