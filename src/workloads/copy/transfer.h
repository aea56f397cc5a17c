// One object brought from one site to another, whatever the two are.
#pragma once

#include <cstdint>
#include <string>

#include "objects/checksum.h"
#include "objects/s3_client.h"
#include "workloads/copy/limiter.h"
#include "workloads/copy/open_uploads.h"
#include "workloads/copy/sites.h"

namespace millrace::copy {

struct TransferOptions {
  std::string acl;                               // see RowOptions
  std::string storage_class;                     // empty: as the source's
  bool keep_encryption = false;                  // as the source's; else the destination bucket's default
  bool verify = false;                           // ask afterwards for size and checksum
  bool server_side = true;                       // the server can copy by itself
  std::function<void(uint64_t bytes)> progress;  // bytes moved since the last call, from any thread
  OpenUploads* uploads = nullptr;  // notes those in parts; none: what is killed leaves them behind
  bool stream_if_denied = false;   // the destination's credentials may not read the source: go through here
};

struct Transferred {
  std::string etag, version_id;
  std::optional<objects::Checksum> checksum;
  std::string verified;  // by what: "etag", "crc32", "size" …; empty: not asked for
};

// What a copy inside the server needs to be told beside source and key.
objects::CopyOptions copy_options(const objects::ObjectInfo& source, const TransferOptions& options);

// Copies `source` (its key relative to `from`) to `key` of `to`, if it is still what was listed: else
// ConflictError with code "PreconditionFailed". Other errors as of S3Client and LocalWriter; CorruptError
// when verification finds a difference. Blocks; thread-safe.
Transferred transfer(const Site& from, const objects::ObjectInfo& source, const Site& to,
                     const std::string& key, const TransferOptions& options, Limiter& limiter);

// Compares what is stored at both ends; gives by what ("etag", "sha256", "size"). Throws CorruptError.
std::string verify(const Site& from, const objects::ObjectInfo& source, const Site& to,
                   const std::string& key);

// True when both ends hold the same bytes, as far as stored checksums (or the bytes of a local file) tell;
// false when they differ or nothing can tell.
bool same_content(const Site& from, const objects::ObjectInfo& source, const Site& to,
                  const objects::ObjectInfo& destination);

}  // namespace millrace::copy
