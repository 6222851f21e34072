// Bundles, minifies, names by content and compresses what the browser loads; writes manifest.json last, because its
// presence says that the rest is complete.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.resolve(here, "../src/havn/kit/assets/dist");
// Phones of 2019 and later.
const target = ["chrome105", "firefox121", "safari15.4"];
const types = { ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml" };

const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: ["src/havn.css", "src/havn.js", "src/reload.js"],
  outdir: dist,
  bundle: true,
  minify: true,
  format: "iife",
  target,
  legalComments: "none",
  write: false,
  logLevel: "warning",
});

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
const files = outputFiles.map((file) => [path.basename(file.path), file.contents]);
for (const name of await readdir(path.join(here, "src/images"))) {
  files.push([name, await readFile(path.join(here, "src/images", name))]);
}
files.push(["LICENSES.txt", await licences()]);

const manifest = {};
for (const [name, contents] of files.sort()) {
  const bytes = Buffer.from(contents);
  const { name: stem, ext } = path.parse(name);
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 10);
  const hashed = `${stem}.${hash}${ext}`;
  await writeFile(path.join(dist, hashed), bytes);
  const br = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  const gz = gzipSync(bytes, { level: 9 });
  await writeFile(path.join(dist, `${hashed}.br`), br);
  await writeFile(path.join(dist, `${hashed}.gz`), gz);
  manifest[name] = { file: hashed, type: types[ext] ?? "text/plain; charset=utf-8", size: bytes.length, br: br.length };
}
await writeFile(path.join(dist, "manifest.json"), JSON.stringify(manifest, null, 1) + "\n");
for (const [name, { size, br }] of Object.entries(manifest)) console.log(`${name}: ${size} bytes, ${br} with brotli`);

// What is shipped of others' work, with its terms.
async function licences() {
  const parts = [];
  for (const name of ["@digdir/designsystemet-css", "htmx.org"]) {
    const folder = path.join(here, "node_modules", name);
    const { version } = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
    parts.push(`${name} ${version}\n\n${await readFile(path.join(folder, "LICENSE"), "utf8")}`);
  }
  return parts.join("\n\n----\n\n");
}
