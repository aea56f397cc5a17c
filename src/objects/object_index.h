// The index of the directory store: which buckets, objects and uploads there are, and where their bytes lie.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "objects/events.h"
#include "objects/records.h"
#include "sql/connection.h"

namespace millrace::objects {

// One connection to the index with its prepared statements; used by one thread at a time. Keys are blobs, so
// that they sort by their bytes. Errors are those of sql::Connection.
class ObjectIndex {
 public:
  // Creates the tables when `writer`. Throws UsageError when the index was written by a newer version.
  ObjectIndex(const std::string& path, bool writer);
  ~ObjectIndex();

  // Throws UsageError unless the index has the format of this version: for connections that do not migrate.
  void check_version(const std::string& path);

  // Rises by one with every start, before anything else is written: identifiers made from it are never used
  // twice.
  int64_t next_generation();

  void begin();
  void commit();
  void rollback();
  // A savepoint inside the transaction: what one operation of a group wrote can be undone alone.
  void mark();
  void release_mark();
  void undo_to_mark();

  std::optional<BucketRecord> bucket(std::string_view name);
  // Buckets after `after` by name, at most `limit`.
  std::vector<BucketRecord> buckets(std::string_view after, size_t limit);
  void insert_bucket(const BucketRecord& bucket);  // `id` is given by the index
  void erase_bucket(int64_t id);
  bool has_objects(int64_t bucket);  // or old versions
  void set_versioning(int64_t bucket, Versioning versioning);
  // Sub-resources of a bucket by name ("cors", "policy", "tagging"), as they were put.
  std::optional<std::string> setting(int64_t bucket, std::string_view name);
  void put_setting(int64_t bucket, std::string_view name, std::string_view value);
  void erase_setting(int64_t bucket, std::string_view name);

  std::optional<ObjectRecord> object(int64_t bucket, std::string_view key);
  void put_object(int64_t bucket, std::string_view key, const ObjectRecord& object);
  void erase_object(int64_t bucket, std::string_view key);
  // Objects from `key` on (`inclusive`) or after it, in byte order, until `visit` returns false.
  void scan_objects(int64_t bucket, std::string_view key, bool inclusive,
                    const std::function<bool(ListedObject&&)>& visit);

  // What is not the current object of its key: older versions, and delete markers of any age. The current
  // object, where there is one, is newer than all of them.
  void insert_version(int64_t bucket, std::string_view key, const ObjectRecord& version);
  std::optional<ObjectRecord> version(int64_t bucket, std::string_view key, const VersionRef& wanted);
  std::optional<ObjectRecord> newest_version(int64_t bucket, std::string_view key);
  void erase_version(int64_t bucket, std::string_view key, int64_t sequence);
  // Replaces the headers of the current object or of a version, whichever has this sequence.
  void update_headers(int64_t bucket, std::string_view key, int64_t sequence, const StoredHeaders& headers);
  // Current objects and versions together from `key` on, by key and within a key newest first, until `visit`
  // returns false. ListedVersion::is_latest is left false.
  void scan_versions(int64_t bucket, std::string_view key, const std::function<bool(ListedVersion&&)>& visit);

  void insert_inline(ContentId content, std::string_view data);
  std::optional<std::string> inline_data(ContentId content);
  void erase_inline(ContentId content);
  // Content files that no record needs any more, to be unlinked after the commit.
  void add_garbage(ContentId content);
  void erase_garbage(ContentId content);
  std::vector<ContentId> garbage();
  // Calls `visit` for the content file of every object, version and part.
  void all_contents(const std::function<void(ContentId)>& visit);

  // What happened, for who reads it after the commit.
  void insert_event(const ObjectEvent& event);
  std::vector<ObjectEvent> events(int64_t after, size_t limit);
  void erase_events(int64_t until);  // inclusive

  void insert_upload(const UploadRecord& upload);  // `id` is given by the index
  std::optional<UploadRecord> upload(std::string_view upload_id);
  void erase_upload(int64_t id);  // and its parts
  bool has_uploads(int64_t bucket);
  // Uploads of the bucket in order of (key, upload_id) after the given one, until `visit` returns false.
  void scan_uploads(int64_t bucket, std::string_view key, std::string_view upload_id,
                    const std::function<bool(UploadRecord&&)>& visit);
  std::optional<PartRecord> part(int64_t upload, int number);
  void put_part(int64_t upload, const PartRecord& part);
  // Parts after number `after`, at most `limit`, ascending.
  std::vector<PartRecord> parts(int64_t upload, int after, size_t limit);

 private:
  int64_t version_of(const std::string& path);
  sql::Statement& statement(const char* text);  // `text`: a literal, the key of the cache

  std::unique_ptr<sql::Connection> connection_;
  std::unordered_map<const char*, std::unique_ptr<sql::Statement>> statements_;
};

}  // namespace millrace::objects
