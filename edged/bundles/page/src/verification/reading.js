/**
 * Reading a bundle's files for verification: originals as streams, everything else up to a bound.
 *
 * Every byte that a check looks at is digested in the same reading, so that `bag` judges the very bytes that the other
 * checks saw. Nothing larger than `small` allows is ever held in memory.
 */

import { MalformedError, UnreadableError } from "../errors.js";
import { hex, sha256Hex } from "../evidence/bytes.js";
import { Sm3 } from "../evidence/sm3.js";

/** Large files are read by so much at a time. */
const PIECE_BYTES = 8_388_608;

export class Contents {
  #files;
  #digester;
  #sha256 = new Map();

  /** `files` gives blobs by path, `digester` digests a blob whole and by chunks. */
  constructor(files, digester) {
    this.#files = files;
    this.#digester = digester;
  }

  /** Read a file whole; throws MalformedError if it is longer than any such file can be. */
  async small(path, mostBytes) {
    const blob = this.#files.blob(path);
    if (blob.size > mostBytes) throw new MalformedError(`the file is longer than ${mostBytes} bytes`);
    const data = await readBlob(blob, path);
    this.#sha256.set(path, sha256Hex(data));
    return data;
  }

  /** Read a file whole, however long it is listed to be. */
  async asListed(path) {
    return this.small(path, Infinity);
  }

  /** Digest large files, whole and by chunks, several at a time. */
  async stream(paths) {
    const wanted = [...new Set(paths)];
    const found = await Promise.all(wanted.map((path) => this.#digester.digest(this.#files.blob(path), path)));
    wanted.forEach((path, at) => this.#sha256.set(path, found[at].sha256));
    return new Map(wanted.map((path, at) => [path, found[at]]));
  }

  /** Digest whichever of these files nobody has read yet. */
  async sha256OfAll(paths) {
    await this.stream(paths.filter((path) => !this.#sha256.has(path)));
  }

  /** Give the SM3 of a file, in hex; it takes a reading of its own, and several times as long as SHA-256. */
  async sm3(path) {
    const blob = this.#files.blob(path);
    const digest = new Sm3();
    for (let at = 0; at < blob.size; at += PIECE_BYTES) {
      digest.update(await readBlob(blob.slice(at, at + PIECE_BYTES), path));
    }
    return hex(digest.digest());
  }

  /** Give the digest of a file, reading it if nobody has. */
  async sha256(path) {
    if (!this.#sha256.has(path)) await this.stream([path]);
    return this.#sha256.get(path);
  }
}

/** Give the bytes of a blob; throws UnreadableError where the medium does not give them. */
export async function readBlob(blob, path) {
  try {
    const data = new Uint8Array(await blob.arrayBuffer());
    if (data.length === blob.size) return data;
  } catch {
    // The browser says no more than that.
  }
  throw new UnreadableError(`${path} cannot be read: the browser was not given its bytes.`);
}
