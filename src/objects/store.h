// Object stores behind one interface: a directory, an S3 endpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

namespace millrace::objects {

struct ObjectInfo {
  std::string key;    // bytes; never re-parsed as a URL
  uint64_t size = 0;  // bytes
  std::string etag;   // without quotes; empty for plain files
  base::TimeMs last_modified = 0;
  int64_t mtime_ns = 0;            // plain files only: nanoseconds since the epoch, else 0
  std::string storage_class = {};  // as listed by S3 ("STANDARD", "GLACIER" …); empty where nobody said
};

// One object that is read many times. Not thread-safe; the reader it comes from must outlive it.
class ObjectHandle {
 public:
  virtual ~ObjectHandle() = default;
  // As ObjectReader::read().
  virtual size_t read(uint64_t offset, char* out, size_t length) = 0;
};

// One bucket, or one folder taken as a bucket. Thread-safe. Errors: NotFoundError, DeniedError,
// TransientError (after retries), CorruptError.
class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  // Objects whose key begins with `prefix`, in ascending byte order of keys (a plain folder: in any order),
  // streamed in constant memory. `visit` returns false to stop.
  virtual void list(std::string_view prefix, const std::function<bool(const ObjectInfo&)>& visit) = 0;
  // As list(), but a folder or file below that cannot be listed (permissions, a dangling link) is told to
  // `unreadable` with its key and the listing goes on. Object stores have no such thing and need not override
  // it.
  using Unreadable = std::function<void(const std::string& key, const base::Error& error)>;
  virtual void list_tolerant(std::string_view prefix, const std::function<bool(const ObjectInfo&)>& visit,
                             const Unreadable& /*unreadable*/) {
    list(prefix, visit);
  }
  virtual ObjectInfo head(std::string_view key) = 0;
  // Reads up to `length` bytes from `offset` into `out`; fewer only at the end of the object. With `etag` not
  // empty the object must still have it (If-Match), else ConflictError.
  virtual size_t read(std::string_view key, uint64_t offset, char* out, size_t length,
                      std::string_view etag) = 0;
  // For many reads of one object: a plain file is opened once, and stays that file when another takes its
  // name. Errors are those of read(), from here or from its reads.
  virtual std::unique_ptr<ObjectHandle> open_object(std::string_view key, std::string_view etag);
  // "s3://bucket" or "file:///folder" or "/folder": what a key is appended to for messages and databases.
  virtual std::string url() const = 0;
};

// s3://BUCKET[/PREFIX], file:///PATH or a bare path.
struct Location {
  bool is_s3 = false;
  std::string bucket;  // S3 only
  std::string path;    // S3: the key or prefix, bytes as written; else the path
};

// Throws UsageError for an s3:// URL without a bucket, a file:// URL with a host, another scheme or an empty
// text. Only file:// URLs are percent-decoded (RFC 8089); keys and bare paths are bytes as they stand.
Location parse_location(std::string_view url);

// Opens the bucket or folder of `location` for reading. S3: endpoint, region and credentials from the
// environment. Throws NotFoundError when the folder or bucket is not there.
std::unique_ptr<ObjectReader> open_reader(const Location& location);

}  // namespace millrace::objects
