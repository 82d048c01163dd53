/**
 * The page: takes in a bundle and what the verifier trusts, runs the verification, and shows what it found.
 *
 * Whenever the bundle or the trust changes, everything is judged anew; files that were digested are not digested again.
 * The result also stands in `#report` as the object that `edged verify --json` prints, and `window.edgedReport` is a
 * promise of it, or of {"unreadable": reason} where `edged verify` exits with 66.
 */

import { UnreadableError } from "../errors.js";
import { fromDate } from "../evidence/times.js";
import { openDigester } from "../files/pool.js";
import { plainReport } from "../verification/report.js";
import { verify } from "../verification/verify.js";
import { byId, element } from "./dom.js";
import { onBundle, redrawInputs, trusted } from "./inputs.js";
import { Progress } from "./progress.js";
import { clearReport, drawReport } from "./report.js";
import { bytes, setLanguage, currentLanguage, t } from "./texts.js";

const progress = new Progress();
let bundle = null;
let run = 0;
let drawn = null;
let report = promised();
window.edgedReport = report.promise;

start();

function start() {
  setLanguage(currentLanguage());
  redrawInputs();
  for (const each of document.querySelectorAll("[data-language]")) {
    each.addEventListener("click", () => {
      setLanguage(each.dataset.language);
      redrawInputs();
      drawChosen();
      drawn?.();
    });
  }
  if (!globalThis.crypto?.subtle) {
    show(() => byId("report-view").replaceChildren(problem(t("noCrypto"))));
    return;
  }
  onBundle(openBundle, judge);
  window.addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("#report-view details")) {
      each.open = true;
      each.dispatchEvent(new Event("toggle")); // the browser's own comes after printing
    }
  });
}

/** Take in another bundle: `opening` gives its files. */
async function openBundle(name, opening) {
  bundle?.digester.stop();
  const digester = openDigester((count) => progress.add(count));
  bundle = { name, opening, digester };
  drawChosen();
  await judge();
}

/** Judge the bundle under what is trusted now. */
async function judge() {
  if (bundle === null) return;
  const [mine, current] = [++run, bundle];
  if (report.isSettled) {
    report = promised();
    window.edgedReport = report.promise;
  }
  clearReport();
  byId("report").textContent = "null";
  progress.begin(current.name);
  try {
    const files = await current.opening;
    progress.expect(files.listing().reduce((sum, file) => sum + file.size, 0));
    const now = fromDate(new Date());
    const found = await verify(files, await trusted(), { digester: current.digester, now, tell: (step) => progress.step(step) });
    if (mine !== run) return; // something changed meanwhile
    publish(plainReport(found));
    show(() => drawReport(found, { ...files, name: current.name }, new Date(Number(now / 1000n))));
  } catch (error) {
    if (mine !== run) return;
    const isUnreadable = error instanceof UnreadableError;
    publish(isUnreadable ? { unreadable: error.message } : { broken: String(error?.stack ?? error) });
    show(() => byId("report-view").replaceChildren(problem(t(error.hint ?? (isUnreadable ? "unreadable" : "broken")), error.message)));
  }
  progress.end();
  byId("result").focus({ preventScroll: false });
}

/** Draw now, and again whenever the language changes. */
function show(draw) {
  drawn = draw;
  draw();
}

function publish(found) {
  byId("report").textContent = JSON.stringify(found, null, 2);
  report.settle(found);
}

function problem(...lines) {
  return element("div", { class: "problem", role: "alert" }, lines.map((line) => element("p", {}, line)));
}

function drawChosen() {
  if (bundle === null) return;
  const { name, opening } = bundle;
  byId("chosen").textContent = name;
  opening.then(
    (files) => {
      const listed = files.listing().filter((file) => file.kind === "file");
      const size = listed.reduce((sum, file) => sum + file.size, 0);
      if (bundle?.name === name) byId("chosen").textContent = t("files", name, listed.length, bytes(size));
    },
    () => {}, // `judge` says so
  );
}

function promised() {
  const made = { isSettled: false };
  made.promise = new Promise((resolve) => {
    made.settle = (value) => {
      made.isSettled = true;
      resolve(value);
    };
  });
  return made;
}
