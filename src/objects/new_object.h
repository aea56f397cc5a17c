// A new object or file, whole or not at all: what jobs write their results, reports and outputs through.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "objects/store.h"

namespace millrace::objects {

class S3Client;

// Written piece by piece in constant memory. One thread at a time. Errors: UsageError for a place that names
// no object (a bucket alone, or a path or key that ends in '/'); NotFoundError for a folder or bucket that is
// not there; DeniedError; TransientError (a full disk, a server that does not answer).
class NewObject {
 public:
  // Finds out that it can be written: makes the draft, and asks for the bucket. S3: endpoint, region and
  // credentials from the environment; what is written waits in a temporary file.
  explicit NewObject(const Location& destination, std::string content_type = "application/octet-stream");
  // Without publish() nothing is left.
  ~NewObject();
  NewObject(const NewObject&) = delete;
  NewObject& operator=(const NewObject&) = delete;

  void write(std::string_view bytes);
  uint64_t size() const { return size_; }  // of what was given to write()
  // A path for others that write it all themselves instead of write(): it may be opened and truncated, but
  // neither renamed nor removed.
  std::string path_to_fill() const;
  // How users know it.
  const std::string& shown() const { return shown_; }
  // There under its name from now on, durable, in the place of what was there before.
  void publish();
  // The same, if what is there still is `before` (none: if there is nothing). Else ConflictError (code
  // "PreconditionFailed"), and what is there stays: no other writer's work is lost that `before` does not
  // have. Plain files: of all that publish through this class, while nobody else locks their folder.
  void publish_over(const std::optional<ObjectInfo>& before);

 private:
  // `before`: null when it does not matter.
  void publish_if(const std::optional<ObjectInfo>* before);
  void put(const std::optional<ObjectInfo>* before);
  void rename_draft(const std::optional<ObjectInfo>* before);
  [[noreturn]] void raise_changed() const;

  std::string shown_;  // for messages
  std::string path_;   // the file, or the key
  std::string content_type_;
  std::string draft_;  // local files that have a name already
  std::unique_ptr<S3Client> client_;
  base::UniqueFd fd_;
  uint64_t size_ = 0;
};

}  // namespace millrace::objects
