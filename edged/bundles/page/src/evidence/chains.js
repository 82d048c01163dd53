/**
 * Chains of certificates, from one that somebody shows to one that the verifier brought along.
 *
 * RFC 5280, section 6.1, as far as edged understands certificates. What contradicts is failed; what cannot be followed
 * (an extension that is critical and not understood, a key whose theft is dated) is not established.
 */

import { equal } from "./bytes.js";
import { OID } from "./certificates.js";
import { revocations } from "./revocation.js";
import { verifySignature } from "./signatures.js";
import { rfc3339 } from "./times.js";

/** More certificates than this beside the one in question are not tried: every order of them may be a chain. */
export const MAX_INTERMEDIATES = 6;

/** Extensions that may be critical. Policies bind nothing here, where any policy will do (RFC 5280, 6.1.1). */
export const UNDERSTOOD = new Set([
  OID.authorityKey, OID.basicConstraints, OID.policies, OID.distributionPoints, OID.keyUsage, OID.alternativeName,
  OID.subjectKey,
]);

const fails = (detail) => ({ verdict: "failed", detail });
const open = (detail) => ({ verdict: "not-established", detail });

/** Find every chain to a given root whose names and signatures hold; none if there are too many intermediates. */
export async function chains(certificate, intermediates, roots) {
  return intermediates.length > MAX_INTERMEDIATES ? [] : longer([certificate], intermediates, roots);
}

async function longer(chain, intermediates, roots) {
  const found = [];
  for (const root of roots) {
    if (!chain.some((each) => isSame(each, root)) && (await isIssuedBy(chain.at(-1), root))) found.push([...chain, root]);
  }
  for (const each of intermediates) {
    if ([...chain, ...roots].some((other) => isSame(each, other)) || !(await isIssuedBy(chain.at(-1), each))) continue;
    found.push(...(await longer([...chain, each], intermediates, roots)));
  }
  return found;
}

function isSame(one, two) {
  return equal(one.der, two.der);
}

async function isIssuedBy(certificate, issuer) {
  if (!equal(certificate.issuer, issuer.subject) || certificate.innerAlgorithm !== certificate.algorithm.oid) return false;
  return verifySignature(issuer.key, certificate.algorithm, certificate.signature, certificate.tbs);
}

/** Give what stands against a chain of good signatures at a moment; `understood` extensions may be critical. */
export async function chainProblems(chain, at, crls, understood = UNDERSTOOD) {
  const problems = [];
  let below = 0;
  for (const [position, each] of chain.entries()) {
    problems.push(...validityProblems(each, at));
    for (const [oid, extension] of each.extensions) {
      if ((extension.critical && !understood.has(oid)) || oid === OID.nameConstraints) {
        problems.push(open(`'${each.subjectText}' has an extension that is not understood: ${oid}`));
      }
    }
    if (position === 0) continue;
    problems.push(...authorityProblems(each, below));
    below += equal(each.subject, each.issuer) ? 0 : 1;
  }
  for (const [position, each] of chain.slice(0, -1).entries()) {
    problems.push(...(await revocations(each, chain[position + 1], at, crls)));
  }
  return problems;
}

/** Say whether a moment lies outside a certificate's term. */
export function validityProblems(certificate, at) {
  if (certificate.notBefore <= at && at <= certificate.notAfter) return [];
  return [fails(`'${certificate.subjectText}' was not valid on ${rfc3339(at)}`)];
}

/** Check that a certificate may issue others, with `below` more of authorities under it. */
function authorityProblems(issuer, below) {
  const problems = [];
  if (!issuer.constraints?.isAuthority) {
    problems.push(fails(`'${issuer.subjectText}' is not an authority, yet issued a certificate`));
  } else if (issuer.constraints.pathLength !== null && below > issuer.constraints.pathLength) {
    problems.push(fails(`'${issuer.subjectText}' has more authorities under it than it may`));
  }
  if (issuer.usage && !issuer.usage.keyCertSign) problems.push(fails(`'${issuer.subjectText}' may not sign certificates`));
  return problems;
}
