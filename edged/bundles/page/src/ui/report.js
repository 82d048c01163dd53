/** What was found: the verdict first, then every check, every original, and what no check shows. */

import { SEGMENT_CHECKS, plainReport, verdictOf, verdictOfSegment } from "../verification/report.js";
import { TITLES, VERDICTS, headline } from "../verification/sentences.js";
import { historyTable } from "./custody.js";
import { byId, element, svg } from "./dom.js";
import { forgetMedia, segmentView } from "./segment.js";
import { bytes, say, t } from "./texts.js";
import { overview } from "./timeline.js";

const MOST_OPEN = 3;
const MOST_SHOWN = 200;
const MARKS = { verified: "M5 13l4.5 4.5L19 7", failed: "M6 6l12 12M18 6L6 18", "not-established": "M6 12h12" };

export function clearReport() {
  forgetMedia();
  byId("report-view").replaceChildren();
}

/** Draw all of a report in the current language. */
export function drawReport(report, files, when) {
  forgetMedia();
  const sizes = new Map(files.listing().map((file) => [file.path, file.size]));
  byId("report-view").replaceChildren(
    banner(report, files, when),
    section("wholeBundle", checksTable(report.checks)),
    overviewOf(report),
    originals(report, files, sizes),
    listSection("findings", report.findings.map(say)),
    section("custodyTitle", historyTable(report.custody, report.texts, { open: false, count: report.custody.length })),
    listSection("notProven", report.notProven.map(say)),
    listSection("notChecked", [...files.notChecked, "notItself"].map((key) => t(key))),
    listSection("method", [t("methodBytes"), t("methodSigned"), t("methodWhen", when.toISOString(), navigator.userAgent)]),
  );
}

/** The sign and word of a verdict; its colour says nothing that they do not. */
export function pill(verdict) {
  return element("span", { class: `pill ${verdict}` }, mark(verdict), say(VERDICTS[verdict]));
}

/** A table of checks: verdict, what it is about, why. */
export function checksTable(checks) {
  const rows = Object.entries(checks).map(([name, check]) =>
    element(
      "tr",
      { "data-check": name },
      element("td", {}, pill(check.verdict)),
      element("th", { scope: "row" }, say(TITLES[name]), element("code", { class: "name" }, name)),
      element("td", { class: "detail" }, say(check.detail)),
    ),
  );
  return element("table", { class: "checks" }, element("tbody", {}, rows));
}

function mark(verdict) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: MARKS[verdict] }));
}

function banner(report, files, when) {
  const verdict = verdictOf(report);
  const total = files.listing().reduce((sum, file) => sum + file.size, 0);
  const save = () => {
    const text = JSON.stringify(plainReport(report), null, 2);
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    element("a", { href: url, download: "edged-verify.json" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };
  const roots = new Map(report.segments.flatMap((each) => (each.root ? [[each.root.sha256, each.root.subject]] : [])));
  return element(
    "div",
    { class: `banner ${verdict}` },
    mark(verdict),
    element(
      "div",
      {},
      element("p", { class: "headline" }, say(headline(report))),
      verdict === "failed" && amiss(report, "failed", "failedHere"),
      verdict !== "verified" && amiss(report, "not-established", "openHere"),
      [...roots].map(([sha256, subject]) =>
        element("p", { class: "root" }, `${t("root")} `, element("b", {}, subject), element("code", {}, `SHA-256 ${sha256}`), element("span", { class: "hint" }, t("compare"))),
      ),
      element("p", { class: "hint" }, `${t("files", files.name, files.listing().length, bytes(total))} · ${when.toISOString()}`),
    ),
    element(
      "div",
      { class: "buttons noprint" },
      element("button", { type: "button", class: "small", click: () => window.print() }, t("print")),
      element("button", { type: "button", class: "small", click: save }, t("save")),
    ),
  );
}

/** Name the checks of a verdict in one line, with the first original that each is about. */
function amiss(report, verdict, key) {
  const named = Object.entries(report.checks).filter(([, check]) => check.verdict === verdict).map(([name]) => say(TITLES[name]));
  for (const name of SEGMENT_CHECKS) {
    const [first, ...more] = report.segments.filter((each) => each.checks[name].verdict === verdict);
    if (first) named.push(`${say(TITLES[name])} (${first.name ?? first.segment}${more.length > 0 ? ` +${more.length}` : ""})`);
  }
  return named.length > 0 && element("p", { class: "amiss" }, element("b", {}, t(key)), ` ${named.join("; ")}`);
}

function overviewOf(report) {
  const drawing = overview(report);
  return drawing && section("footage", drawing);
}

function originals(report, files, sizes) {
  const isWorthOpening = (segment) => report.segments.length <= MOST_OPEN || verdictOfSegment(segment) === "failed";
  const entries = report.segments.map((segment, at) => ({ segment, sealed: report.sealed[at] }));
  const list = element("div", {});
  const showMore = (from) => {
    const shown = entries.slice(from, from + MOST_SHOWN);
    list.append(...shown.map(({ segment, sealed }) => segmentView(segment, sealed, report, files, sizes, isWorthOpening(segment))));
    const left = entries.length - from - shown.length;
    if (left === 0) return;
    const more = element("button", { type: "button", click: () => (more.remove(), showMore(from + MOST_SHOWN)) }, t("more", left));
    list.append(more);
  };
  showMore(0);
  return section("originals", list);
}

function listSection(key, lines) {
  return lines.length > 0 && section(key, element("ul", { class: "plain-list" }, lines.map((line) => element("li", {}, line))));
}

function section(key, ...children) {
  const id = `section-${key}`;
  return element("section", { "aria-labelledby": id }, element("h3", { id }, t(key)), children);
}
