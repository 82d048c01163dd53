/**
 * Bounds in time from outside: which anchors of a bundle hold under what the verifier gave (EVIDENCE.md, section 5).
 *
 * Each checkpoint's tokens and cosignatures are judged once; those of authorities and witnesses that the verifier did not
 * give are passed over. An anchor over one size bounds every smaller one that consistency joins to it. Anchors that
 * entries cite as `after` are judged when they are asked for.
 */

import { MalformedError } from "../errors.js";
import { concat, equal, sha256Hex, startsWith, utf8 } from "../evidence/bytes.js";
import { splitOrigin } from "../evidence/ids.js";
import { parseNote } from "../evidence/note.js";
import { isToken, judgeSeries } from "../evidence/timestamps.js";
import { MAX_NOTE_BYTES, coveringSizes, formsOf } from "./logs.js";
import { Words } from "./words.js";

const MAX_TOKEN_BYTES = 64 << 10; // tokens with a whole chain of certificates inside have a tenth of this
const MAX_SERIES = 100; // a token is renewed every few years
const ANCHORS = "data/anchors/";
const DASH = utf8("\u2014");

/** What was found of anchors in one place: those that hold {moment, by}, and why others fail or show nothing. */
export const nothingFound = () => ({ anchors: [], failed: [], undecided: [] });

/** Judge the anchors of a bundle under what the verifier gave. */
export async function readAnchors(layout, contents, logs, trust, now) {
  const anchors = new Anchors(contents, logs, trust, now);
  await anchors.read(layout);
  return anchors;
}

/** Give the anchor that gives T, of those that cover a checkpoint; null where none holds. */
export function earliestOf({ own, larger }) {
  return [...own.anchors, ...larger.anchors].reduce((one, two) => (one === null || two.moment < one.moment ? two : one), null);
}

class Anchors {
  /** Paths of files that should be tokens and are none, looked for where an authority was given. */
  unreadable = [];
  #contents;
  #logs;
  #trust;
  #now;
  #ofHeads = new Map();
  #byDigest = new Map();
  #loose = new Map();

  constructor(contents, logs, trust, now) {
    this.#contents = contents;
    this.#logs = logs;
    this.#trust = trust;
    this.#now = now;
  }

  /** Judge what lies beside the checkpoints, and note what lies under `anchors/`. */
  async read(layout) {
    for (const [name, log] of this.#logs) {
      for (const [size, head] of log.heads) {
        const found = nothingFound();
        this.#ofHeads.set(`${name} ${size}`, found);
        await this.#judgeTokens(layout.logs.get(name).sizes.get(size), head, found);
        this.#judgeLines(head.note.text, head.cosignatures ?? [], found);
        for (const line of head.cosignatures ?? []) {
          this.#judgeLines(head.note.text, [line], this.#of(sha256Hex(utf8(line))));
        }
      }
    }
    for (const path of layout.anchors) {
      const digest = path.slice(ANCHORS.length).replace(".checkpoint", "");
      this.#loose.set(digest, [...(this.#loose.get(digest) ?? []), path]);
    }
  }

  /** Give the anchors over the checkpoint that a proof ends in, {own, larger}: larger ones are proven to extend it. */
  covering(ending) {
    const covering = { own: nothingFound(), larger: nothingFound() };
    if (ending === null) return covering;
    const { origin, size } = ending.checkpoint;
    let name;
    try {
      const { station, epoch } = splitOrigin(origin);
      name = `${station}/${epoch}`;
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      return covering;
    }
    const log = this.#logs.get(name);
    const head = log?.heads.get(size);
    if (head === undefined || !formsOf(head).some((form) => equal(form, ending.data))) return covering;
    for (const each of coveringSizes(log, size)) {
      const found = this.#ofHeads.get(`${name} ${each}`);
      const into = each === size ? covering.own : covering.larger;
      for (const key of ["anchors", "failed", "undecided"]) into[key].push(...found[key]);
    }
    return covering;
  }

  /** Judge the anchor with this digest, which an entry cites as `after`; nothing is found where it is not here. */
  async cited(digest) {
    const paths = this.#loose.get(digest);
    this.#loose.delete(digest);
    if (paths) await this.#judgeLoose(digest, paths, this.#of(digest));
    return this.#byDigest.get(digest) ?? nothingFound();
  }

  #of(digest) {
    if (!this.#byDigest.has(digest)) this.#byDigest.set(digest, nothingFound());
    return this.#byDigest.get(digest);
  }

  async #judgeTokens(files, head, found) {
    if (this.#trust.tsas.length === 0) return;
    for (const numbered of files.tokens.values()) {
      const series = await this.#series(numbered);
      series.forEach((token, at) => isToken(token) || this.unreadable.push(numbered.get(at)));
      const judged = await this.#judge(series, head.data);
      series.forEach((token, at) => sort(judged[at], this.#of(sha256Hex(token))));
      if (series.length > 0) sort(judged[0], found);
    }
  }

  /** Read a token and its renewals, as far as none between them is missing or overlong. */
  async #series(numbered) {
    const series = [];
    while (numbered.has(series.length) && series.length < MAX_SERIES) {
      const path = numbered.get(series.length);
      try {
        series.push(await this.#contents.small(path, MAX_TOKEN_BYTES));
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error;
        this.unreadable.push(path);
        break;
      }
    }
    return series;
  }

  #judge(series, data) {
    return judgeSeries(series, data, this.#trust.tsas, this.#now, this.#trust.crls);
  }

  #judgeLines(text, lines, found) {
    const { policy } = this.#trust;
    if (policy === null) return;
    let times;
    try {
      times = lines.length > 0 ? policy.times(parseNote(utf8(`${text}\n${lines.join("")}`))) : new Map();
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      found.failed.push(new Words(`Invalid: ${error.message}.`, `无效：${error.message}。`));
      return;
    }
    const moment = policy.moment(times);
    if (moment !== null) {
      const names = [...times].filter(([, each]) => each <= moment).map(([name]) => policy.witnesses.get(name).name);
      found.anchors.push({ moment, accuracy: 0n, by: names.join(", ") });
    } else if (policy.quorum === null) {
      found.undecided.push(new Words("The policy given asks for no witness.", "所给策略不要求任何见证方。"));
    } else if (times.size > 0) {
      found.undecided.push(
        new Words(
          `${times.size} witness(es) of the policy cosigned, which is no quorum.`,
          `策略中有 ${times.size} 个见证方联署，未达法定数。`,
        ),
      );
    }
  }

  /** Judge a file under `anchors/`: a token, or a cosignature with the checkpoint that it is over. */
  async #judgeLoose(digest, paths, found) {
    const path = ANCHORS + digest;
    const beside = `${path}.checkpoint`;
    try {
      const data = paths.includes(path) ? await this.#contents.small(path, MAX_TOKEN_BYTES) : new Uint8Array();
      const checkpoint = paths.includes(beside) ? await this.#contents.small(beside, MAX_NOTE_BYTES) : null;
      if (sha256Hex(data) !== digest) return; // not what its name says, as `bag` objects
      if (startsWith(data, DASH)) {
        const line = checkpoint && parseLine(data);
        if (line) this.#judgeLines(parseNote(checkpoint).text, [line], found);
      } else if (this.#trust.tsas.length > 0) {
        sort((await this.#judge([data], checkpoint))[0], found);
        if (!isToken(data)) this.unreadable.push(path);
      }
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.unreadable.push(path);
    }
  }
}

/** Give a signature line as a text, null if these bytes are none. */
function parseLine(data) {
  try {
    const { signatures } = parseNote(concat(utf8("-\n\n"), data));
    return signatures.length === 1 ? signatures[0].line : null;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return null;
  }
}

/** Put what was found of one token where it belongs; of nobody given, nothing is said. */
function sort(judged, found) {
  if (judged === null) return;
  const by = judged.authority;
  if (judged.verdict === "verified") {
    found.anchors.push({ moment: judged.moment, accuracy: judged.accuracy, by });
  } else if (judged.verdict === "failed") {
    found.failed.push(new Words(`The token by ${by} is invalid: ${judged.detail}.`, `${by} 的令牌无效：${judged.detail}。`));
  } else {
    found.undecided.push(
      new Words(`The token by ${by} shows nothing: ${judged.detail}.`, `${by} 的令牌不能证明：${judged.detail}。`),
    );
  }
}
