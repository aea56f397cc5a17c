#include "http/chunked_decoder.h"

#include <algorithm>

namespace millrace::http {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view input) {
  constexpr unsigned kDigitsMax = 15;  // below 2^60: no overflow, and no body is that large
  size_t used = 0;
  auto bad = [&] { return Step{State::kBad, used, {}}; };
  while (used < input.size()) {
    char c = input[used];
    switch (at_) {
      case At::kSize: {
        int value = hex_value(c);
        if (value >= 0) {
          if (++digits_ > kDigitsMax) return bad();
          left_ = left_ << 4 | static_cast<unsigned>(value);
        } else if (digits_ == 0) {
          return bad();
        } else if (c == '\r') {
          at_ = At::kSizeLf;
        } else if (c == ';' || c == ' ' || c == '\t') {
          at_ = At::kExtension;
          overhead_ = 0;
        } else {
          return bad();
        }
        ++used;
        break;
      }
      case At::kExtension:
        if (c == '\n' || c == '\0' || ++overhead_ > kExtensionBytesMax) return bad();
        if (c == '\r') at_ = At::kSizeLf;
        ++used;
        break;
      case At::kSizeLf:
        if (c != '\n') return bad();
        ++used;
        at_ = left_ ? At::kData : At::kTrailerStart;
        overhead_ = 0;
        break;
      case At::kData: {
        size_t size = static_cast<size_t>(std::min<uint64_t>(left_, input.size() - used));
        Step step{State::kData, used + size, input.substr(used, size)};
        left_ -= size;
        if (left_ == 0) at_ = At::kDataCr;
        return step;
      }
      case At::kDataCr:
        if (c != '\r') return bad();
        ++used;
        at_ = At::kDataLf;
        break;
      case At::kDataLf:
        if (c != '\n') return bad();
        ++used;
        at_ = At::kSize;
        digits_ = 0;
        break;
      case At::kTrailerStart:
        if (c == '\n' || c == ' ' || c == '\t') return bad();
        if (c == '\r') {
          at_ = At::kEndLf;
          ++used;
        } else {
          at_ = At::kTrailer;
        }
        break;
      case At::kTrailer:
        if (c == '\n' || c == '\0' || ++overhead_ > kTrailerBytesMax) return bad();
        if (c == '\r') at_ = At::kTrailerLf;
        ++used;
        break;
      case At::kTrailerLf:
        if (c != '\n') return bad();
        ++used;
        at_ = At::kTrailerStart;
        break;
      case At::kEndLf:
        if (c != '\n') return bad();
        ++used;
        return {State::kDone, used, {}};
    }
  }
  return {State::kMore, used, {}};
}

}  // namespace millrace::http
