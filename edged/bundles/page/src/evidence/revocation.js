/**
 * What revocation lists say of a certificate at the time of a signature (EVIDENCE.md, sections 4 and 7).
 *
 * A list counts if the certificate's issuer signed it, however old it is; one that does not name a certificate says
 * nothing for it. From the theft of a key on nothing is established, and nothing at all when the list does not date it.
 */

import { equal } from "./bytes.js";
import { verifySignature } from "./signatures.js";
import { rfc3339 } from "./times.js";

const KEY_COMPROMISE = 1;
const REMOVE_FROM_CRL = 8;
const REASONS = [
  "unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
  "certificateHold", "7", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
];

/** Give what the lists of `issuer` hold against `certificate` at the time of signing `at`: [{verdict, detail}]. */
export async function revocations(certificate, issuer, at, crls) {
  const problems = [];
  for (const crl of crls) {
    if (!equal(crl.issuer, certificate.issuer)) continue;
    if (!(await verifySignature(issuer.key, crl.algorithm, crl.signature, crl.tbs))) continue;
    for (const revoked of entries(crl, certificate.serial)) problems.push(...judge(revoked, certificate.subjectText, at));
  }
  return problems;
}

function judge(revoked, subject, at) {
  if (revoked.reason === KEY_COMPROMISE) {
    if (revoked.invalidSince === null) {
      return [{ verdict: "not-established", detail: `the key of '${subject}' was stolen, and nobody says since when` }];
    }
    if (revoked.invalidSince > at) return [];
    const since = rfc3339(revoked.invalidSince);
    return [{ verdict: "not-established", detail: `the key of '${subject}' was in other hands since ${since}` }];
  }
  if (revoked.reason === REMOVE_FROM_CRL || revoked.revokedAt > at) return [];
  const since = rfc3339(revoked.revokedAt);
  const reason = REASONS[revoked.reason] ?? revoked.reason;
  return [{ verdict: "failed", detail: `'${subject}' was revoked on ${since} (${reason})` }];
}

/** Find a serial number among those of the list's own issuer; an indirect list holds others' too. */
function entries(crl, serial) {
  let isOwn = true;
  return crl.revoked.filter((each) => {
    if (each.otherIssuer !== null) isOwn = each.otherIssuer;
    return isOwn && each.serial === serial;
  });
}
