/** The check `consistency`: everything here that speaks of a log speaks of one and the same history of it. */

import { MalformedError } from "../errors.js";
import { equal, toBase64 } from "../evidence/bytes.js";
import { ZERO_REF } from "../evidence/entry.js";
import { splitOrigin } from "../evidence/ids.js";
import { logKey, verifyNote, vkey } from "../evidence/note.js";
import { formsOf, isExtended, originOf } from "./logs.js";
import { failed, notEstablished, together, verified } from "./report.js";

/** Compare checkpoints, proofs and what entries say of their log with each other. */
export function checkConsistency(logs, sealed) {
  const objections = [];
  const byLog = new Map();
  for (const each of sealed) {
    if (each.entry === null) continue;
    const log = `${each.entry.station}/${each.entry.epoch}`;
    if (!byLog.has(log)) byLog.set(log, []);
    byLog.get(log).push(each);
  }
  for (const [name, log] of logs) {
    const here = byLog.get(name) ?? [];
    const entries = here.map((each) => each.entry);
    objections.push(...ofChain(log, here), ...log.objections);
    for (const [size, head] of log.heads) objections.push(...ofHead(log, size, head));
    objections.push(...ofJoints(log), ...ofGenesis(log, entries), ...ofClose(log, entries));
  }
  objections.push(...ofProofs(logs, sealed), ...ofStatements(logs, sealed), ...ofEpochs(sealed));
  return together(
    objections,
    verified(
      `The checkpoints of ${logs.size} log(s) agree with each other and with the entries.`,
      `${logs.size} 个日志的检查点彼此一致，且与条目一致。`,
    ),
  );
}

/** Check a checkpoint against its place, its key and its cosigned form. */
function ofHead(log, size, head) {
  const objections = [];
  const where = `logs/${log.name}/${size}/checkpoint`;
  let agrees = false;
  let signed = false;
  try {
    const { station, epoch } = splitOrigin(head.checkpoint.origin);
    agrees = station === log.station && epoch === log.epoch && head.checkpoint.size === size;
    signed = log.key === null || verifyNote(head.note, logKey(head.checkpoint.origin, log.key.publicKey));
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  if (!agrees) {
    objections.push(failed(`${where} is of another log or size than its place says.`, `${where} 的日志或大小与其位置不符。`));
  }
  if (!signed || head.note.signatures.length !== 1) {
    objections.push(
      failed(`${where} does not carry exactly the signature of the log's key.`, `${where} 未恰好带有该日志密钥的签名。`),
    );
  }
  if (head.cosignatures === null) {
    objections.push(
      failed(`${where}.cosigned is not that checkpoint and witness lines.`, `${where}.cosigned 不是该检查点加见证签名。`),
    );
  }
  return objections;
}

/** Check that each checkpoint extends the next smaller one. */
function ofJoints(log) {
  const objections = [];
  const sizes = [...log.heads.keys()];
  for (const [at, size] of sizes.entries()) {
    if (at === 0) continue;
    const smaller = sizes[at - 1];
    // A joint from a size whose checkpoint is not here says nothing of the one below.
    if (log.joints.get(size)?.old !== smaller) {
      objections.push(
        notEstablished(
          `Nothing joins the checkpoints of ${log.name} at sizes ${smaller} and ${size}.`,
          `${log.name} 在大小 ${smaller} 与 ${size} 处的检查点之间没有衔接证明。`,
        ),
      );
    } else if (!isExtended(log, smaller, size)) {
      objections.push(
        failed(
          `The checkpoints of ${log.name} at sizes ${smaller} and ${size} are not proven to be of one history.`,
          `${log.name} 在大小 ${smaller} 与 ${size} 处的检查点未能证明属于同一历史。`,
        ),
      );
    }
  }
  if (new Set([...log.heads.values()].map((head) => head.checkpoint.origin)).size > 1) {
    objections.push(failed(`Checkpoints of ${log.name} name several origins.`, `${log.name} 的检查点载有多个来源名。`));
  }
  return objections;
}

/**
 * Check that each entry cites the one before it, where both are here and in the log.
 *
 * An entry that somebody altered is not in the log; it says nothing of how the station wrote its neighbour.
 */
function ofChain(log, sealed) {
  const proven = new Map();
  for (const each of sealed) {
    if (each.checks.inclusion.verdict === "verified") proven.set(each.entry.seq, each);
  }
  const objections = [];
  for (const { entry } of proven.values()) {
    const before = proven.get(entry.seq - 1)?.ref ?? (entry.seq === 0 ? ZERO_REF : entry.prev);
    if (entry.prev !== before) {
      objections.push(
        failed(
          `Entry ${entry.seq} of ${log.name} does not follow the entry before it.`,
          `${log.name} 的第 ${entry.seq} 号条目并非接在前一条目之后。`,
        ),
      );
    }
  }
  return objections;
}

/** Check that the log's first entry names its key and certificate. */
function ofGenesis(log, entries) {
  const objections = [];
  const found = entries.filter((entry) => entry.type === "genesis");
  if (found.length === 0) {
    objections.push(notEstablished(`The first entry of ${log.name} is not here.`, `缺少 ${log.name} 的首个条目。`));
  }
  for (const { seq, body } of found) {
    if (seq !== 0) {
      objections.push(failed(`${log.name} begins anew at entry ${seq}.`, `${log.name} 在第 ${seq} 号条目处重新开始。`));
    }
    if (log.key === null) continue;
    const origin = originOf(log);
    const agrees =
      (origin === null || origin === body.origin) &&
      body.public_key === vkey(body.origin, log.key.publicKey) &&
      body.certificate_sha256 === log.key.certificates[0].sha256;
    if (!agrees) {
      objections.push(
        failed(
          `The first entry of ${log.name} names another origin, key or certificate than are here.`,
          `${log.name} 的首个条目所载来源名、密钥或证书与此处不符。`,
        ),
      );
    }
  }
  return objections;
}

/** Check that nothing follows the entry that closed the log. */
function ofClose(log, entries) {
  const closing = entries.filter((entry) => entry.type === "close").map((entry) => entry.seq);
  if (closing.length === 0) return [];
  const closed = Math.min(...closing);
  const goesOn =
    entries.some((entry) => entry.seq > closed) || [...log.heads.keys()].some((size) => size > BigInt(closed) + 1n);
  if (!goesOn) return [];
  return [failed(`${log.name} was closed by entry ${closed}, yet goes on.`, `${log.name} 已由第 ${closed} 号条目关闭，却仍有后续。`)];
}

/** Check that the checkpoint in each proof is, byte for byte, the one under `logs/`. */
function ofProofs(logs, sealed) {
  const objections = [];
  for (const { place, entry, ending } of sealed) {
    if (entry === null || ending === null) continue;
    const { size } = ending.checkpoint;
    const head = logs.get(`${entry.station}/${entry.epoch}`)?.heads.get(size);
    if (head === undefined) {
      objections.push(
        notEstablished(
          `The checkpoint that the proof of ${place} ends in is not under logs/.`,
          `${place} 的证明所达检查点不在 logs/ 下。`,
        ),
      );
    } else if (!formsOf(head).some((form) => equal(form, ending.data))) {
      objections.push(
        failed(
          `The proof of ${place} ends in another checkpoint than the one under logs/ at size ${size}.`,
          `${place} 的证明所达检查点与 logs/ 下大小 ${size} 处的不同。`,
        ),
      );
    }
  }
  return objections;
}

/** Check that epochs join: what begins cites the very end of what was closed, and what was closed goes on there. */
function ofEpochs(sealed) {
  const objections = [];
  const entries = sealed.flatMap((each) => each.entry ?? []);
  const logOf = (entry) => `${entry.station}/${entry.epoch}`;
  const ends = new Map();
  const highest = new Map();
  for (const entry of entries) {
    if (entry.type === "close") ends.set(logOf(entry), { size: entry.seq + 1, successor: entry.body.next });
    highest.set(logOf(entry), Math.max(entry.seq, highest.get(logOf(entry)) ?? -1));
  }
  for (const entry of entries) {
    if (entry.type !== "genesis") continue;
    const { previous, origin } = entry.body;
    const here = logOf(entry);
    const before = previous && logOf(splitOrigin(previous.origin));
    if (previous) {
      const { size, successor } = ends.get(before) ?? { size: previous.size, successor: origin };
      const grown = (highest.get(before) ?? -1) >= previous.size;
      if (grown || size !== previous.size || (successor !== null && successor !== origin)) {
        objections.push(failed(`${here} does not continue ${before} where that ended.`, `${here} 并非接在 ${before} 结束之处。`));
      }
    }
    for (const [closed, { successor }] of ends) {
      if (successor === origin && closed !== before) {
        objections.push(
          failed(
            `${closed} was closed in favour of ${here}, which does not cite it.`,
            `${closed} 关闭时指明由 ${here} 接续，后者却未引用它。`,
          ),
        );
      }
    }
  }
  return objections;
}

/** Check what entries say of sizes and roots against the checkpoints here. */
function ofStatements(logs, sealed) {
  const heads = new Map();
  const largest = new Map();
  for (const log of logs.values()) {
    for (const [size, head] of log.heads) {
      const { origin } = head.checkpoint;
      heads.set(`${origin} ${size}`, head.checkpoint);
      if (size > (largest.get(origin) ?? 0n)) largest.set(origin, size);
    }
  }
  const objections = [];
  for (const { place, entry } of sealed) {
    const said = entry?.type === "genesis" ? entry.body.previous : entry?.type === "anchor" ? entry.body : null;
    if (said === null) continue;
    const head = heads.get(`${said.origin} ${said.size}`);
    const contradicted = head !== undefined && toBase64(head.root) !== said.root;
    // The checkpoint that a new epoch cites was the last one of the epoch before.
    const outgrown = entry.type === "genesis" && (largest.get(said.origin) ?? 0n) > BigInt(said.size);
    if (contradicted || outgrown) {
      objections.push(
        failed(
          `${place} says of ${said.origin} what its checkpoints here contradict.`,
          `${place} 关于 ${said.origin} 的记载与此处检查点矛盾。`,
        ),
      );
    }
  }
  return objections;
}
