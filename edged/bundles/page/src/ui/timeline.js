/** Lines of time, drawn: when each recorder recorded, and which stretches of an original are not what was sealed. */

import { parseInstant } from "../evidence/times.js";
import { CHUNK_BYTES } from "../verification/originals.js";
import { bodyOf } from "../verification/sealed.js";
import { element, svg } from "./dom.js";
import { lengthOf } from "./segment.js";
import { bytes, t } from "./texts.js";

const WIDTH = 960;
const ROW = 34;
const LABEL = 150;
const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 604_800, 2_592_000];

/** Draw when each recorder recorded, by its own clock; null where nothing claims a time. */
export function overview(report) {
  const rows = new Map();
  for (const [at, sealed] of report.sealed.entries()) {
    const body = bodyOf(sealed, "segment");
    const [start, end] = [body?.recorded.start, body?.recorded.end].map((text) => (text ? parseInstant(text) : null));
    if (!start || !end || end.moment <= start.moment) continue;
    if (!rows.has(body.recorder)) rows.set(body.recorder, []);
    const segment = report.segments[at];
    const isBad = segment.checks.bytes.verdict === "failed";
    rows.get(body.recorder).push({ from: seconds(start), to: seconds(end), offset: start.offsetMinutes, isBad, segment, body });
  }
  if (rows.size === 0) return null;
  const all = [...rows.values()].flat();
  const [first, last] = [Math.min(...all.map((each) => each.from)), Math.max(...all.map((each) => each.to))];
  const scale = (moment) => LABEL + ((moment - first) / Math.max(1, last - first)) * (WIDTH - LABEL - 12);
  const height = rows.size * ROW + 30;
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "drawing", role: "img", "aria-label": labels(rows).join(" ") });
  drawing.append(hatch("hatch-all"), ...axis(first, last, all[0].offset, scale, height - 30));
  [...rows].forEach(([recorder, recordings], row) => {
    const y = row * ROW + 6;
    drawing.append(svg("text", { x: 0, y: y + 16, class: "label" }, recorder.length > 20 ? `${recorder.slice(0, 19)}…` : recorder));
    drawing.append(svg("line", { x1: LABEL, x2: WIDTH - 12, y1: y + 11, y2: y + 11, class: "ground" }));
    for (const each of recordings) {
      const width = Math.max(2, scale(each.to) - scale(each.from) - 1);
      drawing.append(svg("rect", { x: scale(each.from), y, width, height: 22, rx: 2, class: each.isBad ? "bar failed" : "bar" }));
      drawing.append(...each.segment.damage.map((damage) => stretch(damage, each.body.bytes, scale(each.from), width, y, 22, "hatch-all")));
    }
  });
  const key = element(
    "figcaption",
    {},
    element("span", { class: "key-mark recorded" }),
    t("recordedMark"),
    all.some((each) => each.isBad) && [element("span", { class: "key-mark altered" }), t("alteredMark")],
  );
  return element("figure", {}, drawing, key);
}

function labels(rows) {
  return [...rows].map(([recorder, recordings]) => {
    const ordered = recordings.map((each) => [each.body.recorded.start, each.body.recorded.end]);
    const bad = recordings.filter((each) => each.isBad).length;
    return `${t("footageLabel", recorder, recordings.length, ordered.map(([start]) => start).sort()[0], ordered.map(([, end]) => end).sort().at(-1), bad)}.`;
  });
}

/** Draw the bytes of one original, altered stretches marked; `go(seconds)` shows the footage from a time on. */
export function strip(segment, body, size, go) {
  if (body === null || size === 0) return null;
  const total = Math.max(size, body.bytes);
  const chunks = Math.ceil(total / CHUNK_BYTES);
  const isBad = segment.checks.bytes.verdict === "failed";
  const said =
    segment.damage.length > 0
      ? t("damagedAt", segment.damage.length, chunks)
      : isBad
        ? t("allDamaged")
        : t("intact", bytes(body.bytes));
  const id = `hatch-${segment.segment}`;
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} 34`, class: "drawing", role: "img", "aria-label": `${t("bytesLine")}: ${said}` });
  drawing.append(hatch(id), svg("rect", { x: 0, y: 2, width: WIDTH, height: 20, rx: 2, class: isBad && segment.damage.length === 0 ? "bar failed" : "bar" }));
  if (chunks <= 240) {
    for (let chunk = 1; chunk < chunks; chunk += 1) {
      const x = ((chunk * CHUNK_BYTES) / total) * WIDTH;
      drawing.append(svg("line", { x1: x, x2: x, y1: 2, y2: 22, class: "joint" }));
    }
  }
  drawing.append(...segment.damage.map((damage) => stretch(damage, total, 0, WIDTH, 2, 20, id)));
  const { start, end } = body.recorded;
  drawing.append(svg("text", { x: 0, y: 33, class: "tick" }, start ? start.slice(11, 19) : "0"));
  drawing.append(svg("text", { x: WIDTH, y: 33, class: "tick end" }, end ? end.slice(11, 19) : bytes(total)));
  return element("figure", { class: isBad ? "strip failed" : "strip" }, drawing, element("figcaption", {}, said, places(segment, body, go)));
}

function places(segment, body, go) {
  const length = lengthOf(body);
  return segment.damage.slice(0, 20).map((damage) => {
    const text = `${damage.fromTime ? `${damage.fromTime.slice(11, 23)} – ${damage.toTime?.slice(11, 23) ?? "…"} · ` : ""}${damage.fromByte} – ${damage.toByte - 1}`;
    if (go === null || length === null || damage.fromTime === null) return element("span", { class: "place" }, text);
    const second = (damage.fromByte / body.bytes) * length;
    return element("button", { type: "button", class: "small place", "aria-label": t("goTo", text), click: () => go(second) }, text);
  });
}

function stretch(damage, total, x, width, y, height, pattern) {
  const from = x + (Math.min(damage.fromByte, total) / total) * width;
  const to = x + (Math.min(damage.toByte, total) / total) * width;
  const shape = { x: from, y: y - 2, width: Math.max(3, to - from), height: height + 4 };
  return svg("g", {}, svg("rect", { ...shape, class: "damage" }), svg("rect", { ...shape, fill: `url(#${pattern})` }));
}

/** Altered stretches are hatched, for whoever sees no colours and for paper. */
function hatch(id) {
  const pattern = svg("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(svg("line", { x1: 0, x2: 0, y1: 0, y2: 6, class: "hatch" }));
  return svg("defs", {}, pattern);
}

function axis(first, last, offset, scale, y) {
  const step = STEPS.find((each) => (last - first) / each <= 8) ?? STEPS.at(-1);
  const marks = [];
  const local = first + offset * 60;
  for (let at = Math.ceil(local / step) * step - offset * 60; at <= last; at += step) {
    const text = new Date((at + offset * 60) * 1000).toISOString();
    const label = step >= 86_400 ? text.slice(0, 10) : text.slice(11, step < 60 ? 19 : 16);
    marks.push(svg("line", { x1: scale(at), x2: scale(at), y1: 0, y2: y, class: "grid" }));
    marks.push(svg("text", { x: scale(at), y: y + 16, class: "tick middle" }, label));
  }
  const day = new Date((first + offset * 60) * 1000).toISOString().slice(0, 10);
  marks.push(svg("text", { x: 0, y: y + 16, class: "tick" }, day));
  return marks;
}

function seconds({ moment }) {
  return Number(moment / 1000n) / 1000;
}
