#include "objects/directory_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/error.h"
#include "objects/bucket_name.h"
#include "objects/directory_store_reading.h"
#include "objects/store_errors.h"

namespace millrace::objects {
namespace {

constexpr size_t kKeyBytesMax = 1024;
// Content ids and sequences: the generation in the upper bits, so that none is ever used twice, not even for
// a file of a run that crashed before the index knew of it.
constexpr int kGenerationShift = 40;

void make_folder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return;
  int error = errno;
  std::string text = base::system_message("create folder " + path, error);
  if (error == EACCES || error == EPERM || error == EROFS) throw base::DeniedError(text);
  if (error == ENOENT) throw base::NotFoundError(text);
  throw base::TransientError(text);
}

base::UniqueFd lock_folder(const std::string& folder) {
  make_folder(folder);
  base::UniqueFd fd(::open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) throw base::DeniedError(base::system_message("open " + folder + "/lock", errno));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    throw base::ConflictError("the objects in " + folder + " are in use by another process");
  return fd;
}

}  // namespace

DirectoryStore::DirectoryStore(std::string folder, const base::Clock& clock, DirectoryStoreOptions options)
    : folder_(std::move(folder)),
      clock_(clock),
      options_(options),
      lock_(lock_folder(folder_)),
      files_(folder_),
      writer_(std::make_unique<ObjectIndex>(folder_ + "/index.db", true)) {
  int64_t generation = writer_->next_generation();
  next_content_ = (generation << kGenerationShift) + 1;
  recover();
  commits_ = std::make_unique<GroupCommit>(*writer_, files_, generation << kGenerationShift,
                                           [this](const ObjectEvent& event) {
                                             if (observer_) observer_(event);
                                           });
}

DirectoryStore::~DirectoryStore() = default;

void DirectoryStore::set_observer(std::function<void(const ObjectEvent&)> observer) {
  observer_ = std::move(observer);
}

void DirectoryStore::keep_events() { commits_->keep_events(); }
void DirectoryStore::forget_events(int64_t sequence) { commits_->forget_events(sequence); }
std::vector<ObjectEvent> DirectoryStore::kept_events(int64_t after, size_t limit) {
  Reading index(*this);
  return index->events(after, limit);
}

void DirectoryStore::recover() {
  // What the index gave up but a crash left on the disk.
  for (ContentId content : writer_->garbage()) {
    files_.remove(content);
    writer_->erase_garbage(content);
  }
  // What a crash left in incoming/: committed files are moved, the others were never acknowledged.
  std::set<ContentId> incoming;
  files_.for_each_incoming([&](ContentId content) { incoming.insert(content); });
  if (incoming.empty()) return;
  std::set<ContentId> known;
  writer_->all_contents([&](ContentId content) {
    if (incoming.contains(content)) known.insert(content);
  });
  for (ContentId content : incoming) {
    if (known.contains(content))
      files_.publish(content);
    else
      files_.remove(content);
  }
}

BucketRecord DirectoryStore::required_bucket(ObjectIndex& index, std::string_view name) {
  std::optional<BucketRecord> found = index.bucket(name);
  if (!found) throw no_such_bucket();
  return *found;
}

bool DirectoryStore::create_bucket(const std::string& name, const std::string& region) {
  if (!is_valid_bucket_name(name)) throw invalid_bucket_name();
  bool created = false;
  commits_->run([&](Commit& commit) {
    if (commit.index.bucket(name)) return;
    commit.index.insert_bucket({0, name, now(), region});
    created = true;
  });
  return created;
}

BucketRecord DirectoryStore::bucket(std::string_view name) {
  Reading index(*this);
  return required_bucket(*index, name);
}

std::vector<BucketRecord> DirectoryStore::buckets(std::string_view after, size_t limit) {
  Reading index(*this);
  return index->buckets(after, limit);
}

void DirectoryStore::delete_bucket(const std::string& name) {
  commits_->run([&](Commit& commit) {
    BucketRecord bucket = required_bucket(commit.index, name);
    if (commit.index.has_objects(bucket.id)) throw bucket_not_empty();
    std::vector<int64_t> uploads;
    commit.index.scan_uploads(bucket.id, "", "", [&](UploadRecord&& upload) {
      uploads.push_back(upload.id);
      return true;
    });
    for (int64_t upload : uploads) {
      for (const PartRecord& part : commit.index.parts(upload, 0, 10'000)) commit.release(part.content);
      commit.index.erase_upload(upload);
    }
    commit.index.erase_bucket(bucket.id);
  });
}

void DirectoryStore::check(const WriteConditions& conditions, const std::optional<ObjectRecord>& existing) {
  if (conditions.if_none_match && existing) throw precondition_failed();
  if (conditions.if_match.empty()) return;
  if (!existing) throw no_such_key();
  if (conditions.if_match != "*" && conditions.if_match != existing->etag) throw precondition_failed();
}

std::string DirectoryStore::replace(Commit& commit, const PutSpec& spec, ObjectRecord record,
                                    const char* reason) {
  BucketRecord bucket = required_bucket(commit.index, spec.bucket);
  std::optional<ObjectRecord> existing = commit.index.object(bucket.id, spec.key);
  check(spec.conditions, existing);
  record.null_version = bucket.versioning != Versioning::kEnabled;
  if (bucket.versioning != Versioning::kNever)
    make_room(commit, bucket, spec.key, existing, record.null_version);
  else if (existing)
    commit.release(existing->content);
  record.sequence = commit.next_sequence();
  commit.index.put_object(bucket.id, spec.key, record);
  std::string version_id = bucket.versioning == Versioning::kNever ? "" : record.version_id();
  commit.emit({ObjectEvent::Kind::kCreated, reason, spec.bucket, spec.key, record.size, record.etag,
               record.modified, record.sequence, spec.requester.principal, spec.requester.source_address,
               spec.requester.request_id, version_id, false, spec.requester.details});
  return version_id;
}

std::unique_ptr<ObjectWriter> DirectoryStore::put(PutSpec spec) {
  if (spec.key.empty() || spec.key.size() > kKeyBytesMax) throw key_too_long();
  {
    // Refused before the body is taken; the commit looks again.
    Reading index(*this);
    BucketRecord bucket = required_bucket(*index, spec.bucket);
    if (spec.conditions.if_none_match || !spec.conditions.if_match.empty())
      check(spec.conditions, index->object(bucket.id, spec.key));
  }
  std::unique_ptr<ObjectWriter> writer(new ObjectWriter(*this, spec.integrity));
  writer->apply_ = [this, spec = std::move(spec)](Commit& commit, ContentId content, PutResult& result) {
    ObjectRecord record;
    record.content = content;
    record.size = result.size;
    record.etag = result.etag;
    record.modified = result.modified;
    record.checksum = result.checksum;
    record.headers = spec.headers;
    result.version_id = replace(commit, spec, std::move(record), spec.reason);
  };
  return writer;
}

ObjectRecord DirectoryStore::required_object(ObjectIndex& index, std::string_view bucket_name,
                                             std::string_view key, std::string_view version) {
  BucketRecord bucket = required_bucket(index, bucket_name);
  bool versioned = bucket.versioning != Versioning::kNever;
  auto found_in = [versioned](ObjectRecord record) {
    record.versioned = versioned;
    return record;
  };
  std::optional<ObjectRecord> current = index.object(bucket.id, key);
  if (version.empty()) {
    if (current) return found_in(std::move(*current));
    std::optional<ObjectRecord> newest;
    if (versioned) newest = index.newest_version(bucket.id, key);
    if (newest) throw DeleteMarkerError(newest->version_id());
    throw no_such_key();
  }
  std::optional<VersionRef> wanted = parse_version_id(version);
  if (!wanted) throw invalid_version_id();
  if (current && current->version_id() == version) return found_in(std::move(*current));
  std::optional<ObjectRecord> found = index.version(bucket.id, key, *wanted);
  if (!found) throw no_such_version();
  return found_in(std::move(*found));
}

ObjectRecord DirectoryStore::head(std::string_view bucket, std::string_view key, std::string_view version) {
  Reading index(*this);
  return required_object(*index, bucket, key, version);
}

OpenObject DirectoryStore::open(std::string_view bucket, std::string_view key, std::string_view version) {
  // Between the look into the index and the look at the content a writer may replace the object: look again.
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    OpenObject opened;
    Reading index(*this);
    opened.record = required_object(*index, bucket, key, version);
    if (opened.record.delete_marker) throw DeleteMarkerError(opened.record.version_id());
    if (opened.record.content == 0) return opened;
    if (opened.record.content < 0) {
      std::optional<std::string> data = index->inline_data(opened.record.content);
      if (!data) continue;
      opened.data = std::move(*data);
      return opened;
    }
    try {
      opened.file = files_.open(opened.record.content);
      return opened;
    } catch (const base::NotFoundError&) {
    }
  }
  throw base::CorruptError("the content of object " + std::string(key) + " in bucket " + std::string(bucket) +
                           " is missing");
}

std::optional<std::string> after_prefix(std::string_view prefix) {
  std::string next(prefix);
  while (!next.empty()) {
    auto last = static_cast<unsigned char>(next.back());
    if (last != 0xFF) {
      next.back() = static_cast<char>(last + 1);
      return next;
    }
    next.pop_back();
  }
  return std::nullopt;
}

ListPage DirectoryStore::list(std::string_view bucket, const ListSpec& spec) {
  Reading index(*this);
  return list_page(*index, required_bucket(*index, bucket).id, spec);
}

ListPage list_page(ObjectIndex& index, int64_t bucket, const ListSpec& spec) {
  ListPage page;
  if (spec.entries_max == 0) return page;
  std::optional<std::string> position = std::max(spec.prefix, spec.from);
  while (position && !page.truncated) {
    std::optional<std::string> resume;
    index.scan_objects(bucket, *position, true, [&](ListedObject&& object) {
      if (!std::string_view(object.key).starts_with(spec.prefix)) return false;
      if (page.objects.size() + page.common_prefixes.size() == spec.entries_max) {
        page.truncated = true;
        page.next_from = object.key;
        return false;
      }
      size_t at =
          spec.delimiter.empty() ? std::string::npos : object.key.find(spec.delimiter, spec.prefix.size());
      if (at == std::string::npos) {
        page.last = object.key;
        page.objects.push_back(std::move(object));
        return true;
      }
      // One entry for all keys with this beginning: go on behind them.
      page.common_prefixes.push_back(object.key.substr(0, at + spec.delimiter.size()));
      page.last = page.common_prefixes.back();
      resume = after_prefix(page.last);
      return false;
    });
    position = std::move(resume);
  }
  return page;
}

PutResult DirectoryStore::copy(const std::string& source_bucket, const std::string& source_key,
                               const std::string& source_etag, PutSpec target,
                               std::optional<ChecksumAlgorithm> algorithm, bool replace_headers,
                               std::string_view source_version) {
  if (target.key.empty() || target.key.size() > kKeyBytesMax) throw key_too_long();
  bucket(target.bucket);
  OpenObject source = open(source_bucket, source_key, source_version);
  if (source.record.etag != source_etag) throw precondition_failed();
  if (!replace_headers) target.headers = source.record.headers;
  ObjectRecord record;
  record.size = source.record.size;
  record.etag = source.record.etag;
  record.modified = now();
  record.checksum = source.record.checksum;
  record.headers = target.headers;
  // The copy of an object that came in parts is one piece again: its ETag and checksum have to be computed.
  bool in_parts = source.record.etag.find('-') != std::string::npos;
  bool other_checksum = algorithm && (!record.checksum || record.checksum->algorithm != *algorithm);
  bool linked = false;
  ContentId content = 0;
  if (!in_parts && !other_checksum && source.file) {
    content = next_content();
    linked = files_.link(source.record.content, content);
  }
  if (linked || (!in_parts && !other_checksum && !source.file)) {
    if (!linked) content = source.record.size == 0 ? 0 : -next_content();
    record.content = content;
    std::string version_id;
    try {
      commits_->run([&](Commit& commit) {
        if (content < 0) commit.index.insert_inline(content, source.data);
        commit.adopt(content);
        version_id = replace(commit, target, record, "CopyObject");
      });
    } catch (...) {
      if (content > 0) files_.remove(content);
      throw;
    }
    return {record.etag, record.size, record.modified, record.checksum, version_id};
  }
  if (!algorithm && record.checksum) algorithm = record.checksum->algorithm;
  std::unique_ptr<ObjectWriter> writer(new ObjectWriter(*this, {{}, algorithm, {}}));
  writer->apply_ = [this, target, record](Commit& commit, ContentId id, PutResult& result) mutable {
    record.content = id;
    record.etag = result.etag;
    record.checksum = result.checksum;
    result.version_id = replace(commit, target, std::move(record), "CopyObject");
  };
  if (source.file) {
    std::string buffer(1 << 20, '\0');
    for (uint64_t offset = 0; offset < source.record.size;) {
      ssize_t n = pread(source.file.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw base::TransientError(base::system_message("read an object", errno));
      if (n == 0) throw base::CorruptError("a content file is shorter than the index says");
      writer->write({buffer.data(), static_cast<size_t>(n)});
      offset += static_cast<uint64_t>(n);
    }
  } else {
    writer->write(source.data);
  }
  return writer->finish();
}

}  // namespace millrace::objects
