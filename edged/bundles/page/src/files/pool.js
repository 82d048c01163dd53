/** Digesting on all cores: workers made from the page's own text, each at one file at a time. */

import workerSource from "worker:./worker.js";
import { UnreadableError } from "../errors.js";
import { Digester } from "./digest.js";

const MOST_WORKERS = 4;

/** Give a digester with workers; where the browser gives none, one that works here. `tell(bytes)` hears of progress. */
export function openDigester(tell) {
  try {
    return new Pool(tell);
  } catch {
    return new Digester(tell); // a browser may refuse workers to a page from file://
  }
}

/** Workers that wait for the next bundle. */
let spare = [];

class Pool {
  #idle = [];
  #busy = new Set();
  #waiting = [];
  #known = new Map();
  #tell;

  constructor(tell) {
    this.#tell = tell;
    const count = Math.min(MOST_WORKERS, Math.max(1, navigator.hardwareConcurrency || 1));
    this.#idle = spare;
    spare = [];
    while (this.#idle.length < count) this.#idle.push(newWorker());
  }

  /** Digest a blob; the same path again is answered from memory, so that a new root costs no reading. */
  digest(blob, path) {
    if (!this.#known.has(path)) {
      this.#known.set(
        path,
        new Promise((resolve, reject) => {
          this.#waiting.push({ blob, path, resolve, reject });
          this.#next();
        }),
      );
    }
    return this.#known.get(path);
  }

  /** End the workers that are at something, and let the others wait. */
  stop() {
    for (const worker of this.#busy) worker.terminate();
    spare.push(...this.#idle);
    [this.#idle, this.#waiting] = [[], []];
  }

  #next() {
    if (this.#idle.length === 0 || this.#waiting.length === 0) return;
    const worker = this.#idle.pop();
    this.#busy.add(worker);
    const { blob, path, resolve, reject } = this.#waiting.shift();
    const end = (settle, value) => {
      worker.onmessage = worker.onerror = null;
      this.#busy.delete(worker);
      this.#idle.push(worker);
      settle(value);
      this.#next();
    };
    worker.onmessage = ({ data }) => {
      if (data.bytes !== undefined) this.#tell(data.bytes);
      else if (data.found) end(resolve, data.found);
      else end(reject, data.isUnreadable ? new UnreadableError(data.failed) : new Error(data.failed));
    };
    worker.onerror = (event) => end(reject, new Error(`digesting ${path} failed: ${event.message}`));
    worker.postMessage({ path, blob });
  }
}

function newWorker() {
  address ??= trusted(URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" })));
  return new Worker(address);
}

let address;

/** Let this one address, which the page made itself, be that of a worker where the browser asks for Trusted Types. */
function trusted(url) {
  if (!globalThis.trustedTypes) return url;
  return globalThis.trustedTypes.createPolicy("worker", { createScriptURL: () => url }).createScriptURL("");
}
