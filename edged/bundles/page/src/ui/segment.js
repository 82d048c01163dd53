/** One original: its verdict, what its entry says, where it was altered, its history, and the footage itself. */

import { parseInstant, rfc3339 } from "../evidence/times.js";
import { verdictOfSegment } from "../verification/report.js";
import { TITLES, VERDICTS } from "../verification/sentences.js";
import { bodyOf } from "../verification/sealed.js";
import { concerns, historyTable } from "./custody.js";
import { element } from "./dom.js";
import { checksTable, pill } from "./report.js";
import { bytes, say, t } from "./texts.js";
import { strip } from "./timeline.js";

/** What a browser may be asked to show, by the ending of the name; nothing of it is ever run. */
const TYPES = {
  mp4: "video/mp4", m4v: "video/mp4", mov: "video/mp4", webm: "video/webm", mkv: "video/webm", ogv: "video/ogg",
  mp3: "audio/mpeg", wav: "audio/wav", m4a: "audio/mp4", aac: "audio/aac", ogg: "audio/ogg",
  jpg: "image/jpeg", jpeg: "image/jpeg", png: "image/png", webp: "image/webp",
};

let urls = [];

/** Let go of what was shown. */
export function forgetMedia() {
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [];
}

/** Draw a segment; what is inside is drawn when it is opened first. */
export function segmentView(segment, sealed, report, files, sizes, isOpen) {
  const body = bodyOf(sealed, "segment");
  const verdict = verdictOfSegment(segment);
  const view = element("details", { class: "segment card", "data-segment": segment.segment });
  const inside = () => {
    if (view.childElementCount > 1) return;
    view.append(...contentOf(segment, sealed, body, report, files, sizes));
  };
  view.append(
    element(
      "summary",
      {},
      element("span", { class: "file" }, segment.name ?? t("notHere")),
      element("span", { class: "hint" }, [body?.recorder, claimed(body)].filter(Boolean).join(" · ")),
      element("span", { class: "dots", role: "img", "aria-label": dotsLabel(segment) }, Object.entries(segment.checks).map(([name, check]) => element("i", { class: check.verdict, title: `${say(TITLES[name])}: ${say(VERDICTS[check.verdict])}` }))),
      pill(verdict),
    ),
  );
  view.addEventListener("toggle", () => view.open && inside());
  if (isOpen) {
    view.open = true;
    inside();
  }
  return view;
}

function contentOf(segment, sealed, body, report, files, sizes) {
  const size = segment.path === null ? null : sizes.get(segment.path);
  const screen = element("div", { class: "screen" });
  const go = player(segment, body, report, files, sizes, screen);
  const about = (sealedEntry) => sealedEntry === sealed || concerns(sealedEntry, segment.segment, body, report.custody);
  return [
    element("div", { class: "columns" }, facts(segment, sealed, body, size), screen),
    size === null ? null : strip(segment, body, size, go),
    checksTable(segment.checks),
    historyTable([sealed, ...report.custody].filter(about), report.texts, { open: true }),
  ].filter(Boolean);
}

function facts(segment, sealed, body, size) {
  const rows = [
    ["size", size === null ? t("notHere") : `${bytes(size)} (${size})`],
    ["recorder", body?.recorder],
    ["officer", body?.officer],
    ["recordedAt", body && claimed(body, true)],
    ["sealedAt", sealed.entry && rfc3339(sealed.entry.moment)],
    ["existed", bounds(segment)],
    ["place", body && body.path + (body.important ? ` (${t("important")})` : "")],
    ["root", segment.root?.subject],
  ].filter(([, value]) => value);
  return element(
    "dl",
    { class: "facts" },
    rows.map(([key, value]) => [element("dt", {}, t(key)), element("dd", {}, value)]),
    element("dt", {}, "ID"),
    element("dd", {}, element("code", {}, segment.segment)),
  );
}

function bounds(segment) {
  const from = segment.notBefore === null ? null : t("existedFrom", rfc3339(segment.notBefore));
  const by = segment.notAfter === null ? null : t("existedBy", rfc3339(segment.notAfter));
  return [from, by].filter(Boolean).join(", ");
}

function claimed(body, isWhole = false) {
  const { start, end, zone } = body?.recorded ?? {};
  if (!start) return "";
  const short = (text) => (isWhole ? text : text.slice(0, 19).replace("T", " "));
  return `${short(start)}${end ? ` – ${isWhole ? end : end.slice(11, 19)}` : ""}${isWhole ? ` (${zone})` : ""}`;
}

function dotsLabel(segment) {
  return Object.entries(segment.checks).map(([name, check]) => `${say(TITLES[name])}: ${say(VERDICTS[check.verdict])}`).join("; ");
}

/** Offer to show the original and its copies for viewing; gives a function that goes to a time within, in seconds. */
function player(segment, body, report, files, sizes, screen) {
  let playing = null;
  const show = (path, poster = null) => {
    const kind = TYPES[path.slice(path.lastIndexOf(".") + 1).toLowerCase()];
    const tag = kind.split("/")[0] === "image" ? "img" : kind.split("/")[0];
    playing = element(tag, { src: urlOf(files, path, kind), controls: tag !== "img", preload: "metadata", poster, alt: segment.name });
    playing.addEventListener("error", () => screen.append(element("p", { class: "hint" }, t("unplayable"))), { once: true });
    screen.replaceChildren(playing);
    playing.play?.().catch(() => {}); // a browser may wait for the control to be used
  };
  const choices = [];
  const isShown = (path) => path && TYPES[path.slice(path.lastIndexOf(".") + 1).toLowerCase()] && sizes.get(path) > 0;
  const copies = report.layout.derivatives.filter((each) => each.segment === segment.segment && isShown(each.path));
  const poster = copies.find((each) => each.kind === "poster");
  if (isShown(segment.path)) {
    const isPicture = /image/.test(TYPES[segment.path.slice(segment.path.lastIndexOf(".") + 1).toLowerCase()]);
    choices.push(element("button", { type: "button", class: "small", click: () => show(segment.path) }, t(isPicture ? "show" : "play")));
  }
  for (const { kind, path } of copies.filter((each) => each !== poster)) {
    choices.push(element("button", { type: "button", class: "small", click: () => show(path) }, t("playProxy", kind)));
  }
  if (poster) {
    const picture = element("img", { src: urlOf(files, poster.path, TYPES[poster.path.split(".").pop().toLowerCase()]), alt: "" });
    picture.addEventListener("error", () => picture.remove(), { once: true });
    screen.append(picture);
  }
  screen.append(element("div", { class: "buttons noprint" }, choices));
  if (choices.length === 0) return null;
  return (seconds) => {
    if (playing === null || !("currentTime" in playing)) show(segment.path);
    if ("currentTime" in playing) playing.currentTime = seconds;
    screen.scrollIntoView({ block: "nearest" });
  };
}

function urlOf(files, path, kind) {
  const blob = files.blob(path);
  const url = URL.createObjectURL(blob.slice(0, blob.size, kind));
  urls.push(url);
  return url;
}

/** Give the claimed length of a recording in seconds, null where it is not claimed. */
export function lengthOf(body) {
  const [start, end] = [body?.recorded.start, body?.recorded.end].map((text) => (text ? parseInstant(text) : null));
  return start && end && end.moment > start.moment ? Number(end.moment - start.moment) / 1e6 : null;
}
