/**
 * Time stamps by authorities (RFC 3161): what a token is worth (EVIDENCE.md, section 5).
 *
 * A token counts only if its signer's certificate leads to a root that the verifier brought along; of anybody else's
 * nothing is said. Of a given authority's token all must hold. Its chain must hold a second time: at the moment of
 * verification, or when a verified renewal stamped the token; where it does not hold then, nothing is established.
 */

import * as pkijs from "pkijs";
import { MalformedError } from "../errors.js";
import { equal } from "./bytes.js";
import { OID, reading, whole } from "./certificates.js";
import { UNDERSTOOD, chainProblems, chains } from "./chains.js";
import { digestOf, objections, openResponse } from "./cms.js";
import { fromDate, wholeSeconds } from "./times.js";
import { worst } from "../verification/report.js";

const TIME_STAMPING = "1.3.6.1.5.5.7.3.8";
const ANY_PURPOSE = "2.5.29.37.0";
const UNDERSTOOD_OF_AUTHORITIES = new Set([...UNDERSTOOD, OID.extendedKeyUsage]);
const SEVERITY = { verified: 0, "not-established": 1, failed: 2 };

const fails = (detail) => ({ verdict: "failed", detail });
const open = (detail) => ({ verdict: "not-established", detail });

/**
 * Judge a token over `data` and its renewals, each of which stamps the bytes of the one before; the token is first.
 *
 * Gives for each {verdict, detail, authority, moment, accuracy}, moment null unless verified; or null for what is of
 * nobody given, or no token at all. A renewal holds up the one before it if it is verified itself; if it is of a given
 * authority and invalid, all before it are invalid too. Where `data` is null, what was stamped is not asked.
 */
export async function judgeSeries(series, data, roots, now, crls) {
  const found = [];
  let [until, invalid] = [now, ""];
  for (let at = series.length - 1; at >= 0; at -= 1) {
    let judged = await orNull(() => judge(series[at], at > 0 ? series[at - 1] : data, roots, until, crls));
    until = judged?.moment ?? now;
    if (judged?.verdict === "failed") invalid = `its renewal: ${judged.detail}`;
    else if (judged && invalid) judged = { ...judged, verdict: "failed", detail: invalid, moment: null };
    found.unshift(judged);
  }
  return found;
}

/** Say whether these bytes can be read as a token that says whose it is. */
export function isToken(response) {
  try {
    openResponse(response);
    return true;
  } catch (error) {
    if (error instanceof MalformedError) return false;
    throw error;
  }
}

async function orNull(judging) {
  try {
    return await judging();
  } catch (error) {
    if (error instanceof MalformedError) return null;
    throw error;
  }
}

async function judge(response, data, roots, until, crls) {
  const message = openResponse(response);
  const found = await chains(message.signer, message.others, roots);
  if (found.length === 0) return null;
  const authority = message.signer.commonNames[0] ?? message.signer.subjectText;
  const wrong = [...(await objections(message)), ...unfit(message.signer).map(fails)];
  let info;
  try {
    info = reading("its time stamp", () => pkijs.TSTInfo.fromBER(whole(message.content)));
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return conclude(authority, [...wrong, fails("its time stamp is not written as RFC 3161 says")], null);
  }
  const moment = fromDate(info.genTime);
  const judged = [];
  for (const chain of found) judged.push(await ofChain(chain, moment, until, crls));
  judged.sort((one, two) => SEVERITY[worst(one.map((each) => each.verdict))] - SEVERITY[worst(two.map((each) => each.verdict))]);
  return conclude(authority, [...wrong, ...ofStatement(info, data), ...judged[0]], moment, spanOf(info.accuracy));
}

/** Give an accuracy in microseconds; more than a day is not read. */
function spanOf(accuracy) {
  const [seconds, millis, micros] = [accuracy?.seconds ?? 0, accuracy?.millis ?? 0, accuracy?.micros ?? 0];
  return BigInt(Math.min(Math.max(seconds, 0), 86_400)) * 1_000_000n + BigInt(Math.max(millis, 0) % 1000) * 1000n + BigInt(Math.max(micros, 0) % 1000);
}

function conclude(authority, problems, moment, accuracy = 0n) {
  const verdict = worst(problems.map((each) => each.verdict));
  const details = new Set(problems.filter((each) => each.verdict === verdict).map((each) => each.detail));
  return { verdict, detail: [...details].join("; "), authority, moment: verdict === "verified" ? moment : null, accuracy };
}

/** Check that a certificate is for time stamping alone, critically so (RFC 3161, section 2.3). */
function unfit(signer) {
  if (signer.purposes === null) return ["its signer's certificate is not for time stamping"];
  const wrong = [];
  const isAlone = signer.purposes.length === 1 && signer.purposes[0] === TIME_STAMPING;
  if (!signer.extensions.get(OID.extendedKeyUsage).critical || !isAlone) {
    wrong.push("its signer's certificate is not for time stamping alone");
  }
  if (signer.usage && !signer.usage.digitalSignature && !signer.usage.contentCommitment) {
    wrong.push("its signer's certificate is not for signatures");
  }
  return wrong;
}

/** Compare what a token states with what it should be over. */
function ofStatement(info, data) {
  const problems = [];
  if (info.version !== 1) problems.push(fails(`it is of version ${info.version}`));
  if (info.extensions?.some((each) => each.critical)) {
    problems.push(open("it has an extension that is critical and not understood"));
  }
  const oid = info.messageImprint.hashAlgorithm.algorithmId;
  const expected = data === null ? null : digestOf(oid, data);
  if (digestOf(oid, new Uint8Array()) === null) {
    problems.push(fails("it is over something else than a SHA-256, SHA-384 or SHA-512 digest"));
  } else if (expected !== null && !equal(expected, info.messageImprint.hashedMessage.valueBlock.valueHexView)) {
    problems.push(fails("it is over other bytes than these"));
  }
  return problems;
}

async function ofChain(chain, moment, until, crls) {
  // To the second, as `openssl ts -verify -attime` of section 8 counts.
  const problems = [...(await chainProblems(chain, wholeSeconds(moment), crls, UNDERSTOOD_OF_AUTHORITIES)), ...ofIssuers(chain)];
  if (until === null) {
    problems.push(open("whether its authority is still valid is not known"));
  } else if (until > moment) {
    // Clocks that differ a little put the present before the token.
    const later = await chainProblems(chain, wholeSeconds(until), crls, UNDERSTOOD_OF_AUTHORITIES);
    problems.push(...later.map((each) => open(`${each.detail}, and no renewal holds`)));
  }
  return problems;
}

/** Find authorities that say of themselves that they certify other uses than time stamping. */
function ofIssuers(chain) {
  return chain
    .slice(1)
    .filter((each) => each.purposes !== null && !each.purposes.some((use) => use === TIME_STAMPING || use === ANY_PURPOSE))
    .map((each) => open(`'${each.subjectText}' is not an authority for time stamping`));
}
