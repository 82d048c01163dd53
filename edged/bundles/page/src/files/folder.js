/**
 * A bundle as a folder that the browser was given: what it lets a page see of one.
 *
 * A browser shows links as what they lead to, or not at all; dropping a folder shows empty folders, choosing one does not.
 * So the page says that it could not look for links in a folder; a zip hides nothing.
 */

import { UnreadableError } from "../errors.js";
import { MAX_FILES } from "../verification/layout.js";

const PATIENCE_MS = 4_000;

/** Open files that an <input webkitdirectory> gave: {listing(), blob(path)} of what lies below the top folder. */
export function openChosen(files) {
  return openFiles([...files].map((file) => ({ path: below(file.webkitRelativePath), file })), []);
}

/**
 * Open a folder that was dropped, given both ways a browser may offer it: as an entry, and as the promise of a handle.
 *
 * Chromium gives a page from file:// no entries; others know no handles.
 */
export async function openDropped(entry, handle) {
  try {
    return await walk({ entry }, entriesOf, (each) => new Promise((resolve, reject) => each.entry.file(resolve, reject)));
  } catch (error) {
    if (error instanceof UnreadableError || !handle) throw refused(entry);
  }
  try {
    const folder = await Promise.race([handle, patience()]);
    return await walk({ entry: folder }, childrenOf, (each) => each.entry.getFile());
  } catch {
    throw refused(entry);
  }
}

async function walk(top, childrenIn, fileOf) {
  const [files, folders] = [[], []];
  const waiting = [{ ...top, path: "" }];
  while (waiting.length > 0) {
    const folder = waiting.pop();
    for (const each of await childrenIn(folder.entry)) {
      const path = folder.path ? `${folder.path}/${each.name}` : each.name;
      if (files.length + folders.length >= MAX_FILES) throw new UnreadableError(`The folder holds more than ${MAX_FILES} names.`);
      if (each.isFolder) {
        folders.push(path);
        waiting.push({ entry: each.entry, path });
      } else {
        files.push({ path, file: await fileOf(each) });
      }
    }
  }
  return openFiles(files, folders);
}

function openFiles(files, folders) {
  const byPath = new Map(files.map(({ path, file }) => [path, file]));
  return {
    listing: () => [
      ...[...byPath].map(([path, file]) => ({ path, kind: "file", size: file.size })),
      ...folders.map((path) => ({ path, kind: "folder", size: 0 })),
    ],
    blob: (path) => byPath.get(path),
  };
}

function below(path) {
  return path.slice(path.indexOf("/") + 1);
}

async function entriesOf(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found; // a browser gives a hundred at a time
    found.push(...some.map((entry) => ({ entry, name: entry.name, isFolder: entry.isDirectory })));
  }
}

async function childrenOf(folder) {
  const found = [];
  for await (const entry of folder.values()) found.push({ entry, name: entry.name, isFolder: entry.kind === "directory" });
  return found;
}

function patience() {
  return new Promise((_, reject) => setTimeout(() => reject(new Error("no handle")), PATIENCE_MS));
}

function refused(entry) {
  return Object.assign(new UnreadableError(`${entry.name}: the browser did not give what is in the dropped folder.`), { hint: "dropRefused" });
}
