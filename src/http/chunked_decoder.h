// Undoes Transfer-Encoding: chunked (RFC 9112 section 7.1), strictly and in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace millrace::http {

class ChunkedDecoder {
 public:
  static constexpr size_t kExtensionBytesMax = 4096;  // of one chunk
  static constexpr size_t kTrailerBytesMax = 16 * 1024;

  enum class State { kMore, kData, kDone, kBad };
  struct Step {
    State state;
    size_t consumed;        // of the input
    std::string_view data;  // kData: decoded bytes, a part of the input
  };
  // Looks at the front of `input`; call again with what is left until kMore (everything consumed), kDone (the
  // rest belongs to the next request) or kBad. Trailers are read over.
  Step next(std::string_view input);

 private:
  enum class At {
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailer,
    kTrailerLf,
    kEndLf
  };
  At at_ = At::kSize;
  uint64_t left_ = 0;
  unsigned digits_ = 0;
  size_t overhead_ = 0;
};

}  // namespace millrace::http
