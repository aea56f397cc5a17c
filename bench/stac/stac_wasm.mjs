// node --experimental-wasm-modules stac_wasm.mjs MODULES ITEMS.ndjson: CPU seconds in which stac-wasm (rustac's writer) makes GeoParquet of the
// items, as JSON on standard output.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [modules, file] = process.argv.slice(2);
const wasm = await import(pathToFileURL(`${modules}/stac-wasm/stac_wasm.js`));
const lines = readFileSync(file, 'utf8').trim().split('\n');
wasm.stacJsonToParquet(lines.slice(0, 50).map((line) => JSON.parse(line)));  // compiled from here on
const before = process.cpuUsage();
const bytes = wasm.stacJsonToParquet(lines.map((line) => JSON.parse(line)));
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ items: lines.length, bytes: bytes.length, cpu: (user + system) / 1e6 }));
