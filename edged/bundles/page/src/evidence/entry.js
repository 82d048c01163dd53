/** One entry of the ledger: what its stored bytes mean (EVIDENCE.md, section 2). */

import { MalformedError } from "../errors.js";
import { equal } from "./bytes.js";
import { BODIES } from "./bodies.js";
import { decode, encode, isObject } from "./canonical.js";
import { ID_PATTERN } from "./ids.js";
import { bag, count, digest, id, object, oneOf, text } from "./shapes.js";
import { parseInstant } from "./times.js";

/** The largest entry. */
export const MAX_BYTES = 65_535;
/** What the first entry of an epoch has as `prev`. */
export const ZERO_REF = "0".repeat(64);

const TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$/;
const ACTOR = new RegExp(`^(?:edged|(?:user|remote):${ID_PATTERN})$`);
const KEYS = new Set(["v", "type", "station", "epoch", "seq", "prev", "time", "clock", "actor", "after", "body"]);

const envelope = object(
  {
    v: oneOf(1),
    type: text,
    station: id,
    epoch: id,
    seq: count,
    prev: digest,
    time: (value) => (typeof value === "string" && TIME.test(value) && parseInstant(value) ? null : "no UTC milliseconds"),
    clock: oneOf("synchronised", "unsynchronised"),
    actor: (value) => (typeof value === "string" && ACTOR.test(value) ? null : "not edged, user:ID or remote:ID"),
    body: bag,
  },
  { after: digest },
);

/** Read the bytes of an entry; the error names the key that is not as it must be. `moment` is its `time`. */
export function parseEntry(data) {
  if (data.length > MAX_BYTES) {
    throw new MalformedError(`an entry of ${data.length} bytes is longer than ${MAX_BYTES}`);
  }
  const document = decode(data);
  if (!isObject(document)) throw new MalformedError("an entry is a JSON object");
  if (!equal(encode(document), data)) throw new MalformedError("the entry is not in canonical form (RFC 8785)");
  const further = Object.keys(document).find((key) => !KEYS.has(key));
  const wrong = envelope(document) ?? (further === undefined ? null : `${further}: a further key has no place here`);
  if (wrong) throw new MalformedError(`entry: ${wrong}`);
  const wrongBody = BODIES.get(document.type)?.(document.body);
  if (wrongBody) throw new MalformedError(`${document.type} entry: body.${wrongBody}`);
  return { ...document, after: document.after ?? null, moment: parseInstant(document.time).moment };
}
