/**
 * Both digests of a file in one pass: SHA-256 of the whole and of every 8 MiB (EVIDENCE.md, section 1).
 *
 * WebCrypto digests the chunks; it cannot digest a file piece by piece, so the whole is digested by @noble/hashes. At no
 * time is more than two chunks of a file in memory.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { UnreadableError } from "../errors.js";
import { hex } from "../evidence/bytes.js";
import { CHUNK_BYTES } from "../verification/originals.js";

/** Give {size, sha256, chunks} of a blob; `tell(bytes)` hears how many more are done. */
export async function digestBlob(blob, path, tell = () => {}) {
  const whole = sha256.create();
  const chunks = [];
  let next = read(blob, 0, path);
  for (let at = 0; at < blob.size; at += CHUNK_BYTES) {
    const data = await next;
    next = at + CHUNK_BYTES < blob.size ? read(blob, at + CHUNK_BYTES, path) : null;
    next?.catch(() => {}); // it is awaited above, in the next round
    const chunk = crypto.subtle.digest("SHA-256", data);
    whole.update(data);
    chunks.push(new Uint8Array(await chunk));
    tell(data.length);
  }
  return { size: blob.size, sha256: hex(whole.digest()), chunks };
}

async function read(blob, at, path) {
  const expected = Math.min(CHUNK_BYTES, blob.size - at);
  try {
    const data = new Uint8Array(await blob.slice(at, at + expected).arrayBuffer());
    if (data.length === expected) return data;
  } catch {
    // The browser says no more than that.
  }
  throw new UnreadableError(`${path} cannot be read: the browser was not given its bytes.`);
}

/** Digests blobs here, one after the other: for a browser that gives no worker, and for tests. */
export class Digester {
  #last = Promise.resolve();
  #tell;

  constructor(tell) {
    this.#tell = tell;
  }

  digest(blob, path) {
    const found = this.#last.then(() => digestBlob(blob, path, this.#tell));
    this.#last = found.catch(() => {});
    return found;
  }

  stop() {}
}
