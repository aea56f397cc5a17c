#include "workloads/scan/inflate.h"

#include <zlib.h>

#include "base/error.h"

namespace millrace::scan {

std::string inflate_some(std::string_view deflated, size_t size_max, InflateKind kind) {
  z_stream zlib = {};
  int window = kind == InflateKind::kRaw    ? -MAX_WBITS
               : kind == InflateKind::kZlib ? MAX_WBITS
                                            : MAX_WBITS + 16;
  if (inflateInit2(&zlib, window) != Z_OK) throw base::InternalError("zlib does not start");
  std::string out(size_max, '\0');
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(deflated.data()));
  zlib.avail_in = static_cast<uInt>(deflated.size());
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  inflate(&zlib, Z_SYNC_FLUSH);
  out.resize(out.size() - zlib.avail_out);
  inflateEnd(&zlib);
  return out;
}

}  // namespace millrace::scan
