/** What each type of entry says: the body keys of EVIDENCE.md, section 2. An unknown type has no shape here. */

import {
  anything, bag, count, digest, either, id, instant, many, object, oneOf, orNull, origin, path, percent, positive,
  root, segmentId, term, text, truth, verifierKey, whole,
} from "./shapes.js";
import { isSegmentId } from "./ids.js";

const reason = object({ code: text, text: digest });
const subject = object(
  { kind: oneOf("segment", "case", "recorder", "officer", "docking"), id },
  {},
  (value) => (value.kind === "segment" && !isSegmentId(value.id) ? "a segment is named by its id" : null),
);
const previous = object({ origin, size: count, root });
const recorder = object({ id, vendor: text, model: text, serial: text, known: truth });
const chunks = object({ size: oneOf(8_388_608), count, sha256: digest });
const recorded = object({
  start: orNull(instant),
  end: orNull(instant),
  zone: text,
  source: oneOf("filename", "container", "mtime"),
  uncertainty_ms: count,
});
/** What probing a file found in it. */
export const media = object({ container: text, video: anything, audio: anything, duration_ms: orNull(count) });
const unreadable = object({ unreadable: text });
const range = (value) => {
  if (!Array.isArray(value) || value.length !== 2) return "not a pair";
  return many(count)(value) ?? (value[0] < value[1] ? null : "a range of unreadable bytes ends before it begins");
};
const quarantine = object({ code: text, unreadable: many(range), second_sha256: orNull(digest) });
const statement = object({ subject, action: text, outcome: anything, reason });

/** The shape of each known type's body. */
export const BODIES = new Map(
  Object.entries({
    genesis: object({
      origin, public_key: verifierKey, certificate_sha256: digest, previous: orNull(previous), software: text, reason,
    }),
    docking: object({
      docking: id, bay: text, recorder, officer: orNull(id), inventory_sha256: digest, files: count, bytes: count,
      clock_offset_ms: orNull(whole), clock_uncertainty_ms: orNull(count), clock_set: truth, missing: count,
    }),
    segment: object(
      {
        segment: segmentId, docking: id, path, bytes: count, sha256: digest, chunks, recorder: id,
        recorder_seq: positive, recorder_prev: orNull(digest), officer: orNull(id), recorded,
        media: either(media, unreadable), important: truth, side_of: orNull(segmentId),
        quarantine: orNull(quarantine),
      },
      { sm3: digest },
    ),
    sighting: object({ segment: segmentId, docking: id, path }),
    undocking: object({ docking: id, outcome: oneOf("cleared", "interrupted", "kept"), remaining: count }),
    clearance: object({ docking: id, items: many(object({ segment: segmentId, path })), proofs: many(digest) }),
    wipe: object({
      docking: id, segment: segmentId, path, sha256: digest, clearance: digest,
      outcome: oneOf("gone", "present", "unknown"),
    }),
    anomaly: object({ kind: text, docking: orNull(id), subject: orNull(subject), detail: bag }),
    classification: object(
      {
        segment: segmentId, case: orNull(id), matter: orNull(text), stage: orNull(text), secrecy: orNull(text),
        publicity: orNull(text), rule: orNull(text), clause: orNull(text), policy: digest, retain_until: term,
        basis: oneOf("rule", "feed", "person"), confidence: percent, supersedes: orNull(digest),
      },
      { reason },
    ),
    correction: object(
      { segment: segmentId, reason },
      { officer: id, recorder: id, recorded: object({ start: orNull(instant), end: orNull(instant) }) },
    ),
    hold: object({ hold: id, subject, action: oneOf("placed", "lifted"), reason, reference: anything }),
    derivative: object({
      segment: segmentId, parent_sha256: digest, kind: oneOf("proxy", "poster", "filmstrip", "framehash", "redacted"),
      sha256: digest, bytes: count, tool: text, arguments: anything,
    }),
    replica: object({
      segment: segmentId, store: id, key: text, version: orNull(text), checksum: text, checksum_type: text,
      verified: oneOf("server-checksum", "read-back"), method: text, locked_until: orNull(instant),
      lock_mode: orNull(text), stored: orNull(object({ sha256: digest, chunks })),
    }),
    retire: object({ segment: segmentId, store: id, proofs: many(digest) }),
    disposal: object({
      segment: segmentId, sha256: digest, rule: text, clause: text, approvals: many(anything), stores: many(id),
      phase: oneOf("ordered", "done"),
    }),
    policy: object({
      kind: text, sha256: digest, previous: orNull(digest), phase: oneOf("candidate", "active", "refused"),
      approvals: many(anything),
    }),
    export: object({ export: id, selection: bag, purpose: reason, list_sha256: digest }),
    review: statement,
    disclosure: statement,
    anchor: object({ kind: oneOf("rfc3161", "cosignature"), origin, size: count, root, sha256: digest, by: text }),
    close: object({ reason, next: orNull(origin) }),
  }),
);
