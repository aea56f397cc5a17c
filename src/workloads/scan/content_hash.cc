#include "workloads/scan/content_hash.h"

#include <vector>

#include "base/hash.h"
#include "workloads/scan/cached_source.h"

namespace millrace::scan {

std::string content_sha256(objects::ObjectReader& reader, const objects::ObjectInfo& object) {
  constexpr size_t kPieceBytes = 1 << 20;
  base::Digest digest(base::Digest::Algorithm::kSha256);
  std::vector<char> piece(std::min<uint64_t>(kPieceBytes, object.size));
  for (uint64_t at = 0; at < object.size;) {
    size_t wanted = static_cast<size_t>(std::min<uint64_t>(piece.size(), object.size - at));
    size_t got = 0;
    try {
      got = reader.read(object.key, at, piece.data(), wanted, object.etag);
    } catch (const base::ConflictError& e) {
      throw ChangedError(e.what());
    }
    if (got < wanted) throw ChangedError("it became shorter while it was read");
    digest.update({piece.data(), got});
    at += got;
  }
  if (object.etag.empty()) {
    objects::ObjectInfo now = reader.head(object.key);
    if (now.size != object.size || now.mtime_ns != object.mtime_ns)
      throw ChangedError("it changed while it was read");
  }
  return base::hex(digest.finish());
}

}  // namespace millrace::scan
