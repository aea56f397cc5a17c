// What the directory store keeps about buckets, objects and uploads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "objects/checksum.h"

namespace millrace::objects {

// Headers stored with an object and given back on GET and HEAD: lower-case names ("content-type",
// "x-amz-meta-owner"), values as they came.
using StoredHeaders = std::vector<std::pair<std::string, std::string>>;

// Where the bytes are: > 0 a content file, < 0 a row of the index, 0 nowhere (an empty object).
using ContentId = int64_t;

// Whether a bucket keeps old versions. A bucket that once did never goes back to kNever.
enum class Versioning { kNever, kEnabled, kSuspended };

struct BucketRecord {
  int64_t id = 0;
  std::string name;
  base::TimeMs created = 0;
  std::string region;
  Versioning versioning = Versioning::kNever;
};

struct ObjectRecord {
  ContentId content = 0;
  uint64_t size = 0;  // bytes
  std::string etag;   // without quotes
  base::TimeMs modified = 0;
  int64_t sequence = 0;  // rises with every change of any object
  std::optional<Checksum> checksum;
  StoredHeaders headers;
  std::vector<uint64_t> part_sizes;  // bytes; empty unless uploaded in parts
  bool null_version = true;          // written while the bucket kept no versions
  bool delete_marker = false;
  bool versioned = false;  // told by reads: the bucket keeps, or once kept, versions

  // As S3 shows it: "null", or 16 hexadecimal digits.
  std::string version_id() const;
};

// What a version id asks for.
struct VersionRef {
  bool null_version = false;
  int64_t sequence = 0;  // unless null_version
};
// Nothing when the text is no version id of ours.
std::optional<VersionRef> parse_version_id(std::string_view text);

// One line of a listing.
struct ListedObject {
  std::string key;
  uint64_t size = 0;
  std::string etag;
  base::TimeMs modified = 0;
  std::optional<Checksum> checksum;
  std::string storage_class;  // empty: STANDARD
};

// One line of a listing of versions.
struct ListedVersion {
  ListedObject object;
  int64_t sequence = 0;
  std::string version_id;
  bool delete_marker = false;
  bool is_latest = false;
};

struct UploadRecord {
  int64_t id = 0;
  int64_t bucket = 0;
  std::string key;
  std::string upload_id;
  base::TimeMs initiated = 0;
  StoredHeaders headers;
  std::optional<ChecksumAlgorithm> algorithm;
  bool full_object = false;  // the checksum asked for is of the whole object, not of the parts' checksums
};

struct PartRecord {
  int number = 0;  // 1..10,000
  ContentId content = 0;
  uint64_t size = 0;
  std::string etag;
  base::TimeMs modified = 0;
  std::optional<Checksum> checksum;
};

}  // namespace millrace::objects
