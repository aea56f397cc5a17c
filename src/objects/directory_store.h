// An object store in a folder: content files beside an index. What it acknowledges is on the disk, whole.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "objects/checksum.h"
#include "objects/content_files.h"
#include "objects/events.h"
#include "objects/group_commit.h"
#include "objects/object_index.h"
#include "objects/records.h"
#include "objects/store.h"

namespace millrace::objects {

struct DirectoryStoreOptions {
  size_t inline_bytes_max = 16 * 1024;        // objects up to here live in the index: one fsync for many
  uint64_t part_bytes_min = 5 * 1024 * 1024;  // of all parts but the last
  uint64_t put_bytes_max = 5ull << 30;        // of one PUT or part
};

// Conditions on the object that is there before a change.
struct WriteConditions {
  std::string if_match;        // an ETag without quotes or "*"; empty: none
  bool if_none_match = false;  // only when there is no object (If-None-Match: *)
};

// Who asked; passed on to events.
struct Requester {
  std::string principal, source_address, request_id;
  std::string details = {};  // whatever else the reader of events wants to know
};

// What the sender said about the bytes, to be verified before anything is stored.
struct Integrity {
  std::string md5;                             // raw, 16 bytes; empty: not given
  std::optional<ChecksumAlgorithm> algorithm;  // compute and store this one
  std::string checksum;  // raw; empty: not given (yet: see ObjectWriter::expect_checksum)
};

struct PutSpec {
  std::string bucket, key;
  StoredHeaders headers;
  Integrity integrity;
  WriteConditions conditions;
  Requester requester;
  const char* reason = "PutObject";  // for events
};

struct PartSpec {
  std::string bucket, key, upload_id;
  int number = 0;
  Integrity integrity;
};

struct PutResult {
  std::string etag;  // without quotes
  uint64_t size = 0;
  base::TimeMs modified = 0;
  std::optional<Checksum> checksum;
  std::string version_id;  // empty in a bucket that never kept versions
};

// An object open for reading; stays whole whatever happens to its key meanwhile.
struct OpenObject {
  ObjectRecord record;
  std::string data;  // when `file` is none
  base::UniqueFd file;
};

struct ListSpec {
  std::string prefix, delimiter;
  std::string from;           // first key that may appear (inclusive)
  size_t entries_max = 1000;  // objects and common prefixes together
};

struct ListPage {
  std::vector<ListedObject> objects;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next_from;  // ListSpec::from of the next page, when truncated
  std::string last;       // the last key or common prefix of this page
};

// One page of the current objects of a bucket.
ListPage list_page(ObjectIndex& index, int64_t bucket, const ListSpec& spec);

struct ListVersionsSpec {
  std::string prefix, delimiter;
  std::string key_marker;      // begin behind this key, or common prefix
  std::string version_marker;  // or behind this version of it
  size_t entries_max = 1000;   // versions, delete markers and common prefixes together
};

struct VersionPage {
  std::vector<ListedVersion> versions;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next_key_marker, next_version_marker;  // when truncated
};

// What to delete: the object as it is now (in a bucket that keeps versions: hide it behind a delete marker),
// or for good, one version of it.
struct RemoveTarget {
  std::string key;
  std::string version;  // empty: the current object
  WriteConditions conditions;
};
struct RemoveResult {
  bool delete_marker = false;  // a marker was made, or a marker was deleted
  std::string version_id;      // of what was made or deleted; empty in a bucket that never kept versions
};
struct RemoveOutcome {
  RemoveResult result;
  std::exception_ptr error;
};

// The smallest key above every key that begins with `prefix`; nothing when there is none.
std::optional<std::string> after_prefix(std::string_view prefix);
// The smallest key above `key`.
inline std::string after_key(std::string_view key) { return std::string(key) + '\0'; }

struct CompletedPart {
  int number = 0;
  std::string etag;  // without quotes
  std::optional<Checksum> checksum;
};

struct UploadPage {
  std::vector<UploadRecord> uploads;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
};

class DirectoryStore;

// Takes the bytes of one PUT or part. Dropped before finish() it leaves nothing behind. One thread at a time.
class ObjectWriter {
 public:
  using Done = std::function<void(PutResult, std::exception_ptr)>;
  ~ObjectWriter();
  // Throws TransientError (disk full: nothing is stored), UsageError EntityTooLarge.
  void write(std::string_view bytes);
  // The checksum came after the body, in a trailer. The algorithm must be the one of Integrity.
  void expect_checksum(std::string raw) { integrity_.checksum = std::move(raw); }
  uint64_t size() const { return size_; }
  // True while the bytes fit the index: then finish() does not touch the disk.
  bool is_small() const { return !file_; }
  // Verifies (throws UsageError BadDigest), syncs the file, and has the change committed; `done` is called in
  // the store's thread when it is durable, or with the reason why it is not.
  void finish(Done done);
  // The same, blocking.
  PutResult finish();

 private:
  friend class DirectoryStore;
  ObjectWriter(DirectoryStore& store, Integrity integrity);
  void spill();
  PutResult seal();

  DirectoryStore& store_;
  Integrity integrity_;
  std::function<void(Commit&, ContentId, PutResult&)> apply_;
  std::string buffer_;
  std::shared_ptr<base::UniqueFd> file_;
  ContentId content_ = 0;  // of the file
  uint64_t size_ = 0, unsynced_ = 0;
  base::Digest md5_;
  std::optional<ChecksumDigest> checksum_;
};

// Thread-safe. Calls block on the disk. Errors: store_errors.h, and TransientError for the disk.
class DirectoryStore {
 public:
  // Opens or makes the store in `folder`, cleans up after a crash. Throws ConflictError when another process
  // has it, UsageError when a newer version wrote it. `clock` must outlive the store.
  DirectoryStore(std::string folder, const base::Clock& clock, DirectoryStoreOptions options = {});
  ~DirectoryStore();

  // Called in commit order, once the change is durable and visible, before its answer; must be quick and not
  // throw. Set before the first change.
  void set_observer(std::function<void(const ObjectEvent&)> observer);

  // From now on every change leaves its event in the index, in the same commit, until it is forgotten. Set
  // before the first change.
  void keep_events();
  // Events that are kept, after number `after`, in order; at most `limit`.
  std::vector<ObjectEvent> kept_events(int64_t after, size_t limit);
  // Those up to `sequence` are not needed any more. They go with the next commit.
  void forget_events(int64_t sequence);

  // Names as S3's rules: throws InvalidBucketName. False when it exists already.
  bool create_bucket(const std::string& name, const std::string& region);
  BucketRecord bucket(std::string_view name);
  std::vector<BucketRecord> buckets(std::string_view after = {}, size_t limit = 10'000);
  void delete_bucket(const std::string& name);  // and its unfinished uploads; must have no objects

  // Throws UsageError for Versioning::kNever: there is no way back.
  void set_versioning(const std::string& bucket, Versioning versioning);
  // Sub-resources of the bucket ("cors", "policy", …) as they were put; nothing when they were not.
  std::optional<std::string> setting(std::string_view bucket, std::string_view name);
  void put_setting(const std::string& bucket, const std::string& name, const std::string& value);
  void erase_setting(const std::string& bucket, const std::string& name);

  std::unique_ptr<ObjectWriter> put(PutSpec spec);
  // `version`: empty for the current object, "null", or a version id. Throws no_such_key(), DeleteMarkerError
  // when the current object is hidden by a marker, no_such_version(), invalid_version_id(). A version that is
  // a marker itself is returned by head() (ObjectRecord::delete_marker) and thrown by open().
  ObjectRecord head(std::string_view bucket, std::string_view key, std::string_view version = {});
  OpenObject open(std::string_view bucket, std::string_view key, std::string_view version = {});
  ListPage list(std::string_view bucket, const ListSpec& spec);
  VersionPage list_versions(std::string_view bucket, const ListVersionsSpec& spec);
  // Replaces the object's tags ("a=1&b=2", percent-encoded; empty: none) and nothing else. Returns the
  // version id, empty in a bucket that never kept versions.
  std::string put_tags(const std::string& bucket, const std::string& key, std::string_view version,
                       const std::string& tags);
  // An object that is not there is fine.
  RemoveResult remove(const std::string& bucket, const std::string& key, const WriteConditions& conditions,
                      const Requester& requester, std::string_view version = {});
  // All of them in one commit. Outcomes are in the order of `targets`.
  std::vector<RemoveOutcome> remove_all(const std::string& bucket, const std::vector<RemoveTarget>& targets,
                                        const Requester& requester);
  // Copies the object as `source` describes it now; `headers` replaces its headers when given. Throws
  // ConflictError when its ETag is no longer `source_etag`.
  PutResult copy(const std::string& source_bucket, const std::string& source_key,
                 const std::string& source_etag, PutSpec target, std::optional<ChecksumAlgorithm> algorithm,
                 bool replace_headers, std::string_view source_version = {});

  // Returns the upload id.
  std::string create_upload(const std::string& bucket, const std::string& key, StoredHeaders headers,
                            std::optional<ChecksumAlgorithm> algorithm, bool full_object);
  UploadRecord upload(std::string_view bucket, std::string_view key, std::string_view upload_id);
  std::unique_ptr<ObjectWriter> put_part(PartSpec spec);
  std::vector<PartRecord> parts(std::string_view bucket, std::string_view key, std::string_view upload_id,
                                int after, size_t limit);
  PutResult complete_upload(const std::string& bucket, const std::string& key, const std::string& upload_id,
                            const std::vector<CompletedPart>& parts, const std::string& expected_checksum,
                            const WriteConditions& conditions, const Requester& requester);
  void abort_upload(const std::string& bucket, const std::string& key, const std::string& upload_id);
  // Uploads in order of key and id, after the given ones.
  UploadPage uploads(std::string_view bucket, std::string_view prefix, std::string_view delimiter,
                     std::string_view after_key, std::string_view after_id, size_t limit);

  // The bucket as a reader; the store must outlive it.
  std::unique_ptr<ObjectReader> reader(const std::string& bucket);

 private:
  friend class ObjectWriter;
  class Reading;  // a connection of the pool, for one call

  ContentId next_content() { return next_content_.fetch_add(1); }
  base::TimeMs now() const { return clock_.now_ms() / 1000 * 1000; }  // S3 keeps whole seconds
  BucketRecord required_bucket(ObjectIndex& index, std::string_view name);
  UploadRecord required_upload(ObjectIndex& index, std::string_view bucket, std::string_view key,
                               std::string_view upload_id);
  void check(const WriteConditions& conditions, const std::optional<ObjectRecord>& existing);
  // Puts the record at its key, keeps or releases what was there, and tells the observer. Returns the version
  // id, empty in a bucket that never kept versions.
  std::string replace(Commit& commit, const PutSpec& spec, ObjectRecord record, const char* reason);
  // Moves the current object aside before a newer one or a marker takes its place (`null_version`: a null
  // version, which replaces the one that was). Its row stays for the caller to replace or erase.
  void make_room(Commit& commit, const BucketRecord& bucket, const std::string& key,
                 const std::optional<ObjectRecord>& current, bool null_version);
  RemoveResult erase(Commit& commit, const std::string& bucket, const RemoveTarget& target,
                     const Requester& requester);
  RemoveResult erase_version(Commit& commit, const BucketRecord& bucket, const RemoveTarget& target,
                             const Requester& requester);
  ObjectRecord required_object(ObjectIndex& index, std::string_view bucket, std::string_view key,
                               std::string_view version);
  void recover();

  std::string folder_;
  const base::Clock& clock_;
  DirectoryStoreOptions options_;
  base::UniqueFd lock_;
  ContentFiles files_;
  std::unique_ptr<ObjectIndex> writer_;
  std::mutex readers_mutex_;
  std::vector<std::unique_ptr<ObjectIndex>> readers_;
  std::atomic<ContentId> next_content_{0};
  std::function<void(const ObjectEvent&)> observer_;
  std::unique_ptr<GroupCommit> commits_;
};

}  // namespace millrace::objects
