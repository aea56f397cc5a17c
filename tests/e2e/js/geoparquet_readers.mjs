// Reads a file of `millrace stac` with programs that know nothing of Millrace, and compares every row with the
// item it was made of: node geoparquet_readers.mjs ITEMS.ndjson FILE.parquet
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import * as arrow from 'apache-arrow';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

const [itemsFile, file] = process.argv.slice(2);
const items = new Map(readFileSync(itemsFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line)).map((item) => [item.id, item]));
const core = ['type', 'stac_version', 'stac_extensions', 'id', 'geometry', 'bbox', 'links', 'assets', 'collection'];
const times = ['datetime', 'start_datetime', 'end_datetime', 'created', 'updated', 'expires', 'published', 'unpublished'];

// Without what is null, with numbers that are numbers.
function plain(value) {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null && member !== undefined).map(([name, member]) => [name, plain(member)]));
}

// To the millisecond: JavaScript's dates have no more. Microseconds are compared through Arrow and DuckDB.
const toMilliseconds = (item) => ({
  ...item,
  properties: Object.fromEntries(Object.entries(item.properties).map(([name, value]) => [name, times.includes(name) && value ? new Date(value).toISOString() : value])),
});

function itemOf(row) {
  const item = { properties: {} };
  for (const [name, value] of Object.entries(plain(row))) (core.includes(name) ? item : item.properties)[name] = value;
  const { xmin, ymin, xmax, ymax } = item.bbox;
  item.bbox = [xmin, ymin, xmax, ymax];
  return item;
}

// GeoParquet 1.1.0, "Metadata": what a file must say, and of which type.
function checkGeo(geo) {
  assert.equal(geo.version, '1.1.0');
  assert.equal(typeof geo.primary_column, 'string');
  assert.ok(geo.primary_column in geo.columns);
  for (const [name, column] of Object.entries(geo.columns)) {
    assert.match(column.encoding, /^(WKB|point|linestring|polygon|multipoint|multilinestring|multipolygon)$/, name);
    assert.ok(Array.isArray(column.geometry_types));
    assert.equal(new Set(column.geometry_types).size, column.geometry_types.length);
    for (const type of column.geometry_types) assert.match(type, /^(GeometryCollection|(Multi)?(Point|LineString|Polygon))( Z)?$/);
    if ('crs' in column) assert.ok(column.crs === null || typeof column.crs === 'object');
    if ('edges' in column) assert.match(column.edges, /^(planar|spherical)$/);
    if ('bbox' in column) {
      assert.ok([4, 6].includes(column.bbox.length));
      assert.ok(column.bbox.every((number) => typeof number === 'number'));
    }
    if ('covering' in column) {
      const { bbox } = column.covering;
      for (const side of ['xmin', 'ymin', 'xmax', 'ymax']) {
        assert.equal(bbox[side].length, 2, 'a path of a struct and its field');
        assert.equal(bbox[side][1], side);
        assert.equal(bbox[side][0], bbox.xmin[0]);
      }
    }
  }
}

test('hyparquet: the metadata is that of the specifications, and rows are the items', async () => {
  const buffer = await asyncBufferFromFile(file);
  const metadata = await parquetMetadataAsync(buffer);
  const texts = Object.fromEntries(metadata.key_value_metadata.map(({ key, value }) => [key, value]));
  checkGeo(JSON.parse(texts.geo));
  const stac = JSON.parse(texts['stac-geoparquet']);
  assert.equal(stac.version, '1.0.0');
  const collections = new Set([...items.values()].map((item) => item.collection));
  assert.deepEqual(new Set(Object.keys(stac.collections)), collections);
  for (const [id, collection] of Object.entries(stac.collections)) {
    assert.equal(collection.type, 'Collection');
    assert.equal(collection.id, id);
    for (const required of ['stac_version', 'description', 'license', 'extent', 'links']) assert.ok(required in collection, required);
  }
  for (const group of metadata.row_groups) {
    for (const { meta_data: column } of group.columns) assert.equal(column.codec, 'ZSTD');
    const box = group.columns.find(({ meta_data: column }) => column.path_in_schema.join() === 'bbox,xmin');
    assert.equal(typeof box.meta_data.statistics.min_value, 'number');
  }
  const rows = await parquetReadObjects({ file: buffer, metadata, compressors });
  assert.equal(rows.length, items.size);
  for (const row of rows) assert.deepEqual(itemOf(row), plain(toMilliseconds(items.get(row.id))), row.id);
});

test('parquet-wasm and Arrow: types are those of stac-geoparquet', async () => {
  const { readParquet } = createRequire(import.meta.url)('parquet-wasm');
  const table = arrow.tableFromIPC(readParquet(readFileSync(file)).intoIPCStream());
  assert.equal(table.numRows, items.size);
  const type = (name) => table.schema.fields.find((field) => field.name === name)?.type;
  assert.ok(arrow.DataType.isTimestamp(type('datetime')));
  assert.equal(type('datetime').unit, arrow.TimeUnit.MICROSECOND);
  assert.equal(type('datetime').timezone, 'UTC');
  assert.ok(arrow.DataType.isBinary(type('geometry')));
  assert.ok(arrow.DataType.isStruct(type('bbox')));
  assert.ok(arrow.DataType.isStruct(type('assets')));
  assert.ok(type('assets').children.every((asset) => arrow.DataType.isStruct(asset.type)));
  assert.ok(arrow.DataType.isList(type('links')) && arrow.DataType.isStruct(type('links').children[0].type));
  assert.ok(arrow.DataType.isList(type('stac_extensions')));
  const ids = table.getChild('id');
  for (let i = 0; i < table.numRows; ++i) assert.ok(items.has(ids.get(i)));
});

test('DuckDB: microseconds, nested values and a window of the map', async () => {
  const connection = await (await DuckDBInstance.create()).connect();
  const query = async (sql) => (await connection.runAndReadAll(sql.replaceAll('FILE', `read_parquet('${file.replaceAll("'", "''")}')`))).getRowObjectsJson();
  for (const row of await query("SELECT id, strftime(datetime AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%f') || 'Z' AS time, assets.thumbnail.href AS href, proj FROM (SELECT *, \"proj:epsg\" AS proj FROM FILE)")) {
    const item = items.get(row.id);
    assert.equal(row.time, item.properties.datetime);
    assert.equal(row.href, item.assets.thumbnail.href);
    assert.equal(Number(row.proj), item.properties['proj:epsg']);
  }
  const inside = [...items.values()].filter(({ bbox }) => bbox[0] <= 20 && bbox[2] >= -20 && bbox[1] <= 20 && bbox[3] >= -20).map(({ id }) => id).sort();
  const found = await query('SELECT id FROM FILE WHERE bbox.xmin <= 20 AND bbox.xmax >= -20 AND bbox.ymin <= 20 AND bbox.ymax >= -20 ORDER BY id');
  assert.ok(inside.length > 0);
  assert.deepEqual(found.map(({ id }) => id), inside);
});
