/** What the verifier brings along, obtained from elsewhere than the bundle. */

import { loadCertificates, loadCrls } from "./evidence/certificates.js";
import { parsePolicy } from "./evidence/policy.js";

/** How a file of each kind is read; what lies in the bundle is never trust. */
export const READERS = { roots: loadCertificates, tsas: loadCertificates, crls: loadCrls, policy: parsePolicy };

/** Nothing is trusted. */
export function noTrust() {
  return { roots: [], tsas: [], crls: [], policy: null };
}

/** Read a file of a kind into `trust`; throws MalformedError if it is not of that kind. A second policy replaces the first. */
export function bring(trust, kind, data) {
  const found = READERS[kind](data);
  return kind === "policy" ? { ...trust, policy: found } : { ...trust, [kind]: [...trust[kind], ...found] };
}
