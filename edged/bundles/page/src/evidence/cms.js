/**
 * The signed message inside a time-stamp response: RFC 3161 in CMS (RFC 5652), taken apart and its signature checked.
 *
 * What is hashed is always the stored bytes. `openResponse` says whose a token claims to be. Everything else that is
 * wrong with it is an objection: whoever trusts that authority must learn that the token is not one.
 */

import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import { sha1 } from "@noble/hashes/legacy.js";
import { sha384, sha512 } from "@noble/hashes/sha2.js";
import { MalformedError } from "../errors.js";
import { equal, hex, sha256 } from "./bytes.js";
import { OID, readCertificate, reading, serialOf, view, whole } from "./certificates.js";
import { HASHES, verifyMessage } from "./signatures.js";

const SIGNED_DATA = "1.2.840.113549.1.7.2";
const TST_INFO = "1.2.840.113549.1.9.16.1.4";
const CONTENT_TYPE = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
const SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12";
const SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47";
const MAX_CERTIFICATES = 16;
const DIGESTS = { "SHA-256": sha256, "SHA-384": sha384, "SHA-512": sha512 };

/** Hash with the function of an object identifier; null for one that shows nothing. */
export function digestOf(oid, data) {
  return HASHES.has(oid) ? DIGESTS[HASHES.get(oid)](data) : null;
}

/** Take a response apart; throws MalformedError if it is none, or does not hold its signer's certificate. */
export function openResponse(data) {
  return reading("the token", () => {
    const response = pkijs.TimeStampResp.fromBER(whole(data));
    if (!response.timeStampToken) throw new MalformedError(`the authority refused (status ${response.status.status})`);
    if (response.timeStampToken.contentType !== SIGNED_DATA) throw new MalformedError("the token is not signed data");
    const signed = new pkijs.SignedData({ schema: response.timeStampToken.content });
    if (signed.signerInfos.length !== 1) throw new MalformedError("the token does not have one signer");
    const [signer] = signed.signerInfos;
    if (!signer.signedAttrs) throw new MalformedError("the token signs no attributes");
    const attributes = readAttributes(signer.signedAttrs.attributes);
    const certificates = certificatesIn(response.timeStampToken.content);
    const chosen = choose(certificates, signer.sid, attributes);
    return {
      status: response.status.status,
      kind: signed.encapContentInfo.eContentType,
      content: view(signed.encapContentInfo.eContent.getValue()),
      signer: chosen,
      others: certificates.filter((each) => each !== chosen),
      attributes,
      signedBytes: view(signer.signedAttrs.encodedValue),
      digest: signer.digestAlgorithm.algorithmId,
      algorithm: { oid: signer.signatureAlgorithm.algorithmId, parameters: signer.signatureAlgorithm.algorithmParams },
      signature: signer.signature.valueBlock.valueHexView.slice(),
    };
  });
}

/** Give what stands against a message under its signer's own key: [{verdict, detail}]. */
export async function objections(message) {
  const problems = [];
  const fail = (detail) => problems.push({ verdict: "failed", detail });
  if (message.status !== 0 && message.status !== 1) fail(`its status ${message.status} grants nothing`);
  if (message.kind !== TST_INFO) fail("what it signs is no time stamp");
  if (message.attributes === null) {
    fail("its signed attributes, or how they are signed, cannot be understood");
    return problems;
  }
  const digest = message.attributes.get(MESSAGE_DIGEST);
  const kind = message.attributes.get(CONTENT_TYPE);
  const expected = digestOf(message.digest, message.content);
  if (expected === null) fail("it hashes with something else than SHA-256, SHA-384 or SHA-512");
  else if (!(digest instanceof asn1js.OctetString) || !equal(digest.valueBlock.valueHexView, expected)) {
    fail("its time stamp is not the one that was signed");
  }
  if (!(kind instanceof asn1js.ObjectIdentifier) || kind.valueBlock.toString() !== message.kind) {
    fail("its type of content is not the one that was signed");
  }
  if (!names(message.attributes, message.signer)) fail("it does not name its signer's certificate");
  const hash = HASHES.get(message.digest);
  const isSigned = await verifyMessage(message.signer.key, message.algorithm, message.signature, message.signedBytes, hash);
  if (isSigned === null) problems.push({ verdict: "not-established", detail: "it is signed in a way that is not understood here" });
  else if (!isSigned) fail("its signature does not verify");
  return problems;
}

/** Read the signed attributes; each may stand there once, with one value (RFC 5652, section 11); null if not so. */
function readAttributes(found) {
  const attributes = new Map();
  for (const each of found) {
    if (attributes.has(each.type) || each.values.length !== 1) return null;
    attributes.set(each.type, each.values[0]);
  }
  return attributes;
}

/** Read the certificates of signed data from the very bytes that stand there. */
function certificatesIn(signedData) {
  const set = signedData.valueBlock.value.find((each) => each.idBlock.tagClass === 3 && each.idBlock.tagNumber === 0);
  const found = (set?.valueBlock.value ?? []).filter((each) => each instanceof asn1js.Sequence);
  if (found.length > MAX_CERTIFICATES) throw new MalformedError(`the token holds more than ${MAX_CERTIFICATES} certificates`);
  const byDigest = new Map();
  for (const each of found) {
    try {
      const certificate = readCertificate(view(each.valueBeforeDecodeView));
      byDigest.set(certificate.sha256, certificate);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error; // one that cannot be read is not the signer's
    }
  }
  return [...byDigest.values()];
}

/** Find the signer's certificate: the one that its identifier and ESSCertID name, else the one of the identifier. */
function choose(certificates, identifier, attributes) {
  const found = certificates.filter((each) => isIdentified(each, identifier));
  if (found.length === 0) throw new MalformedError("the token does not hold its signer's certificate");
  return (attributes && found.find((each) => names(attributes, each))) ?? found[0];
}

/** Compare a certificate with a SignerIdentifier: issuer and serial number, or key identifier. */
function isIdentified(certificate, identifier) {
  if (identifier instanceof pkijs.IssuerAndSerialNumber) {
    const issuer = view(identifier.issuer.valueBeforeDecode);
    return equal(issuer, certificate.issuer) && serialOf(identifier.serialNumber) === certificate.serial;
  }
  const own = certificate.extensions.get(OID.subjectKey);
  const said = identifier.valueBlock.valueHexView;
  return own !== undefined && said !== undefined && equal(own.value.subarray(2), said);
}

/** Say whether ESSCertIDv2 (RFC 5035), or ESSCertID (RFC 2634), names a certificate, and neither another. */
function names(attributes, certificate) {
  const said = [SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2].filter((kind) => attributes.has(kind));
  // The first is the signer's. Others would narrow the chain (RFC 2634, section 5.4), which ends in a given root.
  return said.length > 0 && said.every((kind) => isNamed(itemsOf(itemsOf(itemsOf(attributes.get(kind))[0])[0]), kind, certificate));
}

function isNamed(parts, kind, certificate) {
  let hash = kind === SIGNING_CERTIFICATE ? sha1 : sha256; // SHA-1 only names; the signature is over the attribute
  let [value] = parts;
  if (kind === SIGNING_CERTIFICATE_V2 && value instanceof asn1js.Sequence) {
    const oid = itemsOf(value)[0];
    hash = oid instanceof asn1js.ObjectIdentifier ? DIGESTS[HASHES.get(oid.valueBlock.toString())] : undefined;
    value = parts[1];
  }
  return hash !== undefined && value instanceof asn1js.OctetString && hex(value.valueBlock.valueHexView) === hex(hash(certificate.der));
}

function itemsOf(value) {
  return value instanceof asn1js.Sequence ? value.valueBlock.value : [];
}
