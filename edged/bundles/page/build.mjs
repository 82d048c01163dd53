// Makes verify.html: one file, no network, the same bytes from the same sources on any machine.
//
//   node build.mjs OUT
//
// Everything the page needs stands in it: script, style, the worker's script as a text, and the licences of the
// libraries. Its policy names the digests of its own script and style and forbids every connection.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = resolve(process.argv[2] ?? join(HERE, "../pages/verify.html"));
const { version, dependencies } = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));

const OPTIONS = {
  absWorkingDir: HERE,
  bundle: true,
  write: false,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none", // the licences stand in the page as a whole
  metafile: true,
  logLevel: "warning",
};

const WORKERS = {
  name: "worker",
  setup(within) {
    within.onResolve({ filter: /^worker:/ }, ({ path, resolveDir }) => ({
      path: resolve(resolveDir, path.slice("worker:".length)),
      namespace: "worker",
    }));
    within.onLoad({ filter: /.*/, namespace: "worker" }, async ({ path }) => {
      const made = await build({ ...OPTIONS, entryPoints: [relative(HERE, path)], minify: true });
      return { contents: made.outputFiles[0].text, loader: "text" };
    });
  },
};

const libraries = Object.entries(dependencies).map(([name, at]) => `${name} ${at}`).join(", ");
const made = await build({
  ...OPTIONS,
  entryPoints: ["src/ui/main.js"],
  plugins: [WORKERS],
  minify: process.argv[3] !== "--readable",
});

const script = made.outputFiles[0].text.trim();
if (/<\/script|<!--/i.test(script)) throw new Error("the script would end its own element");
const style = readFileSync(join(HERE, "src/ui/style.css"), "utf8").trim();
const digest = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const policy = [
  "default-src 'none'",
  `script-src ${digest(script)}`,
  `style-src ${digest(style)}`,
  "worker-src blob:",
  "media-src blob:",
  "img-src blob:",
  "connect-src 'none'",
  "form-action 'none'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types worker",
].join("; ");

const page = readFileSync(join(HERE, "src/ui/page.html"), "utf8")
  .replace("{{policy}}", () => policy)
  .replaceAll("{{version}}", version)
  .replaceAll("{{libraries}}", libraries)
  .replace("{{style}}", () => style)
  .replace("{{licences}}", () => escaped(licences(made.metafile)))
  .replace("{{script}}", () => script);

mkdirSync(dirname(OUT), { recursive: true });
writeFileSync(`${OUT}.part`, page);
renameSync(`${OUT}.part`, OUT);
console.log(`${createHash("sha256").update(page).digest("hex")}  ${relative(process.cwd(), OUT)}`);

/** Give the licence of each package that is in the page, as its authors ask. */
function licences(metafile) {
  const packages = new Set(
    Object.keys(metafile.inputs).flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
  );
  return [...packages].sort().map((name) => {
    const folder = join(HERE, "node_modules", name);
    const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).filter((each) => /^licen[cs]e/i.test(each)).sort()[0];
    if (!file || !existsSync(join(folder, file))) throw new Error(`${name} has no licence file`);
    return `${name} ${about.version}\n\n${readFileSync(join(folder, file), "utf8").trim()}`;
  }).join("\n\n――――――――\n\n");
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
