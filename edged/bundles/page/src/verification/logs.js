/**
 * The logs of a bundle as they lie there: certificates, checkpoints, and proofs that join them.
 *
 * Reading only: what is malformed or missing becomes an objection that `history` judges with the rest.
 */

import { MalformedError } from "../errors.js";
import { concat, equal, utf8 } from "../evidence/bytes.js";
import { loadCertificates, rawPublicKey } from "../evidence/certificates.js";
import { verifyConsistency } from "../evidence/merkle.js";
import { parseCheckpoint, parseNote } from "../evidence/note.js";
import { parseConsistency } from "../evidence/proofs.js";
import { failed, notEstablished } from "./report.js";

/** A checkpoint with a hundred witnesses has a fifth of this. */
export const MAX_NOTE_BYTES = 64 << 10;
const MAX_PEM_BYTES = 256 << 10;

/** Read every log of the bundle: a Map by STATION/EPOCH. */
export async function readLogs(files, contents) {
  const logs = new Map();
  for (const [name, here] of files) logs.set(name, await readLog(name, here, contents));
  return logs;
}

/** Give the origin that the checkpoints of a log name, null where there is none or they disagree. */
export function originOf(log) {
  const origins = new Set([...log.heads.values()].map((head) => head.checkpoint.origin));
  return origins.size === 1 ? [...origins][0] : null;
}

/** Give the bytes that a proof may end in. */
export function formsOf(head) {
  return head.cosigned === null ? [head.data] : [head.data, head.cosigned];
}

/** Say whether a proof here shows that the checkpoint of a size extends that of the next smaller one. */
export function isExtended(log, smaller, size) {
  const [old, head, joint] = [log.heads.get(smaller), log.heads.get(size), log.joints.get(size)];
  return (
    joint !== undefined &&
    joint.old === smaller &&
    formsOf(head).some((form) => equal(form, joint.checkpoint)) &&
    verifyConsistency(smaller, size, joint.hashes, old.checkpoint.root, head.checkpoint.root)
  );
}

/** Give a size whose checkpoint is here, and the larger ones that are proven to extend it, one by one. */
export function coveringSizes(log, size) {
  const larger = [...log.heads.keys()].filter((each) => each >= size);
  if (larger[0] !== size) return [];
  const end = larger.findIndex((each, at) => at > 0 && !isExtended(log, larger[at - 1], each));
  return end < 0 ? larger : larger.slice(0, end);
}

/** Give the lines of witnesses; null where `checkpoint.cosigned` is not that checkpoint and such lines. */
function cosignaturesOf(data, origin, cosigned) {
  if (cosigned === null) return [];
  let signatures;
  try {
    signatures = parseNote(cosigned).signatures.slice(1);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return null;
  }
  const lines = signatures.map((each) => each.line);
  const isWhole = equal(concat(data, utf8(lines.join(""))), cosigned);
  return isWhole && lines.length > 0 && signatures.every((each) => each.name !== origin) ? lines : null;
}

async function readLog(name, files, contents) {
  const { station, epoch } = files;
  const log = { name, station, epoch, key: null, heads: new Map(), joints: new Map(), objections: [] };
  if (files.pem === null) {
    miss(log, "station.pem");
  } else {
    await orRefuse(log, "station.pem", async () => {
      const certificates = loadCertificates(await contents.small(files.pem, MAX_PEM_BYTES));
      log.key = { certificates, publicKey: rawPublicKey(certificates[0]) };
    });
  }
  let smaller = null;
  for (const size of [...files.sizes.keys()].sort((one, two) => (one < two ? -1 : 1))) {
    await orRefuse(log, String(size), async () => {
      await readSize(log, size, files.sizes.get(size), contents);
      await readJoints(log, files, size, smaller, contents);
    });
    smaller = size;
  }
  return log;
}

async function readSize(log, size, files, contents) {
  if (files.checkpoint === null) {
    miss(log, `${size}/checkpoint`);
    return;
  }
  const data = await contents.small(files.checkpoint, MAX_NOTE_BYTES);
  const cosigned = files.cosigned && (await contents.small(files.cosigned, MAX_NOTE_BYTES));
  const note = parseNote(data);
  const checkpoint = parseCheckpoint(note.text);
  log.heads.set(size, { checkpoint, note, data, cosigned, cosignatures: cosignaturesOf(data, checkpoint.origin, cosigned) });
}

async function readJoints(log, files, size, smaller, contents) {
  for (const [old, path] of files.sizes.get(size).joinedFrom) {
    const joint = parseConsistency(await contents.small(path, MAX_NOTE_BYTES));
    if (joint.old !== old) {
      throw new MalformedError(`from-${old}.consistency proves from another size than its name says`);
    }
    if (old === smaller) {
      log.joints.set(size, joint);
    } else if (files.sizes.has(old)) {
      throw new MalformedError(`from-${old}.consistency does not join the next smaller size of the bundle`);
    } else {
      miss(log, String(old));
    }
  }
}

async function orRefuse(log, name, read) {
  try {
    await read();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    log.objections.push(
      failed(`logs/${log.name}/${name} is malformed: ${error.message}.`, `logs/${log.name}/${name} 格式有误：${error.message}。`),
    );
  }
}

function miss(log, name) {
  log.objections.push(notEstablished(`logs/${log.name}/${name} is not here.`, `缺少 logs/${log.name}/${name}。`));
}
