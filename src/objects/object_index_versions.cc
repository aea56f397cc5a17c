// The versions and the bucket settings of the index.
#include "base/error.h"
#include "objects/object_index.h"
#include "objects/object_index_rows.h"

namespace millrace::objects {

void ObjectIndex::set_versioning(int64_t bucket, Versioning versioning) {
  statement("UPDATE buckets SET versioning=$2 WHERE id=$1")
      .bind(1, bucket)
      .bind(2, static_cast<int64_t>(versioning))
      .run();
}

std::optional<std::string> ObjectIndex::setting(int64_t bucket, std::string_view name) {
  sql::Statement& s = statement("SELECT value FROM bucket_settings WHERE bucket=$1 AND name=$2");
  Running running(s);
  s.bind(1, bucket).bind(2, name);
  if (!s.step()) return std::nullopt;
  return std::string(s.text(0));
}

void ObjectIndex::put_setting(int64_t bucket, std::string_view name, std::string_view value) {
  statement("INSERT OR REPLACE INTO bucket_settings(bucket,name,value) VALUES($1,$2,$3)")
      .bind(1, bucket)
      .bind(2, name)
      .bind_blob(3, value)
      .run();
}

void ObjectIndex::erase_setting(int64_t bucket, std::string_view name) {
  statement("DELETE FROM bucket_settings WHERE bucket=$1 AND name=$2").bind(1, bucket).bind(2, name).run();
}

void ObjectIndex::insert_version(int64_t bucket, std::string_view key, const ObjectRecord& version) {
  sql::Statement& s = statement(
      "INSERT INTO "
      "versions(bucket,key,content,size,etag,modified,checksum,sequence,headers,parts,null_version,marker)"
      " VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)");
  bind_object(s, bucket, key, version);
  s.bind(12, int64_t{version.delete_marker}).run();
}

std::optional<ObjectRecord> ObjectIndex::version(int64_t bucket, std::string_view key,
                                                 const VersionRef& wanted) {
  // Of one key there is at most one null version; the others are known by their sequence.
  sql::Statement& s = statement(
      "SELECT content,size,etag,modified,checksum,sequence,headers,parts,null_version,marker FROM versions"
      " WHERE bucket=$1 AND key=$2 AND CASE WHEN $3 THEN null_version ELSE sequence=$4 AND NOT null_version "
      "END");
  Running running(s);
  s.bind(1, bucket).bind_blob(2, key).bind(3, int64_t{wanted.null_version}).bind(4, wanted.sequence);
  if (!s.step()) return std::nullopt;
  ObjectRecord record = read_object(s);
  record.delete_marker = s.int64(9) != 0;
  return record;
}

std::optional<ObjectRecord> ObjectIndex::newest_version(int64_t bucket, std::string_view key) {
  sql::Statement& s = statement(
      "SELECT content,size,etag,modified,checksum,sequence,headers,parts,null_version,marker FROM versions"
      " WHERE bucket=$1 AND key=$2 ORDER BY sequence DESC LIMIT 1");
  Running running(s);
  s.bind(1, bucket).bind_blob(2, key);
  if (!s.step()) return std::nullopt;
  ObjectRecord record = read_object(s);
  record.delete_marker = s.int64(9) != 0;
  return record;
}

void ObjectIndex::erase_version(int64_t bucket, std::string_view key, int64_t sequence) {
  statement("DELETE FROM versions WHERE bucket=$1 AND key=$2 AND sequence=$3")
      .bind(1, bucket)
      .bind_blob(2, key)
      .bind(3, sequence)
      .run();
}

void ObjectIndex::update_headers(int64_t bucket, std::string_view key, int64_t sequence,
                                 const StoredHeaders& headers) {
  std::string packed = pack(headers);
  for (const char* text : {"UPDATE objects SET headers=$4 WHERE bucket=$1 AND key=$2 AND sequence=$3",
                           "UPDATE versions SET headers=$4 WHERE bucket=$1 AND key=$2 AND sequence=$3"})
    statement(text).bind(1, bucket).bind_blob(2, key).bind(3, sequence).bind_blob(4, packed).run();
}

void ObjectIndex::scan_versions(int64_t bucket, std::string_view key,
                                const std::function<bool(ListedVersion&&)>& visit) {
  // Both halves come in this order already: SQLite merges them without sorting.
  sql::Statement& s = statement(
      "SELECT key,size,etag,modified,checksum,sequence,null_version,0 AS marker,headers FROM objects"
      " WHERE bucket=$1 AND key>=$2 UNION ALL "
      "SELECT key,size,etag,modified,checksum,sequence,null_version,marker,headers FROM versions"
      " WHERE bucket=$1 AND key>=$2 ORDER BY 1,6 DESC");
  Running running(s);
  s.bind(1, bucket).bind_blob(2, key);
  while (s.step()) {
    ListedVersion version;
    version.object = {std::string(s.text(0)), static_cast<uint64_t>(s.int64(1)),
                      std::string(s.text(2)), s.int64(3),
                      read_checksum(s, 4),    storage_class_in(s.text(8))};
    ObjectRecord record;
    record.sequence = version.sequence = s.int64(5);
    record.null_version = s.int64(6) != 0;
    version.version_id = record.version_id();
    version.delete_marker = s.int64(7) != 0;
    if (!visit(std::move(version))) return;
  }
}

}  // namespace millrace::objects
