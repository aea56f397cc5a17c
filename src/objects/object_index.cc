#include "objects/object_index.h"

#include "base/error.h"
#include "base/strings.h"
#include "objects/object_index_rows.h"

namespace millrace::objects {
namespace {

constexpr int64_t kSchemaVersion = 3;

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS buckets(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
  created INTEGER NOT NULL, region TEXT NOT NULL, versioning INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS bucket_settings(bucket INTEGER NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY(bucket, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects(bucket INTEGER NOT NULL, key BLOB NOT NULL, content INTEGER NOT NULL,
  size INTEGER NOT NULL, etag TEXT NOT NULL, modified INTEGER NOT NULL, checksum TEXT, sequence INTEGER NOT NULL,
  headers BLOB, parts TEXT, null_version INTEGER NOT NULL DEFAULT 1, PRIMARY KEY(bucket, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions(bucket INTEGER NOT NULL, key BLOB NOT NULL, content INTEGER NOT NULL,
  size INTEGER NOT NULL, etag TEXT NOT NULL, modified INTEGER NOT NULL, checksum TEXT, sequence INTEGER NOT NULL,
  headers BLOB, parts TEXT, null_version INTEGER NOT NULL, marker INTEGER NOT NULL,
  PRIMARY KEY(bucket, key, sequence DESC)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inline(content INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS garbage(content INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS uploads(id INTEGER PRIMARY KEY AUTOINCREMENT, bucket INTEGER NOT NULL, key BLOB NOT NULL,
  upload_id TEXT NOT NULL UNIQUE, initiated INTEGER NOT NULL, headers BLOB, algorithm TEXT,
  full_object INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS uploads_by_key ON uploads(bucket, key, upload_id);
CREATE TABLE IF NOT EXISTS parts(upload INTEGER NOT NULL, number INTEGER NOT NULL, content INTEGER NOT NULL,
  size INTEGER NOT NULL, etag TEXT NOT NULL, modified INTEGER NOT NULL, checksum TEXT,
  PRIMARY KEY(upload, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events(sequence INTEGER PRIMARY KEY, kind INTEGER NOT NULL, reason TEXT NOT NULL,
  bucket TEXT NOT NULL, key BLOB NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, time INTEGER NOT NULL,
  requester TEXT NOT NULL, source TEXT NOT NULL, request TEXT NOT NULL, version TEXT NOT NULL, marker INTEGER NOT NULL,
  details TEXT NOT NULL);
)";

// Format 1 knew no versions and no settings of buckets.
constexpr const char* kFrom1To2 = R"(
ALTER TABLE buckets ADD COLUMN versioning INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN null_version INTEGER NOT NULL DEFAULT 1;
)";

BucketRecord read_bucket(sql::Statement& s) {
  return {s.int64(0), std::string(s.text(1)), s.int64(2), std::string(s.text(3)),
          static_cast<Versioning>(s.int64(4))};
}

PartRecord read_part(sql::Statement& s) {
  return {static_cast<int>(s.int64(0)), s.int64(1), static_cast<uint64_t>(s.int64(2)),
          std::string(s.text(3)),       s.int64(4), read_checksum(s, 5)};
}

UploadRecord read_upload(sql::Statement& s) {
  UploadRecord upload;
  upload.id = s.int64(0);
  upload.bucket = s.int64(1);
  upload.key = s.text(2);
  upload.upload_id = s.text(3);
  upload.initiated = s.int64(4);
  upload.headers = unpack(s.text(5));
  if (!s.is_null(6)) upload.algorithm = parse_checksum_name(s.text(6));
  upload.full_object = s.int64(7) != 0;
  return upload;
}

}  // namespace

int64_t ObjectIndex::version_of(const std::string& path) {
  std::unique_ptr<sql::Statement> s = connection_->prepare("PRAGMA user_version");
  int64_t version = s->step() ? s->int64(0) : 0;
  if (version > kSchemaVersion)
    throw base::UsageError("the objects in " + path +
                           " were written by a newer version of millrace (format " + std::to_string(version) +
                           ", this one knows " + std::to_string(kSchemaVersion) +
                           "): use that version or another data folder");
  return version;
}

void ObjectIndex::check_version(const std::string& path) {
  if (int64_t version = version_of(path); version < kSchemaVersion)
    throw base::UsageError("the objects in " + path +
                           " were written by an older version of millrace (format " +
                           std::to_string(version) + "): start `millrace serve` on them once");
}

ObjectIndex::ObjectIndex(const std::string& path, bool writer) {
  connection_ = sql::open_sqlite(path);
  if (!writer) return;
  int64_t version = version_of(path);
  if (version == kSchemaVersion) return;
  sql::Transaction transaction(*connection_);
  if (version == 1) connection_->execute(kFrom1To2);
  connection_->execute(kSchema);
  connection_->execute("PRAGMA user_version=" + std::to_string(kSchemaVersion));
  transaction.commit();
}

ObjectIndex::~ObjectIndex() = default;

sql::Statement& ObjectIndex::statement(const char* text) {
  std::unique_ptr<sql::Statement>& s = statements_[text];
  if (!s) s = connection_->prepare(text);
  return *s;
}

int64_t ObjectIndex::next_generation() {
  statement(
      "INSERT INTO meta(name,value) VALUES('generation',1) ON CONFLICT(name) DO UPDATE SET value=value+1")
      .run();
  sql::Statement& s = statement("SELECT value FROM meta WHERE name='generation'");
  Running running(s);
  if (!s.step()) throw base::InternalError("the object index lost its generation");
  return s.int64(0);
}

void ObjectIndex::begin() { statement("BEGIN IMMEDIATE").run(); }
void ObjectIndex::commit() { statement("COMMIT").run(); }
void ObjectIndex::rollback() { statement("ROLLBACK").run(); }
void ObjectIndex::mark() { statement("SAVEPOINT operation").run(); }
void ObjectIndex::release_mark() { statement("RELEASE operation").run(); }
void ObjectIndex::undo_to_mark() {
  statement("ROLLBACK TO operation").run();
  statement("RELEASE operation").run();
}

std::optional<BucketRecord> ObjectIndex::bucket(std::string_view name) {
  sql::Statement& s = statement("SELECT id,name,created,region,versioning FROM buckets WHERE name=$1");
  Running running(s);
  s.bind(1, name);
  if (!s.step()) return std::nullopt;
  return read_bucket(s);
}

std::vector<BucketRecord> ObjectIndex::buckets(std::string_view after, size_t limit) {
  sql::Statement& s =
      statement("SELECT id,name,created,region,versioning FROM buckets WHERE name>$1 ORDER BY name LIMIT $2");
  Running running(s);
  s.bind(1, after).bind(2, static_cast<int64_t>(limit));
  std::vector<BucketRecord> found;
  while (s.step()) found.push_back(read_bucket(s));
  return found;
}

void ObjectIndex::insert_bucket(const BucketRecord& bucket) {
  statement("INSERT INTO buckets(name,created,region) VALUES($1,$2,$3)")
      .bind(1, bucket.name)
      .bind(2, bucket.created)
      .bind(3, bucket.region)
      .run();
}

void ObjectIndex::erase_bucket(int64_t id) {
  statement("DELETE FROM bucket_settings WHERE bucket=$1").bind(1, id).run();
  statement("DELETE FROM buckets WHERE id=$1").bind(1, id).run();
}

bool ObjectIndex::has_objects(int64_t bucket) {
  sql::Statement& s = statement(
      "SELECT 1 WHERE EXISTS(SELECT 1 FROM objects WHERE bucket=$1) OR EXISTS(SELECT 1 FROM versions WHERE "
      "bucket=$1)");
  Running running(s);
  return s.bind(1, bucket).step();
}

std::optional<ObjectRecord> ObjectIndex::object(int64_t bucket, std::string_view key) {
  sql::Statement& s = statement(
      "SELECT content,size,etag,modified,checksum,sequence,headers,parts,null_version FROM objects WHERE "
      "bucket=$1 AND key=$2");
  Running running(s);
  s.bind(1, bucket).bind_blob(2, key);
  if (!s.step()) return std::nullopt;
  return read_object(s);
}

void ObjectIndex::put_object(int64_t bucket, std::string_view key, const ObjectRecord& object) {
  sql::Statement& s = statement(
      "INSERT OR REPLACE INTO "
      "objects(bucket,key,content,size,etag,modified,checksum,sequence,headers,parts,null_version)"
      " VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)");
  bind_object(s, bucket, key, object);
  s.run();
}

void ObjectIndex::erase_object(int64_t bucket, std::string_view key) {
  statement("DELETE FROM objects WHERE bucket=$1 AND key=$2").bind(1, bucket).bind_blob(2, key).run();
}

void ObjectIndex::scan_objects(int64_t bucket, std::string_view key, bool inclusive,
                               const std::function<bool(ListedObject&&)>& visit) {
  sql::Statement& s = inclusive ? statement(
                                      "SELECT key,size,etag,modified,checksum,headers FROM objects"
                                      " WHERE bucket=$1 AND key>=$2 ORDER BY key")
                                : statement(
                                      "SELECT key,size,etag,modified,checksum,headers FROM objects"
                                      " WHERE bucket=$1 AND key>$2 ORDER BY key");
  Running running(s);
  s.bind(1, bucket).bind_blob(2, key);
  while (s.step()) {
    if (!visit({std::string(s.text(0)), static_cast<uint64_t>(s.int64(1)), std::string(s.text(2)), s.int64(3),
                read_checksum(s, 4), storage_class_in(s.text(5))}))
      return;
  }
}

void ObjectIndex::insert_inline(ContentId content, std::string_view data) {
  statement("INSERT INTO inline(content,data) VALUES($1,$2)").bind(1, content).bind_blob(2, data).run();
}

std::optional<std::string> ObjectIndex::inline_data(ContentId content) {
  sql::Statement& s = statement("SELECT data FROM inline WHERE content=$1");
  Running running(s);
  s.bind(1, content);
  if (!s.step()) return std::nullopt;
  return std::string(s.text(0));
}

void ObjectIndex::erase_inline(ContentId content) {
  statement("DELETE FROM inline WHERE content=$1").bind(1, content).run();
}

void ObjectIndex::add_garbage(ContentId content) {
  statement("INSERT OR IGNORE INTO garbage(content) VALUES($1)").bind(1, content).run();
}

void ObjectIndex::erase_garbage(ContentId content) {
  statement("DELETE FROM garbage WHERE content=$1").bind(1, content).run();
}

std::vector<ContentId> ObjectIndex::garbage() {
  sql::Statement& s = statement("SELECT content FROM garbage");
  Running running(s);
  std::vector<ContentId> all;
  while (s.step()) all.push_back(s.int64(0));
  return all;
}

void ObjectIndex::all_contents(const std::function<void(ContentId)>& visit) {
  sql::Statement& s = statement(
      "SELECT content FROM objects WHERE content>0 UNION ALL SELECT content FROM parts WHERE content>0"
      " UNION ALL SELECT content FROM versions WHERE content>0");
  Running running(s);
  while (s.step()) visit(s.int64(0));
}

void ObjectIndex::insert_event(const ObjectEvent& event) {
  statement("INSERT INTO events VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)")
      .bind(1, event.sequence)
      .bind(2, static_cast<int64_t>(event.kind))
      .bind(3, event.reason)
      .bind(4, event.bucket)
      .bind_blob(5, event.key)
      .bind(6, static_cast<int64_t>(event.size))
      .bind(7, event.etag)
      .bind(8, event.time)
      .bind(9, event.requester)
      .bind(10, event.source_address)
      .bind(11, event.request_id)
      .bind(12, event.version_id)
      .bind(13, int64_t{event.delete_marker})
      .bind(14, event.details)
      .run();
}

std::vector<ObjectEvent> ObjectIndex::events(int64_t after, size_t limit) {
  sql::Statement& s = statement("SELECT * FROM events WHERE sequence>$1 ORDER BY sequence LIMIT $2");
  Running running(s);
  s.bind(1, after).bind(2, static_cast<int64_t>(limit));
  std::vector<ObjectEvent> found;
  while (s.step()) {
    ObjectEvent event;
    event.sequence = s.int64(0);
    event.kind = static_cast<ObjectEvent::Kind>(s.int64(1));
    event.reason = s.text(2);
    event.bucket = s.text(3);
    event.key = s.text(4);
    event.size = static_cast<uint64_t>(s.int64(5));
    event.etag = s.text(6);
    event.time = s.int64(7);
    event.requester = s.text(8);
    event.source_address = s.text(9);
    event.request_id = s.text(10);
    event.version_id = s.text(11);
    event.delete_marker = s.int64(12) != 0;
    event.details = s.text(13);
    found.push_back(std::move(event));
  }
  return found;
}

void ObjectIndex::erase_events(int64_t until) {
  statement("DELETE FROM events WHERE sequence<=$1").bind(1, until).run();
}

void ObjectIndex::insert_upload(const UploadRecord& upload) {
  sql::Statement& s = statement(
      "INSERT INTO uploads(bucket,key,upload_id,initiated,headers,algorithm,full_object) "
      "VALUES($1,$2,$3,$4,$5,$6,$7)");
  s.bind(1, upload.bucket)
      .bind_blob(2, upload.key)
      .bind(3, upload.upload_id)
      .bind(4, upload.initiated)
      .bind_blob(5, pack(upload.headers));
  if (upload.algorithm)
    s.bind(6, checksum_name(*upload.algorithm));
  else
    s.bind_null(6);
  s.bind(7, int64_t{upload.full_object}).run();
}

std::optional<UploadRecord> ObjectIndex::upload(std::string_view upload_id) {
  sql::Statement& s = statement(
      "SELECT id,bucket,key,upload_id,initiated,headers,algorithm,full_object FROM uploads WHERE "
      "upload_id=$1");
  Running running(s);
  s.bind(1, upload_id);
  if (!s.step()) return std::nullopt;
  return read_upload(s);
}

void ObjectIndex::erase_upload(int64_t id) {
  statement("DELETE FROM parts WHERE upload=$1").bind(1, id).run();
  statement("DELETE FROM uploads WHERE id=$1").bind(1, id).run();
}

bool ObjectIndex::has_uploads(int64_t bucket) {
  sql::Statement& s = statement("SELECT 1 FROM uploads WHERE bucket=$1 LIMIT 1");
  Running running(s);
  return s.bind(1, bucket).step();
}

void ObjectIndex::scan_uploads(int64_t bucket, std::string_view key, std::string_view upload_id,
                               const std::function<bool(UploadRecord&&)>& visit) {
  sql::Statement& s = statement(
      "SELECT id,bucket,key,upload_id,initiated,headers,algorithm,full_object FROM uploads"
      " WHERE bucket=$1 AND (key,upload_id)>($2,$3) ORDER BY key,upload_id");
  Running running(s);
  s.bind(1, bucket).bind_blob(2, key).bind(3, upload_id);
  while (s.step())
    if (!visit(read_upload(s))) return;
}

std::optional<PartRecord> ObjectIndex::part(int64_t upload, int number) {
  sql::Statement& s =
      statement("SELECT number,content,size,etag,modified,checksum FROM parts WHERE upload=$1 AND number=$2");
  Running running(s);
  s.bind(1, upload).bind(2, int64_t{number});
  if (!s.step()) return std::nullopt;
  return read_part(s);
}

void ObjectIndex::put_part(int64_t upload, const PartRecord& part) {
  sql::Statement& s = statement(
      "INSERT OR REPLACE INTO parts(upload,number,content,size,etag,modified,checksum) "
      "VALUES($1,$2,$3,$4,$5,$6,$7)");
  s.bind(1, upload)
      .bind(2, int64_t{part.number})
      .bind(3, part.content)
      .bind(4, static_cast<int64_t>(part.size))
      .bind(5, part.etag)
      .bind(6, part.modified);
  bind_checksum(s, 7, part.checksum);
  s.run();
}

std::vector<PartRecord> ObjectIndex::parts(int64_t upload, int after, size_t limit) {
  sql::Statement& s = statement(
      "SELECT number,content,size,etag,modified,checksum FROM parts WHERE upload=$1 AND number>$2"
      " ORDER BY number LIMIT $3");
  Running running(s);
  s.bind(1, upload).bind(2, int64_t{after}).bind(3, static_cast<int64_t>(limit));
  std::vector<PartRecord> found;
  while (s.step()) found.push_back(read_part(s));
  return found;
}

}  // namespace millrace::objects
