/**
 * What each file of a bundle is, by its name alone: the layout of EVIDENCE.md, section 6.
 *
 * Only regular files whose whole path is one of the page's have a part to play; every other name is set aside for
 * the check `bag` to object to.
 */

import { UnreadableError } from "../errors.js";
import { EPOCH_PATTERN, ID_PATTERN, SEGMENT_PATTERN } from "../evidence/ids.js";
import { byCodePoints, sorted } from "./words.js";

/** A bundle of more files is not read: the bound on what its names alone may cost in memory. */
export const MAX_FILES = 200_000;
/** Entries and proofs of a bundle together; they are held in memory while they are compared. */
export const MAX_ENTRIES_BYTES = 128 << 20;

export const BAGIT = "bagit.txt";
export const MANIFEST = "manifest-sha256.txt";
export const TAG_MANIFEST = "tagmanifest-sha256.txt";
export const EXPORT = "data/export.json";
export const TEXTS = "data/texts.json";

const NUMBER = "(?:0|[1-9][0-9]{0,17})";
const LOG = `(?<station>${ID_PATTERN})/(?<epoch>${EPOCH_PATTERN})`;
const SIZE = `data/logs/${LOG}/(?<size>${NUMBER})`;
const SEGMENT = `(?<segment>${SEGMENT_PATTERN})`;

const PLAIN = new Set([
  BAGIT, "bag-info.txt", MANIFEST, TAG_MANIFEST, "VERIFY.md", "VERIFY.zh.md", "verify.html", EXPORT, TEXTS,
  "data/trust/root.pem", "data/trust/tsa.pem", "data/trust/policy.txt", "data/report.json", "data/report.html",
]);

const PARTS = Object.entries({
  "segment entry": `data/segments/${SEGMENT}/entry\\.json`,
  "segment proof": `data/segments/${SEGMENT}/entry\\.tlog-proof`,
  "chunk list": `data/segments/${SEGMENT}/chunks\\.sha256`,
  original: `data/segments/${SEGMENT}/(?<name>[^/]+)`,
  "custody entry": `data/custody/${LOG}/(?<seq>${NUMBER})\\.json`,
  "custody proof": `data/custody/${LOG}/(?<seq>${NUMBER})\\.tlog-proof`,
  station: `data/logs/${LOG}/station\\.pem`,
  checkpoint: `${SIZE}/checkpoint`,
  cosigned: `${SIZE}/checkpoint\\.cosigned`,
  token: `${SIZE}/(?<token>[A-Za-z0-9_][A-Za-z0-9_-]{0,63})(?:\\.(?<renewal>[1-9][0-9]{0,5}))?\\.tsr`,
  consistency: `${SIZE}/from-(?<old>${NUMBER})\\.consistency`,
  anchor: "data/anchors/[0-9a-f]{64}(?:\\.checkpoint)?",
  derivative: `data/derivatives/${SEGMENT}/(?<kind>[a-z]+)\\.[A-Za-z0-9]{1,10}`,
  inventory: `data/dockings/(?<docking>${ID_PATTERN})/inventory\\.json`,
}).map(([kind, pattern]) => [kind, new RegExp(`^${pattern}$`, "su")]);

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/;
const KINDS = new Set(["proxy", "poster", "filmstrip", "framehash", "redacted"]);

/** Put every listed name in its place; `listing` is [{path, kind: file | folder | other, size}]. */
export function arrange(listing) {
  if (listing.length > MAX_FILES) throw new UnreadableError(`The bundle has more than ${MAX_FILES} files.`);
  const files = new Map(listing.filter((file) => file.kind === "file").map((file) => [file.path, file]));
  const paths = [...files.keys()].sort();
  const layout = {
    files,
    notRegular: sorted(listing.filter((file) => file.kind === "other").map((file) => file.path)),
    strangers: listing.filter((file) => file.kind === "folder" && !holds(paths, file.path)).map((file) => file.path),
    segments: new Map(),
    custody: new Map(),
    logs: new Map(),
    derivatives: [],
    inventories: new Map(),
    tokens: [],
    anchors: [],
  };
  let entriesBytes = 0;
  for (const path of [...files.keys()].sort(byCodePoints)) {
    if (PLAIN.has(path)) continue;
    const kind = place(layout, path);
    if (kind === null || isMisnamed(kind, path)) layout.strangers.push(path);
    else if (/(?:entry|proof)$/.test(kind)) entriesBytes += files.get(path).size;
  }
  if (entriesBytes > MAX_ENTRIES_BYTES) {
    throw new UnreadableError(`The entries of the bundle exceed ${MAX_ENTRIES_BYTES >> 20} MiB.`);
  }
  return layout;
}

/** Say whether any of these paths, in the order of `sort()`, lies below a folder. */
export function holds(paths, folder) {
  const beginning = `${folder}/`;
  let [from, to] = [0, paths.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (paths[middle] < beginning) from = middle + 1;
    else to = middle;
  }
  return from < paths.length && paths[from].startsWith(beginning);
}

/** Say whether a file lies where one of its kind does, under a name that none can have. */
function isMisnamed(kind, path) {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (kind === "original") return !NAME.test(name);
  return kind === "derivative" && !KINDS.has(name.split(".")[0]);
}

/** Put one file in its place and give what it is, or null where section 6 has no such name. */
function place(layout, path) {
  for (const [kind, pattern] of PARTS) {
    const part = pattern.exec(path)?.groups ?? (pattern.test(path) ? {} : null);
    if (part) {
      put(layout, kind, part, path);
      return kind;
    }
  }
  return null;
}

function put(layout, kind, part, path) {
  if (kind === "derivative") layout.derivatives.push({ segment: part.segment, kind: part.kind, path });
  else if (kind === "inventory") layout.inventories.set(part.docking, path);
  else if (kind === "anchor") layout.anchors.push(path);
  else if (part.segment) putOfSegment(layout, kind, part.segment, path);
  else if (part.seq) putOfCustody(layout, kind, part, path);
  else putOfLog(layout, kind, part, path);
}

function putOfSegment(layout, kind, segment, path) {
  const files = had(layout.segments, segment, () => ({ segment, entry: null, proof: null, chunkList: null, originals: [] }));
  if (kind === "segment entry") files.entry = path;
  else if (kind === "segment proof") files.proof = path;
  else if (kind === "chunk list") files.chunkList = path;
  else files.originals.push(path);
}

function putOfCustody(layout, kind, { station, epoch, seq }, path) {
  const base = `data/custody/${station}/${epoch}/${seq}`;
  const files = had(layout.custody, base, () => ({
    station, epoch, seq: BigInt(seq), place: `${base}.json`, entry: null, proof: null,
  }));
  if (kind === "custody entry") files.entry = path;
  else files.proof = path;
}

function putOfLog(layout, kind, part, path) {
  const name = `${part.station}/${part.epoch}`;
  const log = had(layout.logs, name, () => ({ station: part.station, epoch: part.epoch, pem: null, sizes: new Map() }));
  if (kind === "station") {
    log.pem = path;
    return;
  }
  const size = BigInt(part.size);
  const files = had(log.sizes, size, () => ({ checkpoint: null, cosigned: null, joinedFrom: new Map(), tokens: new Map() }));
  if (kind === "checkpoint") files.checkpoint = path;
  else if (kind === "cosigned") files.cosigned = path;
  else if (kind === "consistency") files.joinedFrom.set(BigInt(part.old), path);
  else {
    had(files.tokens, part.token, () => new Map()).set(Number(part.renewal ?? 0), path); // the token itself at 0
    layout.tokens.push(path);
  }
}

function had(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}
