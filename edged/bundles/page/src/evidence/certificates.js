/** Certificates and revocation lists, read: everything that `identity` looks at is readable, or nothing is given. */

import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import { MalformedError } from "../errors.js";
import { equal, hex, sha256Hex } from "./bytes.js";
import { commonNames, rfc4514 } from "./names.js";
import { fromDate } from "./times.js";

/** What the one SAN URI of an epoch's certificate begins with; the log's origin follows. */
export const SAN_PREFIX = "tlog:";

export const OID = {
  subjectKey: "2.5.29.14",
  keyUsage: "2.5.29.15",
  alternativeName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  reason: "2.5.29.21",
  invalidityDate: "2.5.29.24",
  certificateIssuer: "2.5.29.29",
  nameConstraints: "2.5.29.30",
  distributionPoints: "2.5.29.31",
  policies: "2.5.29.32",
  authorityKey: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
};

const ED25519 = "1.3.101.112";
const KEY_USAGE = ["digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign", "crlSign"];

/** Read the certificates of a PEM file, at least one. */
export function loadCertificates(data) {
  const found = pem(data, "CERTIFICATE");
  if (found.length === 0) throw new MalformedError("the certificate cannot be read: there is none in PEM form");
  return found.map((der) => readCertificate(der));
}

/** Read revocation lists: any number in PEM, or one in DER. */
export function loadCrls(data) {
  const found = pem(data, "X509 CRL");
  return (found.length > 0 ? found : [data]).map((der) => readCrl(der));
}

/** Read one certificate from DER. */
export function readCertificate(der) {
  return reading("the certificate", () => {
    const found = pkijs.Certificate.fromBER(whole(der));
    const extensions = readExtensions(found.extensions);
    const subject = view(found.subject.valueBeforeDecode);
    const key = found.subjectPublicKeyInfo;
    return {
      der,
      sha256: sha256Hex(der),
      tbs: found.tbsView,
      serial: serialOf(found.serialNumber),
      subject,
      subjectText: rfc4514(subject),
      commonNames: commonNames(subject),
      issuer: view(found.issuer.valueBeforeDecode),
      notBefore: fromDate(found.notBefore.value),
      notAfter: fromDate(found.notAfter.value),
      extensions,
      constraints: constraintsOf(extensions),
      usage: usageOf(extensions),
      alternativeNames: namesOf(extensions, OID.alternativeName),
      purposes: purposesOf(extensions),
      key: {
        oid: key.algorithm.algorithmId,
        parameters: key.algorithm.algorithmParams,
        spki: view(key.toSchema().toBER()),
        raw: key.subjectPublicKey.valueBlock.valueHexView.slice(),
      },
      algorithm: { oid: found.signatureAlgorithm.algorithmId, parameters: found.signatureAlgorithm.algorithmParams },
      innerAlgorithm: found.signature.algorithmId,
      signature: found.signatureValue.valueBlock.valueHexView.slice(),
    };
  });
}

/** Give the 32 bytes of the key of a log; version 1 of the evidence format signs with Ed25519 only. */
export function rawPublicKey(certificate) {
  if (certificate.key.oid !== ED25519 || certificate.key.raw.length !== 32) {
    throw new MalformedError("the certificate holds a key that is not Ed25519");
  }
  return certificate.key.raw;
}

function readCrl(der) {
  return reading("the revocation list", () => {
    const found = pkijs.CertificateRevocationList.fromBER(whole(der));
    const issuer = view(found.issuer.valueBeforeDecode);
    return {
      issuer,
      tbs: found.tbsView,
      algorithm: { oid: found.signatureAlgorithm.algorithmId, parameters: found.signatureAlgorithm.algorithmParams },
      signature: found.signatureValue.valueBlock.valueHexView.slice(),
      revoked: (found.revokedCertificates ?? []).map((each) => {
        const extensions = readExtensions(each.crlEntryExtensions?.extensions);
        return {
          serial: serialOf(each.userCertificate),
          revokedAt: fromDate(each.revocationDate.value),
          reason: inner(extensions, OID.reason, asn1js.Enumerated)?.valueBlock.valueDec ?? 0,
          invalidSince: dateOf(inner(extensions, OID.invalidityDate, asn1js.GeneralizedTime)),
          otherIssuer: extensions.has(OID.certificateIssuer)
            ? namesOf(extensions, OID.certificateIssuer)
                .filter((name) => name.type === 4)
                .some((name) => equal(view(name.value.valueBeforeDecode), issuer))
            : null,
        };
      }),
    };
  });
}

/** Give the DER of every PEM block with this label. */
function pem(data, label) {
  const text = new TextDecoder("latin1").decode(data);
  const begin = `-----BEGIN ${label}-----`;
  const blocks = text.split(begin).slice(1);
  return blocks.map((block) => {
    const end = block.indexOf(`-----END ${label}-----`);
    const base64 = block.slice(0, Math.max(end, 0)).replace(/[ \t\r\n]/g, "");
    if (end < 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
      throw new MalformedError("a PEM block cannot be read");
    }
    return reading("a PEM block", () => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  });
}

/** Turn whatever the ASN.1 library throws at malformed bytes into a MalformedError. */
export function reading(what, read) {
  try {
    return read();
  } catch (error) {
    throw new MalformedError(`${what} cannot be read: ${error.message}`);
  }
}

/** Give the bytes, which must be one ASN.1 value and nothing after it. */
export function whole(der) {
  const { result, offset } = asn1js.fromBER(der);
  if (offset !== der.length || result.error) throw new MalformedError("it is not one ASN.1 value");
  return der;
}

export function view(buffer) {
  return buffer instanceof Uint8Array ? buffer.slice() : new Uint8Array(buffer.slice(0));
}

function readExtensions(found) {
  const extensions = new Map();
  for (const each of found ?? []) {
    if (extensions.has(each.extnID)) throw new MalformedError(`the extension ${each.extnID} stands there twice`);
    extensions.set(each.extnID, { critical: each.critical === true, value: each.extnValue.valueBlock.valueHexView.slice() });
  }
  return extensions;
}

/** Give the ASN.1 value within an extension, null if there is no such extension. */
function inner(extensions, oid, kind) {
  if (!extensions.has(oid)) return null;
  const { result } = asn1js.fromBER(whole(extensions.get(oid).value));
  if (!(result instanceof kind)) throw new MalformedError(`the extension ${oid} is malformed`);
  return result;
}

function constraintsOf(extensions) {
  const found = inner(extensions, OID.basicConstraints, asn1js.Sequence);
  if (!found) return null;
  const parsed = new pkijs.BasicConstraints({ schema: found });
  const length = parsed.pathLenConstraint;
  return { isAuthority: parsed.cA === true, pathLength: length === undefined ? null : Number(length.valueBlock?.toString() ?? length) };
}

function usageOf(extensions) {
  const found = inner(extensions, OID.keyUsage, asn1js.BitString);
  if (!found) return null;
  const first = found.valueBlock.valueHexView[0] ?? 0;
  return Object.fromEntries(KEY_USAGE.map((name, bit) => [name, ((first >> (7 - bit)) & 1) === 1]));
}

function namesOf(extensions, oid) {
  const found = inner(extensions, oid, asn1js.Sequence);
  return found ? new pkijs.GeneralNames({ schema: found }).names : null;
}

function purposesOf(extensions) {
  const found = inner(extensions, OID.extendedKeyUsage, asn1js.Sequence);
  return found ? new pkijs.ExtKeyUsage({ schema: found }).keyPurposes : null;
}

function dateOf(found) {
  return found ? fromDate(found.toDate()) : null;
}

export function serialOf(integer) {
  const digits = hex(integer.valueBlock.valueHexView).replace(/^(?:00)+(?=..)/, "");
  return digits;
}
