// The beginning of compressed pieces of files, bounded.
#pragma once

#include <string>
#include <string_view>

namespace millrace::scan {

enum class InflateKind {
  kRaw,   // members of zip archives
  kZlib,  // RFC 1950
  kGzip,  // RFC 1952
};

// At most `size_max` inflated bytes of `deflated`, which may be cut short or damaged: what came out until
// then.
std::string inflate_some(std::string_view deflated, size_t size_max, InflateKind kind);

}  // namespace millrace::scan
