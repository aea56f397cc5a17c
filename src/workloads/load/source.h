// What is loaded: a file, standard input, or one version of an object.
#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "workloads/load/byte_stream.h"

namespace millrace::load {

// Which bytes they are: the same version is the same bytes.
struct SourceVersion {
  std::string name;  // "s3://bucket/key" or the absolute path; "-" is standard input
  // The object's version id where its bucket keeps versions, else its ETag; of a file its size and time of
  // change. Empty: cannot be told (standard input), so every load of it is a new one.
  std::string version;
  std::string etag;  // objects only
  // Of objects in a bucket that keeps versions: they can be read though they were overwritten.
  std::string version_id = {};
  base::TimeMs modified = 0;
  uint64_t size = 0;
};

// Pinned to one version: bytes of another are never given. Thread-safe.
class Source {
 public:
  virtual ~Source() = default;
  virtual const SourceVersion& version() const = 0;
  // From the beginning, as often as it takes; the stream must not outlive the source. ConflictError (also
  // from reads) when the version is gone: an object that was overwritten, a file that was written to.
  virtual std::unique_ptr<ByteStream> open() = 0;
  // A file with the same bytes, for readers that need one; lives as long as the source.
  virtual std::string local_path() = 0;
};

// A path, "-" or s3://BUCKET/KEY, in the version that is there now, or of an object in that one. Throws
// NotFoundError, DeniedError, TransientError, and UsageError for what names no file or object.
std::unique_ptr<Source> open_source(const std::string& place, const std::string& version_id = "");

// All of a small one: UsageError when it is longer than `bytes_max`.
std::string read_small_source(const std::string& place, size_t bytes_max);

}  // namespace millrace::load
