// Writes src/aws/tables/*.json (neutral tables) and *.cc (the same as constant data). `--check` writes nothing and
// exits 1 when a committed file differs from what the models say now.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { emitHeader, emitService } from './emit.js';
import { reduce } from './reduce.js';
import { services } from './services.js';

const check = process.argv.includes('--check');
const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const folder = path.join(here, '..', '..', 'src', 'aws', 'tables');
mkdirSync(folder, { recursive: true });

// One line an operation, shape or member, so that a change of the models reads well as a diff.
function neutral(table) {
  const lines = ['{', `"service": ${JSON.stringify(table.service)},`, '"operations": ['];
  lines.push(table.operations.map((op) => `  ${JSON.stringify(op)}`).join(',\n'), '],', '"shapes": {');
  lines.push(Object.entries(table.shapes).map(([name, { members, ...shape }]) => {
    if (!members?.length) return `  ${JSON.stringify(name)}: ${JSON.stringify(members ? { ...shape, members } : shape)}`;
    const head = JSON.stringify(shape).slice(0, -1);
    return `  ${JSON.stringify(name)}: ${head}, "members": [\n${members.map((m) => `    ${JSON.stringify(m)}`).join(',\n')}]}`;
  }).join(',\n'), '}', '}');
  return lines.join('\n') + '\n';
}

const files = new Map([['tables.h', emitHeader(services)]]);
const unsure = [];
for (const service of services) {
  const { table, guessed } = reduce(service);
  unsure.push(...guessed);
  const text = neutral(table);
  files.set(`${service.table}.json`, text);
  files.set(`${service.table}.cc`, emitService(service, JSON.parse(text)));
}
if (unsure.length) {
  console.error(`Say in overlay.json whether these are integer, long, float or double:\n  ${[...new Set(unsure)].join('\n  ')}`);
  process.exit(1);
}
const drifted = [...files].filter(([name, text]) => {
  const file = path.join(folder, name);
  return !existsSync(file) || readFileSync(file, 'utf8') !== text;
}).map(([name]) => name);
if (check) {
  if (drifted.length) {
    console.error(`src/aws/tables differs from the models: ${drifted.join(', ')}. Run: npm --prefix tools/models run generate`);
    process.exit(1);
  }
  console.log(`${files.size} files as the models say`);
} else {
  for (const name of drifted) writeFileSync(path.join(folder, name), files.get(name));
  console.log(drifted.length ? `wrote ${drifted.join(', ')}` : 'nothing changed');
}
