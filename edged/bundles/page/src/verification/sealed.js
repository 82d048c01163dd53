/**
 * One entry of the bundle with its proof: the checks `entry`, `inclusion`, `signature`, `identity` and `time`.
 *
 * The same questions are asked of a segment's entry and of every custody entry, whose `time` nobody judges by. They are
 * independent: each answers for itself, and what is missing for one leaves that one not established. Only T, the time
 * that `identity` is asked for, is what the anchors say.
 */

import { MalformedError } from "../errors.js";
import { sha256Hex } from "../evidence/bytes.js";
import { parseEntry } from "../evidence/entry.js";
import { checkIdentity } from "../evidence/identity.js";
import { isEpoch, segmentId, splitOrigin } from "../evidence/ids.js";
import { leafHash, verifyInclusion } from "../evidence/merkle.js";
import { logKey, parseCheckpoint, parseNote, verifyNote } from "../evidence/note.js";
import { parseProof } from "../evidence/proofs.js";
import { wholeSeconds } from "../evidence/times.js";
import { earliestOf, nothingFound } from "./anchors.js";
import { MAX_NOTE_BYTES } from "./logs.js";
import { checkTime, notBefore } from "./moments.js";
import { failed, notEstablished, verified } from "./report.js";

const MAX_PROOF_BYTES = MAX_NOTE_BYTES + (16 << 10);

const NO_ENTRY = notEstablished("The entry is not here.", "条目不在此处。");
const NO_PROOF = notEstablished("The proof is not here.", "证明不在此处。");
const NO_KEY = notEstablished(
  "The certificate of the log's key is not here, or cannot be read.",
  "缺少该日志密钥的证书，或证书无法读取。",
);

/** Give the body of an entry of a type, null if it is of another or there is none. */
export function bodyOf(sealed, type) {
  return sealed.entry?.type === type ? sealed.entry.body : null;
}

/**
 * Asks the questions of one entry after the other, under one trust.
 *
 * What comes of it: {place, entry, ref, ending: {data, note, checkpoint}, checks, time, root, notBefore, notAfter}; entry
 * and ending are null where missing or malformed, ref is the digest of the stored bytes.
 */
export class Examiner {
  #contents;
  #logs;
  #trust;
  #anchors;
  // Most proofs of a bundle end in the same checkpoint: it is read and verified once.
  #endings = new Map();
  #signed = new Map();
  #identities = new Map();
  #coverings = new Map();

  constructor(contents, logs, trust, anchors) {
    this.#contents = contents;
    this.#logs = logs;
    this.#trust = trust;
    this.#anchors = anchors;
  }

  /** Examine an entry; `expected` is {segment} in a segment's folder, {station, epoch, seq} under custody. */
  async examine(place, entryPath, proofPath, expected) {
    let { entry, data, checked } = await this.#readEntry(entryPath);
    const { proof, ending, objection } = await this.#readProof(proofPath);
    if (entry !== null) {
      checked = checkPlace(entry, expected) ?? checked;
      if (ending !== null) checked = checkAgreement(entry, ending.checkpoint.origin, proof.index) ?? checked;
    }
    const covering = this.#covering(ending);
    const anchor = earliestOf(covering);
    const after = entry?.after ? await this.#anchors.cited(entry.after) : nothingFound();
    const { identity, root } = await this.#checkIdentity(entry, ending, anchor);
    return {
      place,
      entry,
      ref: data === null ? null : sha256Hex(data),
      ending,
      checks: {
        entry: checked,
        inclusion: objection ?? checkInclusion(data, proof, ending),
        signature: this.#checkSignature(entry, ending),
        identity,
      },
      time: checkTime(covering, after, entry, this.#trust),
      root,
      notBefore: notBefore(after)?.moment ?? null,
      notAfter: anchor?.moment ?? null,
    };
  }

  #covering(ending) {
    const key = ending?.key ?? null;
    if (!this.#coverings.has(key)) this.#coverings.set(key, this.#anchors.covering(ending));
    return this.#coverings.get(key);
  }

  async #readEntry(path) {
    if (path === null) return { entry: null, data: null, checked: NO_ENTRY };
    // An overlong entry is read too: it is no entry, but it is here, and its proof holds or not.
    const data = await this.#contents.asListed(path);
    try {
      const good = verified("The entry is canonical and says what its place says.", "条目为规范形式，内容与其位置一致。");
      return { entry: parseEntry(data), data, checked: good };
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      return { entry: null, data, checked: failed(`The entry is not valid: ${error.message}.`, `条目无效：${error.message}。`) };
    }
  }

  async #readProof(path) {
    if (path === null) return { proof: null, ending: null, objection: NO_PROOF };
    try {
      const proof = parseProof(await this.#contents.small(path, MAX_PROOF_BYTES));
      const key = sha256Hex(proof.checkpoint);
      if (!this.#endings.has(key)) {
        const note = parseNote(proof.checkpoint);
        this.#endings.set(key, { key, data: proof.checkpoint, note, checkpoint: parseCheckpoint(note.text) });
      }
      return { proof, ending: this.#endings.get(key), objection: null };
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      const objection = failed(`The proof is malformed: ${error.message}.`, `证明格式有误：${error.message}。`);
      return { proof: null, ending: null, objection };
    }
  }

  #checkSignature(entry, ending) {
    if (ending === null) return NO_PROOF;
    const log = logOf(entry, ending);
    const key = this.#logs.get(log)?.key;
    if (!key) return NO_KEY;
    const asked = `${log} ${ending.key}`;
    if (!this.#signed.has(asked)) this.#signed.set(asked, isSigned(ending, key));
    return this.#signed.get(asked)
      ? verified("The checkpoint is signed by the key in station.pem.", "检查点由 station.pem 中的密钥签名。")
      : failed("The checkpoint is not signed by the key in station.pem.", "检查点并非由 station.pem 中的密钥签名。");
  }

  async #checkIdentity(entry, ending, anchor) {
    if (entry === null || ending === null) return { identity: entry === null ? NO_ENTRY : NO_PROOF, root: null };
    const log = `${entry.station}/${entry.epoch}`;
    const key = this.#logs.get(log)?.key;
    if (!key) return { identity: NO_KEY, root: null };
    const at = anchor === null ? entry.moment : anchor.moment;
    const asked = `${log} ${wholeSeconds(at)} ${ending.checkpoint.origin}`;
    if (!this.#identities.has(asked)) {
      const about = { station: entry.station, origin: ending.checkpoint.origin, at, crls: this.#trust.crls };
      const [leaf, ...others] = key.certificates;
      this.#identities.set(asked, await checkIdentity(leaf, others, this.#trust.roots, about));
    }
    return identityCheck(this.#identities.get(asked), entry.station);
  }
}

function identityCheck(found, station) {
  if (found.verdict === "failed") {
    const detail = `The key is not that station's: ${found.detail}.`;
    return { identity: failed(detail, `密钥不属于该采集站：${found.detail}。`), root: null };
  }
  if (found.verdict === "not-established" || found.root === null) {
    const detail = `Whose key signed is not known: ${found.detail}.`;
    return { identity: notEstablished(detail, `签名密钥的归属无法确定：${found.detail}。`), root: null };
  }
  const root = { subject: found.root.subjectText, sha256: found.root.sha256 };
  const identity = verified(
    `The key is certified for ${station} under the root ${root.subject} (SHA-256 ${root.sha256}).`,
    `密钥经根证书 ${root.subject}（SHA-256 ${root.sha256}）证明属于 ${station}。`,
  );
  return { identity, root };
}

function isSigned(ending, key) {
  try {
    return verifyNote(ending.note, logKey(ending.checkpoint.origin, key.publicKey));
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return false;
  }
}

/** Give the log that an entry says it is of; without a readable entry, the one its proof speaks of. */
function logOf(entry, ending) {
  if (entry !== null) return `${entry.station}/${entry.epoch}`;
  try {
    const { station, epoch } = splitOrigin(ending.checkpoint.origin);
    return `${station}/${epoch}`;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return null;
  }
}

/** Compare an entry with the folder and name it lies under, and a segment's id with its content. */
function checkPlace(entry, expected) {
  const { body } = entry;
  if (!isEpoch(entry.epoch)) {
    return failed("The entry's epoch is not written YYYY-MM-xxxx.", "条目的纪元不是 YYYY-MM-xxxx 形式。");
  }
  if (entry.type === "segment" && body.segment !== segmentId(body.recorder, body.sha256)) {
    return failed("The segment's id is not the one of its recorder and content.", "片段编号与其记录仪和内容不符。");
  }
  if ("segment" in expected) {
    if (entry.type === "segment" && body.segment === expected.segment) return null;
    return failed("The entry is not that of this segment.", "该条目不属于此片段。");
  }
  if (entry.station === expected.station && entry.epoch === expected.epoch && BigInt(entry.seq) === expected.seq) return null;
  return failed(
    `The entry is number ${entry.seq} of ${entry.station}/${entry.epoch}, not what its file name says.`,
    `该条目实为 ${entry.station}/${entry.epoch} 第 ${entry.seq} 号，与文件名不符。`,
  );
}

/** Compare an entry with the log and the number in it that its proof speaks of. */
function checkAgreement(entry, origin, index) {
  let station, epoch;
  try {
    ({ station, epoch } = splitOrigin(origin));
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return failed(`The proof is of no station's log: ${error.message}.`, `证明不属于任何采集站的日志：${error.message}。`);
  }
  if (entry.station === station && entry.epoch === epoch && BigInt(entry.seq) === index) return null;
  return failed(
    `The entry says ${entry.station}/${entry.epoch} ${entry.seq}, its proof ${station}/${epoch} ${index}.`,
    `条目称 ${entry.station}/${entry.epoch} ${entry.seq}，证明称 ${station}/${epoch} ${index}。`,
  );
}

function checkInclusion(data, proof, ending) {
  if (data === null) return NO_ENTRY;
  const { size, root } = ending.checkpoint;
  if (!verifyInclusion(proof.index, size, leafHash(data), proof.hashes, root)) {
    return failed("The proof does not lead from this entry to the checkpoint's root.", "证明不能由该条目推得检查点的根。");
  }
  return verified(
    `The entry is number ${proof.index} of the ${size} entries under the checkpoint.`,
    `该条目是检查点所含 ${size} 个条目中的第 ${proof.index} 号。`,
  );
}
