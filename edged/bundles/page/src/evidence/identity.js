/**
 * Whether a log's key belongs to the station it names: the `identity` check of EVIDENCE.md, section 7.
 *
 * Only certificates that the verifier brought along are trusted; those that came with the evidence may lead to one and
 * prove nothing. What contradicts is failed; what cannot be followed is not established.
 */

import { MalformedError } from "../errors.js";
import { worst } from "../verification/report.js";
import { SAN_PREFIX, rawPublicKey } from "./certificates.js";
import { MAX_INTERMEDIATES, chainProblems, chains, validityProblems } from "./chains.js";
import { wholeSeconds } from "./times.js";

const URI = 6;

const fails = (detail) => ({ verdict: "failed", detail });
const open = (detail) => ({ verdict: "not-established", detail });

/**
 * Judge the certificate of an epoch's key at the time of signing `at`: {verdict, detail, root}.
 *
 * Several chains to a root are tried; one without a problem is enough, else the worst problem of all counts.
 */
export async function checkIdentity(leaf, intermediates, roots, { station, origin, at, crls }) {
  const moment = wholeSeconds(at); // as `openssl verify -attime` of section 8 counts
  const own = [...checkLeaf(leaf, station, origin), ...validityProblems(leaf, moment)];
  if (roots.length === 0) return conclude([...own, open("no root was given to trust")], null);
  if (intermediates.length > MAX_INTERMEDIATES) {
    return conclude([...own, open(`more than ${MAX_INTERMEDIATES} intermediate certificates`)], null);
  }
  const found = await chains(leaf, intermediates, roots);
  if (found.length === 0) return conclude([...own, open("no path leads from the certificate to a given root")], null);
  const judged = [];
  for (const chain of found) {
    const problems = [...own, ...(await chainProblems(chain, moment, crls))];
    if (problems.length === 0) return conclude([], chain.at(-1));
    judged.push(...problems);
  }
  return conclude(judged, found[0].at(-1));
}

function conclude(problems, root) {
  const verdict = worst(problems.map((each) => each.verdict));
  const details = new Set(problems.filter((each) => each.verdict === verdict).map((each) => each.detail));
  return { verdict, detail: [...details].join("; "), root };
}

/** Compare the certificate of an epoch's key with what section 4 says it holds. */
function checkLeaf(leaf, station, origin) {
  const problems = [];
  try {
    rawPublicKey(leaf);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    problems.push(fails(error.message));
  }
  if (leaf.commonNames.length !== 1 || leaf.commonNames[0] !== station) {
    problems.push(fails(`the certificate names '${leaf.commonNames.join("', '")}' instead of the station '${station}'`));
  }
  const names = leaf.alternativeNames ?? [];
  if (names.length !== 1 || names[0].type !== URI || names[0].value !== SAN_PREFIX + origin) {
    problems.push(fails(`the certificate is not for the log '${origin}' alone`));
  }
  if (!leaf.usage?.digitalSignature || leaf.usage.keyCertSign) {
    problems.push(fails("the certificate's key usage is not digitalSignature"));
  }
  if (leaf.constraints?.isAuthority) problems.push(fails("the certificate is one of an authority, not of a log"));
  return problems;
}
