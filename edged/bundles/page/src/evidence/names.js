/** Distinguished names: the common names in them, and their spelling by RFC 4514. */

import * as asn1js from "asn1js";
import { hex } from "./bytes.js";

const COMMON_NAME = "2.5.4.3";
const SHORT = new Map([
  [COMMON_NAME, "CN"],
  ["2.5.4.7", "L"],
  ["2.5.4.8", "ST"],
  ["2.5.4.10", "O"],
  ["2.5.4.11", "OU"],
  ["2.5.4.6", "C"],
  ["2.5.4.9", "STREET"],
  ["0.9.2342.19200300.100.1.25", "DC"],
  ["0.9.2342.19200300.100.1.1", "UID"],
]);

/** Give every common name in the DER of a name. */
export function commonNames(der) {
  return attributes(der).flat().filter((each) => each.oid === COMMON_NAME).map((each) => each.text);
}

/** Write the DER of a name as RFC 4514 does, the last attribute first. */
export function rfc4514(der) {
  const written = attributes(der).map((set) => set.map((each) => `${SHORT.get(each.oid) ?? each.oid}=${escaped(each.text)}`).join("+"));
  return written.reverse().join(",");
}

function attributes(der) {
  return asn1js.fromBER(der).result.valueBlock.value.map((set) =>
    set.valueBlock.value.map((pair) => {
      const [oid, value] = pair.valueBlock.value;
      return { oid: oid.valueBlock.toString(), text: textOf(value) };
    }),
  );
}

function textOf(value) {
  const found = value.valueBlock.value;
  return typeof found === "string" ? found : `#${hex(value.valueBlock.valueHexView ?? new Uint8Array())}`;
}

function escaped(text) {
  let found = text.replace(/\\/g, "\\\\").replace(/["+,;<>]/g, (mark) => `\\${mark}`).replace(/\0/g, "\\00");
  if (/^[# ]/.test(found)) found = `\\${found}`;
  return found.endsWith(" ") ? `${found.slice(0, -1)}\\ ` : found;
}
