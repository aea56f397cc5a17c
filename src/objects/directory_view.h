// Looks into a directory store without changing it, also while an engine uses it: for people who want to see
// their data, and to have all of it checked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "objects/content_files.h"
#include "objects/directory_store.h"
#include "objects/object_index.h"

namespace millrace::objects {

struct VerifyResult {
  uint64_t objects = 0, parts = 0, bytes = 0;  // that were read; versions count as objects
  uint64_t damaged = 0;
};

// One thread at a time.
class DirectoryView {
 public:
  // Throws NotFoundError when there is no store in `folder`, UsageError when another version wrote it.
  explicit DirectoryView(const std::string& folder);
  ~DirectoryView();

  std::vector<BucketRecord> buckets();
  ListPage list(std::string_view bucket, const ListSpec& spec);
  // Every version and delete marker below `prefix`, newest first within a key, until `visit` returns false.
  void list_versions(std::string_view bucket, std::string_view prefix,
                     const std::function<bool(const ListedVersion&)>& visit);
  // Errors as DirectoryStore::open; gives the bytes of the object to `sink` in order.
  ObjectRecord read(std::string_view bucket, std::string_view key, std::string_view version,
                    const std::function<void(std::string_view)>& sink);

  // Reads every byte of every object, version and part and recomputes sizes, ETags and checksums. `damaged`
  // is told what is wrong and with what ("s3://bucket/key"). What is deleted meanwhile is passed over.
  VerifyResult verify(const std::function<void(const std::string& what, const std::string& why)>& damaged);

 private:
  BucketRecord required_bucket(std::string_view name);
  std::optional<ObjectRecord> find(int64_t bucket, std::string_view key, std::string_view version);
  void read_content(ContentId content, uint64_t size, const std::function<void(std::string_view)>& sink);
  std::string what_is_wrong(const ObjectRecord& record);

  std::unique_ptr<ObjectIndex> index_;
  std::unique_ptr<ContentFiles> files_;
};

}  // namespace millrace::objects
