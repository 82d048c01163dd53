/**
 * Which witnesses must have cosigned: C2SP `tlog-policy` files, read strictly.
 *
 * `log` lines are ignored: which log it must be is said by the evidence and its certificate (EVIDENCE.md, section 7).
 * A file with keys of another kind than Ed25519 cosignatures is refused, rather than weighed without them.
 */

import { MalformedError } from "../errors.js";
import { equal } from "./bytes.js";
import { earliest } from "./cosignatures.js";
import { COSIGNATURE, parseVkey } from "./note.js";

const NONE = "none";
const MAX_BYTES = 1 << 20;
const MAX_NAMES = 1_000;

/** Read a policy file; the error names the line that is wrong. */
export function parsePolicy(data) {
  if (data.length > MAX_BYTES) throw new MalformedError("the policy is longer than a megabyte");
  if (data.some((byte) => byte === 0x7f || (byte < 0x20 && byte !== 9 && byte !== 10))) {
    throw new MalformedError("a policy holds no control characters but tab and newline");
  }
  if (data.length > 0 && data.at(-1) !== 10) throw new MalformedError("the last line of the policy is not ended");
  const policy = new Policy();
  for (const [at, line] of linesOf(data).entries()) {
    try {
      policy.read(line.split(/[ \t]+/).filter((item) => item));
    } catch (error) {
      if (error instanceof MalformedError) throw new MalformedError(`line ${at + 1}: ${error.message}`);
      throw error;
    }
  }
  if (policy.quorum === undefined) throw new MalformedError("the policy has no quorum line");
  return policy;
}

/** Bytes beyond ASCII are opaque: where the file is not UTF-8, each is a character of its own. */
function linesOf(data) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    text = Array.from(data, (byte) => String.fromCharCode(byte)).join("");
  }
  return text.split("\n").slice(0, -1);
}

class Policy {
  /** Keys of witnesses by their names in the file, and groups in the order of their definition. */
  witnesses = new Map();
  groups = new Map();
  /** Name of a witness or group; null for `quorum none`, which nothing is needed for and which shows nothing. */
  quorum = undefined;
  #members = new Set();

  /** Give when each witness cosigned a note, by its name in the file; throws MalformedError for an invalid line. */
  times(note) {
    const times = new Map();
    for (const [name, key] of this.witnesses) {
      const moment = earliest(note, key);
      if (moment !== null) times.set(name, moment);
    }
    return times;
  }

  /** Give a quorum's time: the latest in the earliest set of witnesses that satisfies it; null without one. */
  moment(times) {
    const reached = new Map(times);
    for (const [name, group] of this.groups) {
      // A group has cosigned when the last of the members that it needs has; a name is a member only once.
      const moments = group.members.filter((member) => reached.has(member)).map((member) => reached.get(member));
      moments.sort((one, two) => (one < two ? -1 : one > two ? 1 : 0));
      if (moments.length >= group.needed) reached.set(name, moments[group.needed - 1]);
    }
    return this.quorum === null ? null : (reached.get(this.quorum) ?? null);
  }

  read([keyword, ...items]) {
    if (keyword === undefined || keyword.startsWith("#")) return;
    const count = items.length;
    if (keyword === "log" && (count === 1 || count === 2)) return;
    if (keyword === "witness" && (count === 2 || count === 3)) this.#addWitness(items[0], items[1]);
    else if (keyword === "group" && count >= 3) this.#addGroup(items[0], items[1], items.slice(2));
    else if (keyword === "quorum" && count === 1) this.#setQuorum(items[0]);
    else throw new MalformedError(`this is no line of a policy: ${JSON.stringify(keyword)}`);
  }

  #addWitness(name, written) {
    this.#checkNew(name);
    const key = parseVkey(written);
    if (key.kind !== COSIGNATURE) {
      throw new MalformedError(`the key of ${JSON.stringify(name)} is not one for cosignatures (type 0x04)`);
    }
    if ([...this.witnesses.values()].some((other) => equal(other.publicKey, key.publicKey))) {
      throw new MalformedError(`the key of ${JSON.stringify(name)} is also that of another witness`);
    }
    this.witnesses.set(name, key);
  }

  #addGroup(name, written, members) {
    this.#checkNew(name);
    for (const member of members) {
      this.#checkDefined(member);
      if (this.#members.has(member)) throw new MalformedError(`${JSON.stringify(member)} is a member twice`);
      this.#members.add(member);
    }
    const words = { any: 1, all: members.length };
    const needed = Object.hasOwn(words, written) ? words[written] : /^[1-9][0-9]{0,3}$/.test(written) ? Number(written) : 0;
    if (needed < 1 || needed > members.length) {
      throw new MalformedError(`${JSON.stringify(written)} is not \`any\`, \`all\`, or a number of the ${members.length} members`);
    }
    this.groups.set(name, { needed, members });
  }

  #setQuorum(name) {
    if (this.quorum !== undefined) throw new MalformedError("a second quorum line");
    if (name !== NONE) this.#checkDefined(name);
    this.quorum = name === NONE ? null : name;
  }

  #checkNew(name) {
    if (name === NONE || this.witnesses.has(name) || this.groups.has(name)) {
      throw new MalformedError(`the name ${JSON.stringify(name)} is taken`);
    }
    if (this.witnesses.size + this.groups.size >= MAX_NAMES) {
      throw new MalformedError(`more than ${MAX_NAMES} witnesses and groups`);
    }
  }

  #checkDefined(name) {
    if (!this.witnesses.has(name) && !this.groups.has(name)) {
      throw new MalformedError(`${JSON.stringify(name)} is defined on no line before`);
    }
  }
}
