// Versions, deletion, tags and the settings of buckets.
#include <algorithm>

#include "base/error.h"
#include "objects/directory_store.h"
#include "objects/directory_store_reading.h"
#include "objects/store_errors.h"

namespace millrace::objects {

void DirectoryStore::set_versioning(const std::string& bucket, Versioning versioning) {
  if (versioning == Versioning::kNever)
    throw base::UsageError("versioning can be suspended, not undone",
                           "IllegalVersioningConfigurationException");
  commits_->run([&](Commit& commit) {
    commit.index.set_versioning(required_bucket(commit.index, bucket).id, versioning);
  });
}

std::optional<std::string> DirectoryStore::setting(std::string_view bucket, std::string_view name) {
  Reading index(*this);
  return index->setting(required_bucket(*index, bucket).id, name);
}

void DirectoryStore::put_setting(const std::string& bucket, const std::string& name,
                                 const std::string& value) {
  commits_->run([&](Commit& commit) {
    commit.index.put_setting(required_bucket(commit.index, bucket).id, name, value);
  });
}

void DirectoryStore::erase_setting(const std::string& bucket, const std::string& name) {
  commits_->run(
      [&](Commit& commit) { commit.index.erase_setting(required_bucket(commit.index, bucket).id, name); });
}

void DirectoryStore::make_room(Commit& commit, const BucketRecord& bucket, const std::string& key,
                               const std::optional<ObjectRecord>& current, bool null_version) {
  if (current && null_version && current->null_version) return commit.release(current->content);
  if (current) commit.index.insert_version(bucket.id, key, *current);
  if (!null_version) return;
  if (std::optional<ObjectRecord> old = commit.index.version(bucket.id, key, {true, 0})) {
    commit.release(old->content);
    commit.index.erase_version(bucket.id, key, old->sequence);
  }
}

RemoveResult DirectoryStore::erase(Commit& commit, const std::string& bucket_name, const RemoveTarget& target,
                                   const Requester& requester) {
  BucketRecord bucket = required_bucket(commit.index, bucket_name);
  if (!target.version.empty()) return erase_version(commit, bucket, target, requester);
  std::optional<ObjectRecord> existing = commit.index.object(bucket.id, target.key);
  check(target.conditions, existing);
  bool versioned = bucket.versioning != Versioning::kNever;
  if (!existing && !versioned) return {};
  RemoveResult result;
  ObjectRecord marker;
  marker.sequence = commit.next_sequence();
  marker.modified = now();
  if (versioned) {
    marker.delete_marker = true;
    marker.null_version = bucket.versioning == Versioning::kSuspended;
    make_room(commit, bucket, target.key, existing, marker.null_version);
    commit.index.insert_version(bucket.id, target.key, marker);
    result = {true, marker.version_id()};
  } else {
    commit.release(existing->content);
  }
  if (existing) commit.index.erase_object(bucket.id, target.key);
  commit.emit({ObjectEvent::Kind::kDeleted, "DeleteObject", bucket_name, target.key, 0, "", marker.modified,
               marker.sequence, requester.principal, requester.source_address, requester.request_id,
               result.version_id, result.delete_marker, requester.details});
  return result;
}

RemoveResult DirectoryStore::erase_version(Commit& commit, const BucketRecord& bucket,
                                           const RemoveTarget& target, const Requester& requester) {
  std::optional<VersionRef> wanted = parse_version_id(target.version);
  if (!wanted) throw invalid_version_id();
  std::optional<ObjectRecord> gone = commit.index.object(bucket.id, target.key);
  bool current = gone && gone->version_id() == target.version;
  if (!current) gone = commit.index.version(bucket.id, target.key, *wanted);
  check(target.conditions, gone);
  RemoveResult result;
  if (bucket.versioning != Versioning::kNever) result.version_id = target.version;
  if (!gone) return result;
  result.delete_marker = gone->delete_marker;
  commit.release(gone->content);
  if (current)
    commit.index.erase_object(bucket.id, target.key);
  else
    commit.index.erase_version(bucket.id, target.key, gone->sequence);
  // What is the newest now may come to light again: the version below, or the object below a marker.
  if (bucket.versioning != Versioning::kNever && !commit.index.object(bucket.id, target.key)) {
    std::optional<ObjectRecord> newest = commit.index.newest_version(bucket.id, target.key);
    if (newest && !newest->delete_marker) {
      commit.index.erase_version(bucket.id, target.key, newest->sequence);
      commit.index.put_object(bucket.id, target.key, *newest);
    }
  }
  commit.emit({ObjectEvent::Kind::kDeleted, "DeleteObject", bucket.name, target.key, 0, "", now(),
               commit.next_sequence(), requester.principal, requester.source_address, requester.request_id,
               result.version_id, false, requester.details});
  return result;
}

RemoveResult DirectoryStore::remove(const std::string& bucket, const std::string& key,
                                    const WriteConditions& conditions, const Requester& requester,
                                    std::string_view version) {
  RemoveResult result;
  RemoveTarget target{key, std::string(version), conditions};
  commits_->run([&](Commit& commit) { result = erase(commit, bucket, target, requester); });
  return result;
}

std::vector<RemoveOutcome> DirectoryStore::remove_all(const std::string& bucket,
                                                      const std::vector<RemoveTarget>& targets,
                                                      const Requester& requester) {
  std::vector<RemoveOutcome> outcomes(targets.size());
  try {
    commits_->run([&](Commit& commit) {
      required_bucket(commit.index, bucket);
      for (size_t i = 0; i < targets.size(); ++i) {
        try {
          outcomes[i].result = erase(commit, bucket, targets[i], requester);
        } catch (const base::Error& error) {
          // Conditions are looked at before anything of the target is written; what a disk or the database
          // throws ends them all.
          if (error.kind() != base::ErrorKind::kUsage && error.kind() != base::ErrorKind::kNotFound &&
              error.kind() != base::ErrorKind::kConflict)
            throw;
          outcomes[i].error = std::current_exception();
        }
      }
    });
  } catch (const base::NotFoundError&) {
    throw;
  } catch (const base::Error&) {
    for (RemoveOutcome& outcome : outcomes) outcome = {{}, std::current_exception()};
  }
  return outcomes;
}

VersionPage DirectoryStore::list_versions(std::string_view bucket_name, const ListVersionsSpec& spec) {
  Reading index(*this);
  BucketRecord bucket = required_bucket(*index, bucket_name);
  VersionPage page;
  if (spec.entries_max == 0) return page;

  // Where the last page ended: in the middle of a key's versions, at its end, or behind a common prefix.
  int64_t below = INT64_MAX;  // of the marker's key only versions older than this
  std::string previous_key;   // whose newest version was shown
  bool inside_key = false;
  std::optional<std::string> position = std::max(spec.prefix, spec.key_marker);
  if (!spec.version_marker.empty()) {
    std::optional<VersionRef> marker = parse_version_id(spec.version_marker);
    if (!marker) throw invalid_version_id();
    std::optional<ObjectRecord> shown = index->object(bucket.id, spec.key_marker);
    if (!shown || shown->version_id() != spec.version_marker)
      shown = index->version(bucket.id, spec.key_marker, *marker);
    below = marker->null_version ? (shown ? shown->sequence : 0) : marker->sequence;
    previous_key = spec.key_marker;
    inside_key = true;
  } else if (!spec.key_marker.empty()) {
    size_t at = spec.delimiter.empty() || !spec.key_marker.starts_with(spec.prefix)
                    ? std::string::npos
                    : spec.key_marker.find(spec.delimiter, spec.prefix.size());
    bool is_common = at != std::string::npos && at + spec.delimiter.size() == spec.key_marker.size();
    std::optional<std::string> next = is_common ? after_prefix(spec.key_marker) : after_key(spec.key_marker);
    position = next ? std::optional(std::max(spec.prefix, *next)) : std::nullopt;
  }

  while (position && !page.truncated) {
    std::optional<std::string> resume;
    index->scan_versions(bucket.id, *position, [&](ListedVersion&& version) {
      const std::string& key = version.object.key;
      if (!std::string_view(key).starts_with(spec.prefix)) return false;
      if (inside_key && key == spec.key_marker && version.sequence >= below) return true;
      if (page.versions.size() + page.common_prefixes.size() == spec.entries_max) {
        page.truncated = true;
        return false;
      }
      size_t at = spec.delimiter.empty() ? std::string::npos : key.find(spec.delimiter, spec.prefix.size());
      if (at != std::string::npos) {
        page.common_prefixes.push_back(key.substr(0, at + spec.delimiter.size()));
        page.next_key_marker = page.common_prefixes.back();
        page.next_version_marker.clear();
        resume = after_prefix(page.next_key_marker);
        return false;
      }
      version.is_latest = key != previous_key;
      previous_key = key;
      page.next_key_marker = key;
      page.next_version_marker = version.version_id;
      page.versions.push_back(std::move(version));
      return true;
    });
    position = std::move(resume);
  }
  return page;
}

std::string DirectoryStore::put_tags(const std::string& bucket_name, const std::string& key,
                                     std::string_view version, const std::string& tags) {
  std::string version_id;
  commits_->run([&](Commit& commit) {
    BucketRecord bucket = required_bucket(commit.index, bucket_name);
    ObjectRecord record = required_object(commit.index, bucket_name, key, version);
    if (record.delete_marker) throw DeleteMarkerError(record.version_id());
    std::erase_if(record.headers, [](const auto& header) { return header.first == "x-amz-tagging"; });
    if (!tags.empty()) record.headers.emplace_back("x-amz-tagging", tags);
    commit.index.update_headers(bucket.id, key, record.sequence, record.headers);
    if (bucket.versioning != Versioning::kNever) version_id = record.version_id();
  });
  return version_id;
}

}  // namespace millrace::objects
