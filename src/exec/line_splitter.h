// Cuts a stream of bytes into log events, one a line.
#pragma once

#include <string>
#include <string_view>

namespace millrace::exec {

// CloudWatch's limit for one event, 256 KiB, less the 26 bytes it counts for each; where the awslogs driver
// cuts.
constexpr size_t kEventBytesMax = (256 << 10) - 26;

// Lines end at '\n', which is not part of the event. Empty lines make no event: CloudWatch has none without
// text. Longer lines are cut, between UTF-8 characters where the bytes are UTF-8. Bytes are passed through as
// they are.
class LineSplitter {
 public:
  // Calls `emit(std::string_view)` for every line that is complete now.
  template <typename Emit>
  void feed(std::string_view bytes, Emit&& emit) {
    while (!bytes.empty()) {
      size_t end = bytes.find('\n');
      std::string_view piece = bytes.substr(0, end);
      bool whole = end != std::string_view::npos;
      bytes.remove_prefix(whole ? end + 1 : bytes.size());
      if (partial_.empty() && whole && piece.size() <= kEventBytesMax) {
        if (!piece.empty()) emit(piece);
        continue;
      }
      partial_.append(piece);
      std::string_view rest = partial_;
      while (rest.size() > kEventBytesMax) {
        size_t cut = cut_before(rest);
        emit(rest.substr(0, cut));
        rest.remove_prefix(cut);
      }
      if (whole && !rest.empty()) emit(rest);
      if (whole)
        partial_ = std::string();
      else if (rest.size() < partial_.size())
        partial_.erase(0, partial_.size() - rest.size());
    }
  }

  // Emits the last line when it had no '\n'.
  template <typename Emit>
  void finish(Emit&& emit) {
    if (!partial_.empty()) emit(std::string_view(partial_));
    partial_ = std::string();
  }

 private:
  // At most kEventBytesMax, moved back to the start of the UTF-8 character that would be cut.
  static size_t cut_before(std::string_view text) {
    size_t cut = kEventBytesMax;
    for (int back = 0; back < 3 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80; ++back) --cut;
    return (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80 ? kEventBytesMax : cut;
  }

  std::string partial_;
};

}  // namespace millrace::exec
