// Merges what three publications of AWS's models know about one service into one neutral table:
//   @aws-sdk/client-* (newest): operations, shapes, HTTP bindings, required members, enums, errors;
//   aws-sdk v2: the order of members, integer against long, float and double;
//   Debian's botocore (its own Python, so that every machine reads the same version): lengths, ranges, patterns, errors of each operation;
//   overlay.json: number types of members newer than the last two.
// A table has facts only: no documentation text, no code.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);
const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const overlay = JSON.parse(readFileSync(path.join(here, 'overlay.json'), 'utf8'));

const bits = ['httpLabel', 'idempotent', 'idempotencyToken', 'sensitive', 'httpPayload', 'httpResponseCode', 'httpQueryParams'];
const simple = { 0: 'string', 1: 'number', 2: 'boolean', 4: 'timestamp', 5: 'timestamp', 6: 'timestamp', 7: 'timestamp', 15: 'document', 21: 'blob', 42: 'blob' };
const formats = { 5: 'iso8601', 6: 'http-date', 7: 'epoch' };

function traitsOf(t) {
  if (!t) return {};
  if (typeof t === 'object') return t;
  return Object.fromEntries(bits.filter((_, i) => (t >> i) & 1).map((b) => [b, 1]));
}
const isSchema = (x) => Array.isArray(x) && typeof x[0] === 'number' && typeof x[1] === 'string';
const deref = (x) => (typeof x === 'function' ? deref(x()) : x);

// A member or element reference -> [schema, traits of the reference].
function reference(ref) {
  ref = deref(ref);
  if (Array.isArray(ref) && !isSchema(ref)) return [deref(ref[0]), traitsOf(ref[1])];
  return [ref, {}];
}

// interface name -> member -> type text, from the package's declarations.
function declarations(folder) {
  const found = new Map();
  for (const file of readdirSync(folder).filter((f) => f.endsWith('.d.ts'))) {
    const text = readFileSync(path.join(folder, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
    for (const [, name, body] of text.matchAll(/export (?:interface|declare class) (\w+)[^{]*\{([\s\S]*?)\n\}/g)) {
      const members = found.get(name) ?? new Map();
      for (const [, member, type] of body.matchAll(/^\s+(?:readonly )?(\w+)\??: ([^;]+);/gm)) members.set(member, type);
      found.set(name, members);
    }
  }
  return found;
}

export function reduce(service) {
  const client = require(`@aws-sdk/${service.client}`);
  const packageFolder = path.dirname(require.resolve(`@aws-sdk/${service.client}/package.json`));
  const v2 = JSON.parse(readFileSync(require.resolve(`aws-sdk/apis/${service.v2}.min.json`), 'utf8'));
  const python = execFileSync('/usr/bin/python3', [path.join(here, 'read_botocore.py'), service.botocore], { maxBuffer: 1 << 28 });
  const boto = JSON.parse(python);
  const types = declarations(path.join(packageFolder, 'dist-types', 'models'));
  const enums = new Map();
  for (const [name, value] of Object.entries(client)) {
    if (value && typeof value === 'object' && !Array.isArray(value) && Object.values(value).length &&
        Object.values(value).every((v) => typeof v === 'string')) enums.set(name, Object.values(value));
  }
  const guessed = new Set();

  // v2 keeps small shapes in place of a reference.
  const inV2 = (ref) => (!ref ? undefined : ref.shape ? { ...v2.shapes[ref.shape], name: ref.shape } : ref);
  const inBoto = (ref) => (!ref ? undefined : { ...boto.shapes[ref.shape], name: ref.shape });

  const shapes = new Map();   // name -> table line
  const content = new Map();  // content -> name
  function intern(wanted, shape) {
    const text = JSON.stringify(shape);
    const key = `${wanted} ${text}`;
    if (content.has(key)) return content.get(key);
    let name = wanted;
    for (let n = 2; shapes.has(name); n++) name = `${wanted}_${n}`;
    shapes.set(name, shape);
    content.set(key, name);
    return name;
  }

  // Counterparts of a structure in the older models: the first path that leads to both decides.
  const structures = new Map();

  function constraints(b, kind) {
    if (!b) return {};
    const c = {};
    if (b.min !== undefined && !(kind !== 'number' && b.min === 0)) c.min = b.min;
    if (b.max !== undefined) c.max = b.max;
    if (b.pattern !== undefined && kind === 'string' && !matchesAll(b.pattern)) c.pattern = b.pattern;
    return c;
  }

  function numberType(a, b, where) {
    guessed.delete(`${service.table} ${where}`);
    for (const old of [a, b]) if (['integer', 'long', 'float', 'double'].includes(old?.type)) return old.type;
    const told = overlay.numbers[service.table]?.[where];
    if (told) return told;
    guessed.add(`${service.table} ${where}`);
    return 'long';
  }

  function shapeOf(schema, a, b, typeText, where) {
    if (typeof schema === 'number' || (isSchema(schema) && schema[0] === 0)) {
      const code = typeof schema === 'number' ? schema : schema[4];
      const traits = typeof schema === 'number' ? {} : traitsOf(schema[3]);
      if (code & 64 || code & 128) {
        const element = shapeOf(code & 63, inV2(a?.member ?? a?.value), inBoto(b?.member ?? b?.value), typeText, where);
        if (code & 64) return list(element, {}, a, b);
        return map(shapeOf(0, inV2(a?.key), inBoto(b?.key), code & 128 ? recordKey(typeText) : '', where), element, {}, {}, a, b);
      }
      const kind = simple[code];
      if (!kind) throw new Error(`${service.table} ${where}: unknown schema type ${code}`);
      if (kind === 'string') {
        const named = [...(typeText ?? '').matchAll(/\b[A-Za-z_]\w*\b/g)].map((m) => m[0]).find((w) => enums.has(w));
        if (named) return intern(named, { type: 'string', enum: [...enums.get(named)].sort() });
        const c = constraints(b, 'string');
        const known = Object.keys(c).length ? b.name : traits.sensitive ? schema[2] : 'String';
        return intern(known, { type: 'string', ...(traits.sensitive && { sensitive: true }), ...c });
      }
      if (kind === 'number') {
        const type = numberType(a, b, where);
        const c = constraints(b, 'number');
        const plain = type[0].toUpperCase() + type.slice(1);
        return intern(Object.keys(c).length ? b.name : plain, { type, ...c });
      }
      if (kind === 'blob') {
        const streaming = code === 42 || traits.streaming;
        const c = streaming ? {} : constraints(b, 'blob');
        const known = Object.keys(c).length ? b.name : traits.sensitive ? schema[2] : 'Blob';
        return intern(streaming ? 'StreamingBlob' : known,
          { type: 'blob', ...(streaming && { streaming: true }), ...(traits.sensitive && !streaming && { sensitive: true }), ...c });
      }
      return intern(kind[0].toUpperCase() + kind.slice(1), { type: kind });
    }
    switch (Math.abs(schema[0])) {
      case 1: {
        const [element, traits] = reference(schema[4]);
        return list(shapeOf(element, inV2(a?.member), inBoto(b?.member), typeText, where), traits, a, b, schema[2]);
      }
      case 2: {
        const [key, keyTraits] = reference(schema[4]);
        const [value, valueTraits] = reference(schema[5]);
        return map(shapeOf(key, inV2(a?.key), inBoto(b?.key), recordKey(typeText), where),
                   shapeOf(value, inV2(a?.value), inBoto(b?.value), recordValue(typeText), where), keyTraits, valueTraits, a, b, schema[2]);
      }
      case 3:
      case 4:
        return structure(schema, a, b);
    }
    throw new Error(`${service.table} ${where}: unknown schema ${schema[0]}`);
  }

  const recordKey = (text) => text?.match(/Record<(\w+),/)?.[1] ?? '';
  const recordValue = (text) => text?.match(/Record<\w+, ([^>]+)>/)?.[1] ?? text;

  function list(element, traits, a, b, name) {
    const shape = { type: 'list', element, ...(traits.xmlName && { wire: traits.xmlName }), ...constraints(b, 'list') };
    return intern(b?.name ?? name ?? `ListOf${element}`, shape);
  }

  function map(key, value, keyTraits, valueTraits, a, b, name) {
    const shape = { type: 'map', key, value, ...(keyTraits.xmlName && { keyWire: keyTraits.xmlName }),
      ...(valueTraits.xmlName && { valueWire: valueTraits.xmlName }), ...constraints(b, 'map') };
    return intern(b?.name ?? name ?? `MapOf${value}`, shape);
  }

  const open = new Set();
  function structure(schema, a, b) {
    const name = schema[2];
    const known = structures.get(name);
    // Newer members may lead here first, without an older counterpart: build again when one turns up.
    if (known && (known.a || !a) && (known.b || !b)) return name;
    if (open.has(name)) return name;
    structures.set(name, { a: a ?? known?.a, b: b ?? known?.b });
    open.add(name);
    ({ a, b } = structures.get(name));
    const traits = traitsOf(schema[3]);
    const declared = types.get(name) ?? new Map();
    const required = schema[6] ?? 0;
    const members = schema[4].map((member, i) => {
      const [target, t] = reference(schema[5][i]);
      const where = `${name}.${member}`;
      const memberA = inV2(a?.members?.[member]);
      const memberB = inBoto(b?.members?.[member]);
      const m = { name: member, shape: shapeOf(target, memberA, memberB, declared.get(member), where) };
      if (i < required) m.required = true;
      if (t.httpLabel) m.in = 'path';
      if (t.httpQuery) { m.in = 'query'; m.wire = t.httpQuery; }
      if (t.httpHeader) { m.in = 'header'; m.wire = t.httpHeader; }
      if (t.httpPrefixHeaders) { m.in = 'headers'; m.wire = t.httpPrefixHeaders; }
      if (t.httpResponseCode) m.in = 'status';
      if (t.httpPayload) m.in = 'payload';
      if (t.httpQueryParams || t.eventPayload === undefined && t.hostLabel && !m.in) throw new Error(`${where}: unsupported binding`);
      if (t.xmlName && !m.wire) m.wire = t.xmlName;
      if (t.jsonName && !m.wire) m.wire = t.jsonName;
      if (t.xmlFlattened) m.flattened = true;
      if (t.xmlAttribute) m.attribute = true;
      if (t.idempotencyToken) m.token = true;
      if (typeof target === 'number' && formats[target]) m.format = formats[target];
      return m;
    });
    // The order of the wire is the order of the older models; what they lack comes last.
    const order = [...new Set([...Object.keys(a?.members ?? {}), ...Object.keys(b?.members ?? {})])];
    const rank = new Map(order.map((member, i) => [member, i]));
    const sorted = members.map((m, i) => [rank.get(m.name) ?? order.length + i, m]).sort((x, y) => x[0] - y[0]).map((x) => x[1]);
    const shape = { type: 'structure' };
    if (schema[0] === 4) shape.union = true;
    if (traits.streaming) shape.streaming = true;
    if (traits.sensitive) shape.sensitive = true;
    if (traits.xmlName) shape.xmlName = traits.xmlName;
    if (schema[0] === -3) {
      shape.error = traits.httpError ?? (traits.error === 'server' ? 500 : 400);
      if (traits.awsQueryError && service.protocol === 'Query') [shape.code, shape.error] = traits.awsQueryError;
    }
    shapes.set(name, { ...shape, members: sorted });
    open.delete(name);
    return name;
  }

  const operations = [];
  for (const schema of Object.values(client).filter((x) => isSchema(x) && x[0] === 9)) {
    const name = schema[2];
    const a = v2.operations[name];
    const b = boto.operations[name];
    const shapeFor = (ref, which) => {
      const target = deref(ref);
      if (isSchema(target) && Math.abs(target[0]) === 3)
        return structure(target, inV2(a?.[which]?.shape || a?.[which]?.members ? a[which] : undefined), inBoto(b?.[which]));
      shapes.set('Nothing', { type: 'structure', members: [] });
      return 'Nothing';
    };
    const op = { name };
    const http = traitsOf(schema[3]).http;
    op.input = shapeFor(schema[4], 'input');
    op.output = shapeFor(schema[5], 'output');
    if (http) {
      op.method = http[0];
      op.uri = bucketInPath(http[1], shapes.get(op.input));
      op.status = b?.http?.responseCode ?? http[2];
      if (http[2] !== 200) op.status = http[2];
    }
    if (service.protocol === 'Query') {
      const wrapper = b?.output?.resultWrapper ?? a?.output?.resultWrapper ?? (shapes.get(op.output).members.length ? `${name}Result` : undefined);
      if (wrapper) op.wrapper = wrapper;
    }
    op.errors = (b?.errors ?? []).map((e) => e.shape).sort();
    operations.push(op);
  }
  operations.sort((x, y) => (x.name < y.name ? -1 : 1));

  for (const schema of Object.values(client).filter((x) => isSchema(x) && x[0] === -3))
    if (!schema[1].startsWith('smithy.ts'))
      structure(schema, v2.shapes[schema[2]] && { ...v2.shapes[schema[2]] }, boto.shapes[schema[2]] && { ...boto.shapes[schema[2]], name: schema[2] });
  for (const op of operations) op.errors = op.errors.filter((e) => shapes.has(e));

  // Only what an operation or an error reaches.
  const used = new Set();
  const mark = (name) => {
    if (used.has(name)) return;
    used.add(name);
    const s = shapes.get(name);
    for (const m of s.members ?? []) mark(m.shape);
    for (const k of ['element', 'key', 'value']) if (s[k]) mark(s[k]);
  };
  for (const op of operations) { mark(op.input); mark(op.output); }
  for (const [name, s] of shapes) if (s.error) mark(name);

  return {
    guessed,
    table: {
      service: {
        signingName: service.signing, serviceId: boto.metadata.serviceId, apiVersion: boto.metadata.apiVersion, protocol: service.protocol,
        ...(service.protocol === 'Json11' && { targetPrefix: boto.metadata.targetPrefix }),
        ...(boto.metadata.xmlNamespace && { xmlNamespace: boto.metadata.xmlNamespace }),
        ...(service.protocol === 'RestXml' && { xmlNamespace: 'http://s3.amazonaws.com/doc/2006-03-01/' }),
      },
      operations,
      shapes: Object.fromEntries([...shapes].filter(([name]) => used.has(name)).sort((x, y) => (x[0] < y[0] ? -1 : 1))),
    },
  };
}

// The newest models leave the bucket to the endpoint rules; on a path-style endpoint it is the first segment.
function bucketInPath(uri, input) {
  const labelled = input.members?.some((m) => m.name === 'Bucket' && m.in === 'path');
  if (!labelled || uri.includes('{Bucket}')) return uri;
  return '/{Bucket}' + (uri === '/' ? '' : uri.startsWith('/?') ? uri.slice(1) : uri);
}

// Patterns that hold for every string say nothing.
function matchesAll(pattern) {
  return ['.*', '[\\s\\S]*', '^.*$', '[\\s\\S]+', '.*?'].includes(pattern) && pattern !== '[\\s\\S]+';
}
