/**
 * Signatures of certificates, revocation lists and tokens: Ed25519, ECDSA and RSA over SHA-256 and longer.
 *
 * Whatever is not known here, SHA-1 and MD5 above all, verifies nothing.
 */

import * as asn1js from "asn1js";
import { verifyEd25519 } from "./note.js";

export const HASHES = new Map([
  ["2.16.840.1.101.3.4.2.1", "SHA-256"],
  ["2.16.840.1.101.3.4.2.2", "SHA-384"],
  ["2.16.840.1.101.3.4.2.3", "SHA-512"],
]);

const ED25519 = "1.3.101.112";
const EC = "1.2.840.10045.2.1";
const RSA = "1.2.840.113549.1.1.1";
const RSA_PSS = "1.2.840.113549.1.1.10";
const RSA_WITH = new Map([
  ["1.2.840.113549.1.1.11", "SHA-256"],
  ["1.2.840.113549.1.1.12", "SHA-384"],
  ["1.2.840.113549.1.1.13", "SHA-512"],
]);
const ECDSA_WITH = new Map([
  ["1.2.840.10045.4.3.2", "SHA-256"],
  ["1.2.840.10045.4.3.3", "SHA-384"],
  ["1.2.840.10045.4.3.4", "SHA-512"],
]);
const CURVES = new Map([
  ["1.2.840.10045.3.1.7", { namedCurve: "P-256", bytes: 32 }],
  ["1.3.132.0.34", { namedCurve: "P-384", bytes: 48 }],
  ["1.3.132.0.35", { namedCurve: "P-521", bytes: 66 }],
]);

/**
 * Say whether `signature` over `message` verifies as a certificate or a revocation list is signed.
 *
 * `key` is {oid, parameters, spki, raw}, `algorithm` {oid, parameters}.
 */
export async function verifySignature(key, algorithm, signature, message) {
  if (algorithm.oid === ED25519 && key.oid === ED25519) return verifyEd25519(signature, message, key.raw);
  const isEcdsa = ECDSA_WITH.has(algorithm.oid);
  if (key.oid !== (isEcdsa ? EC : RSA)) return false;
  if (algorithm.oid === RSA_PSS) return verifyPss(key, algorithm, signature, message);
  return isEcdsa
    ? verifyEcdsa(key, ECDSA_WITH.get(algorithm.oid), signature, message)
    : verifyPkcs1(key, RSA_WITH.get(algorithm.oid), signature, message);
}

/**
 * Say whether the `signature` of a token verifies, null where its kind of key is not understood here.
 *
 * `hash` is what the token names apart from its signature algorithm, for algorithms without one of their own.
 */
export async function verifyMessage(key, algorithm, signature, message, hash) {
  const own = RSA_WITH.get(algorithm.oid) ?? ECDSA_WITH.get(algorithm.oid) ?? hash;
  if (key.oid === EC) return CURVES.has(oidIn(key.parameters)) ? verifyEcdsa(key, own, signature, message) : null;
  if (key.oid !== RSA) return null;
  return algorithm.oid === RSA_PSS
    ? verifyPss(key, algorithm, signature, message)
    : verifyPkcs1(key, own, signature, message);
}

function verifyEcdsa(key, hash, signature, message) {
  const curve = CURVES.get(oidIn(key.parameters));
  const raw = curve && rawEcdsa(signature, curve.bytes);
  return raw ? ask(key, { name: "ECDSA", namedCurve: curve.namedCurve }, { name: "ECDSA", hash }, raw, message) : false;
}

function verifyPkcs1(key, hash, signature, message) {
  const scheme = { name: "RSASSA-PKCS1-v1_5", hash };
  return ask(key, scheme, scheme, signature, message);
}

function verifyPss(key, algorithm, signature, message) {
  const found = pssParameters(algorithm.parameters);
  if (!found) return false;
  return ask(key, { name: "RSA-PSS", hash: found.hash }, { name: "RSA-PSS", saltLength: found.saltLength }, signature, message);
}

async function ask(key, importing, using, signature, message) {
  try {
    const imported = await crypto.subtle.importKey("spki", key.spki, importing, false, ["verify"]);
    return await crypto.subtle.verify(using, imported, signature, message);
  } catch {
    return false; // a key, hash or signature that the browser refuses
  }
}

function oidIn(parameters) {
  return parameters instanceof asn1js.ObjectIdentifier ? parameters.valueBlock.toString() : null;
}

/** Write the two numbers of an ECDSA signature side by side, as WebCrypto wants them. */
function rawEcdsa(der, bytes) {
  const { result, offset } = asn1js.fromBER(der);
  const numbers = result instanceof asn1js.Sequence ? result.valueBlock.value : [];
  if (offset !== der.length || numbers.length !== 2) return null;
  const raw = new Uint8Array(2 * bytes);
  for (const [at, number] of numbers.entries()) {
    if (!(number instanceof asn1js.Integer)) return null;
    let digits = number.valueBlock.valueHexView;
    while (digits.length > 1 && digits[0] === 0) digits = digits.subarray(1);
    if (digits.length > bytes) return null;
    raw.set(digits, (at + 1) * bytes - digits.length);
  }
  return raw;
}

/** Read RSASSA-PSS-params (RFC 4055): the hash, used for the mask as well, and the length of the salt. */
function pssParameters(parameters) {
  const tagged = new Map((parameters?.valueBlock?.value ?? []).map((each) => [each.idBlock.tagNumber, each.valueBlock.value[0]]));
  const hash = HASHES.get(oidIn(tagged.get(0)?.valueBlock.value[0]));
  const mask = HASHES.get(oidIn(tagged.get(1)?.valueBlock.value[1]?.valueBlock.value[0]));
  const saltLength = tagged.get(2)?.valueBlock.valueDec ?? 20;
  return hash && hash === mask ? { hash, saltLength } : null;
}
