/** Taking in a bundle and what the verifier trusts: by buttons, and by dropping. */

import { MalformedError } from "../errors.js";
import { openChosen, openDropped } from "../files/folder.js";
import { openZip } from "../files/zip.js";
import { bring, noTrust } from "../trust.js";
import { byId, element } from "./dom.js";
import { t } from "./texts.js";

const MAX_TRUST_BYTES = 32 << 20;
const KINDS = { roots: ".pem,.crt,.cer", tsas: ".pem,.crt,.cer", policy: ".txt,.policy", crls: ".crl,.pem,.der" };

/** Files that were brought, each {kind, name, data, problem}. */
let brought = [];
let arriving = Promise.resolve();
let changed = () => {};

/** Call `open(name, promise of files)` for each bundle, and `judge()` when the trust changes. */
export function onBundle(open, judge) {
  changed = judge;
  connect("choose-folder", "folder", (files) => openFolder(files, open));
  connect("choose-zip", "zip", ([file]) => openFile(file, open));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const kind = event.target.closest?.("[data-kind]")?.dataset.kind;
    if (kind) take(kind, event.dataTransfer.files);
    else dropped(event.dataTransfer, open);
  });
}

/** Give the trust that all brought files together make. */
export async function trusted() {
  await arriving;
  return brought.filter((each) => each.problem === null).reduce((trust, each) => bring(trust, each.kind, each.data), noTrust());
}

/** Draw the fields of trust in the current language, with what is in them. */
export function redrawInputs() {
  byId("trust").replaceChildren(...Object.keys(KINDS).map(field));
}

function connect(button, input, use) {
  byId(button).addEventListener("click", () => byId(input).click());
  byId(input).addEventListener("change", () => {
    const files = [...byId(input).files];
    byId(input).value = ""; // so that the same choice counts again
    if (files.length > 0) use(files);
  });
}

function openFolder(files, open) {
  const name = files[0].webkitRelativePath.split("/")[0];
  const opened = { ...openChosen(files), notChecked: ["notLinks"] };
  open(name, Promise.resolve(opened));
}

function openFile(file, open) {
  open(file.name, watched(openZip(file, file.name).then((files) => ({ ...files, notChecked: [] }))));
}

function dropped(transfer, open) {
  const [item] = transfer.items;
  const entry = item?.webkitGetAsEntry?.();
  const [file] = transfer.files;
  if (entry?.isDirectory) {
    const handle = watched(Promise.resolve(item.getAsFileSystemHandle?.() ?? null)); // only to be had at once
    open(entry.name, watched(openDropped(entry, handle).then((files) => ({ ...files, notChecked: ["notDroppedLinks"] }))));
  } else if (file && /\.zip$/i.test(file.name)) {
    openFile(file, open);
  } else if (file) {
    byId("chosen").textContent = t("wrongPlace", file.name);
  }
}

/** A promise that somebody awaits later is not an unhandled one meanwhile. */
function watched(promise) {
  promise.catch(() => {});
  return promise;
}

function take(kind, files) {
  arriving = arriving.then(() => read(kind, [...files])).then(() => {
    redrawBrought(kind);
    changed();
  });
}

async function read(kind, files) {
  for (const file of files) {
    const found = { kind, name: file.name, data: null, problem: null, about: [] };
    try {
      if (file.size > MAX_TRUST_BYTES) throw new MalformedError(`it has ${file.size} bytes`);
      found.data = new Uint8Array(await file.arrayBuffer());
      found.about = describe(kind, bring(noTrust(), kind, found.data));
    } catch (error) {
      found.problem = error.message;
    }
    brought = brought.filter((each) => (kind === "policy" ? each.kind !== kind : each.kind !== kind || each.name !== file.name));
    brought.push(found);
  }
}

/** Say what is in a file that was brought: functions, so that it can be said again in the other language. */
function describe(kind, trust) {
  if (kind === "policy") return [() => t("isPolicy", trust.policy.witnesses.size, trust.policy.quorum ?? "none")];
  if (kind === "crls") return [() => t("isCrls", trust.crls.length)];
  return trust[kind].flatMap((each) => [() => each.subjectText, () => `SHA-256 ${each.sha256}`]);
}

function field(kind) {
  const input = element("input", {
    type: "file",
    id: `trust-${kind}`,
    accept: KINDS[kind],
    multiple: kind !== "policy",
    hidden: true,
    change: (event) => take(kind, event.target.files),
  });
  return element(
    "li",
    { "data-kind": kind },
    element(
      "div",
      { class: "field" },
      element("div", {}, element("b", {}, t(kind)), " ", element("span", { class: "hint" }, t(`${kind}Hint`))),
      element("button", { type: "button", class: "small", "aria-label": t("addTo", t(kind)), click: () => input.click() }, t("add")),
    ),
    input,
    element("div", { id: `brought-${kind}`, role: "status" }, itemsOf(kind)),
  );
}

/** Draw what is in one field; the field itself stays, and with it the focus. */
function redrawBrought(kind) {
  byId(`brought-${kind}`).replaceChildren(...itemsOf(kind));
}

function itemsOf(kind) {
  return brought.filter((each) => each.kind === kind).map(item);
}

function item(each) {
  const lines = each.problem === null ? each.about.map((line) => line()) : [t("refused", each.name, each.problem)];
  const remove = () => {
    brought = brought.filter((other) => other !== each);
    redrawBrought(each.kind);
    document.querySelector(`[data-kind="${each.kind}"] button`).focus();
    changed();
  };
  return element(
    "div",
    { class: each.problem === null ? "brought" : "brought refused" },
    element("div", {}, element("span", { class: "file" }, each.name), lines.map((line) => element("code", {}, line))),
    element("button", { type: "button", class: "small plain", "aria-label": t("remove", each.name), click: remove }, "×"),
  );
}
