#include "workloads/scan/lz4_block.h"

#include <algorithm>

namespace millrace::scan {
namespace {

// A length of 15 goes on in the bytes that follow, each up to 255. False when they end.
bool read_length(std::string_view packed, size_t& at, size_t& length) {
  if (length != 15) return true;
  while (at < packed.size()) {
    unsigned more = static_cast<unsigned char>(packed[at++]);
    length += more;
    if (more != 255) return true;
  }
  return false;
}

}  // namespace

bool unpack_lz4_block(std::string_view packed, size_t size_max, std::string& out) {
  const size_t start = out.size();  // matches do not reach into an earlier block
  for (size_t at = 0; at < packed.size();) {
    unsigned token = static_cast<unsigned char>(packed[at++]);
    size_t literals = token >> 4;
    if (!read_length(packed, at, literals) || literals > packed.size() - at ||
        literals > size_max - out.size())
      return false;
    out.append(packed.substr(at, literals));
    at += literals;
    if (at == packed.size()) return true;  // the last sequence has only literals
    if (packed.size() - at < 2) return false;
    size_t distance = static_cast<unsigned char>(packed[at]) |
                      static_cast<size_t>(static_cast<unsigned char>(packed[at + 1])) << 8;
    at += 2;
    size_t length = token & 15;
    if (!read_length(packed, at, length)) return false;
    length += 4;
    if (distance == 0 || distance > out.size() - start || length > size_max - out.size()) return false;
    size_t from = out.size() - distance;
    while (length > 0) {  // a match may reach into itself: then it repeats
      size_t part = std::min(length, out.size() - from);
      out.append(out, from, part);
      from += part;
      length -= part;
    }
  }
  return true;
}

}  // namespace millrace::scan
