/** The custody history: what the entries say happened, in the order of the log. */

import { rfc3339 } from "../evidence/times.js";
import { isObject } from "../evidence/canonical.js";
import { printable } from "../verification/words.js";
import { worst } from "../verification/report.js";
import { element } from "./dom.js";
import { eventOf, t } from "./texts.js";

const MOST_SHOWN = 500;

/** What a reader wants first of each type; the whole entry is one click away. */
const FACTS = {
  genesis: ["origin", "software", "previous"],
  docking: ["bay", "recorder", "officer", "files", "bytes", "clock_offset_ms", "missing"],
  segment: ["path", "bytes", "recorder", "recorder_seq", "quarantine"],
  sighting: ["path"],
  undocking: ["outcome", "remaining"],
  clearance: ["items"],
  wipe: ["path", "outcome"],
  anomaly: ["kind", "subject", "detail"],
  classification: ["case", "matter", "stage", "secrecy", "retain_until", "clause", "basis"],
  correction: ["officer", "recorder", "recorded"],
  hold: ["action", "subject"],
  derivative: ["kind", "bytes", "tool"],
  replica: ["store", "verified", "method", "locked_until"],
  retire: ["store"],
  disposal: ["phase", "rule", "clause", "stores"],
  policy: ["kind", "phase"],
  export: ["export", "selection"],
  review: ["action", "outcome", "subject"],
  disclosure: ["action", "outcome", "subject"],
  anchor: ["kind", "by", "size"],
  close: ["next"],
};

/** Say whether an entry is about a segment: names it, its docking, or a case that it was in. */
export function concerns({ entry }, segment, body, custody) {
  if (entry === null) return false;
  const about = entry.body;
  if (about.segment !== undefined) return about.segment === segment;
  if (Array.isArray(about.items)) return about.items.some((item) => item.segment === segment);
  if (isObject(about.subject)) {
    const { kind, id } = about.subject;
    if (kind === "case") return custody.some((each) => each.entry?.type === "classification" && each.entry.body.segment === segment && each.entry.body.case === id);
    if (kind === "segment") return id === segment;
  }
  return body !== null && about.docking === body.docking;
}

/** Draw entries as a table; `count` makes it one that is opened by a click. */
export function historyTable(sealed, texts, { open, count }) {
  const ordered = [...sealed].sort(inOrder).slice(0, MOST_SHOWN);
  const head = ["when", "what", "who", "facts"].map((key) => element("th", { scope: "col" }, t(key)));
  const table = element(
    "table",
    { class: "history" },
    element("thead", {}, element("tr", {}, head)),
    element("tbody", {}, ordered.map((each) => row(each, texts))),
  );
  const left = sealed.length - ordered.length;
  const note = element("p", { class: "hint" }, t("historyNote"), left > 0 ? ` (+${left})` : "");
  const summary = element("summary", {}, count === undefined ? t("history") : t("historyAll", count));
  return element("details", { class: "custody", open }, summary, table, note);
}

function inOrder(one, two) {
  if (one.entry === null || two.entry === null) return Number(one.entry === null) - Number(two.entry === null);
  const [a, b] = [one.entry, two.entry];
  return a.moment < b.moment ? -1 : a.moment > b.moment ? 1 : a.seq - b.seq;
}

function row(sealed, texts) {
  const { entry } = sealed;
  const verdict = worst(Object.entries(sealed.checks).filter(([name]) => name !== "identity" && name !== "bytes").map(([, check]) => check.verdict));
  if (entry === null) {
    return element("tr", { class: "unproven" }, element("td", {}, "–"), element("td", { colspan: 3 }, `${sealed.place}: ${t("notValid")}`));
  }
  const reason = reasonOf(entry.body, texts);
  const [day, time] = rfc3339(entry.moment).split("T");
  return element(
    "tr",
    { class: verdict === "verified" ? "" : "unproven" },
    element("td", { class: "when" }, `${day} `, element("b", {}, time.slice(0, 8)), element("span", { class: "hint" }, ` #${entry.seq}`)),
    element("td", {}, eventOf(entry.type)),
    element("td", {}, entry.actor),
    element(
      "td",
      { class: "detail" },
      factsOf(entry),
      reason && element("div", { class: "reason" }, `${t("reason")}: ${reason}`),
    ),
  );
}

function factsOf({ type, body }) {
  const keys = FACTS[type] ?? Object.keys(body).slice(0, 6);
  const known = keys.filter((key) => body[key] !== null && body[key] !== undefined);
  return known.map((key) => element("span", { class: "fact" }, element("span", { class: "key" }, key), ` ${printable(written(body[key]))}`));
}

function written(value) {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return value.every((each) => typeof each === "string") ? value.join(", ") : `× ${value.length}`;
  if (typeof value?.id === "string") return value.kind ? `${value.kind} ${value.id}` : value.id;
  return JSON.stringify(value).slice(0, 200);
}

function reasonOf(body, texts) {
  const reason = body.reason ?? body.purpose;
  if (!isObject(reason)) return null;
  return printable([reason.code, texts.get(reason.text)].filter(Boolean).join(": "));
}
