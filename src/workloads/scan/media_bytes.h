// Numbers and pieces of text from a Source, through a window that spares small reads a virtual call.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "workloads/scan/source.h"

namespace millrace::scan {

// Unchecked: the caller has the bytes.
inline uint8_t u8(const char* p) { return static_cast<uint8_t>(*p); }
inline uint16_t be16(const char* p) { return static_cast<uint16_t>(u8(p) << 8 | u8(p + 1)); }
inline uint16_t le16(const char* p) { return static_cast<uint16_t>(u8(p + 1) << 8 | u8(p)); }
inline uint32_t be32(const char* p) { return uint32_t{be16(p)} << 16 | be16(p + 2); }
inline uint32_t le32(const char* p) { return uint32_t{le16(p + 2)} << 16 | le16(p); }
inline uint64_t be64(const char* p) { return uint64_t{be32(p)} << 32 | be32(p + 4); }
inline uint64_t le64(const char* p) { return uint64_t{le32(p + 4)} << 32 | le32(p); }
inline uint32_t le24(const char* p) { return uint32_t{le16(p)} | uint32_t{u8(p + 2)} << 16; }

// Read-only view of one file for one reader. Views stay valid until the next call that reads: copy what must
// outlive it. All errors about bytes are CorruptError with a text that says what was wanted and at which
// offset.
class MediaBytes {
 public:
  explicit MediaBytes(Source& source) : source_(source), size_(source.size()) {}

  uint64_t size() const { return size_; }

  // Exactly [offset, offset + length); `what` names the wanted thing in the error. Safe for any offset and
  // length.
  std::string_view at(uint64_t offset, size_t length, const char* what) {
    uint64_t into = offset - begin_;
    if (offset >= begin_ && into <= window_.size() && length <= window_.size() - into) [[likely]]
      return window_.substr(into, length);
    return fetch(offset, length, what);
  }
  // What there is of it: shorter, or empty, at the end of the file.
  std::string_view some(uint64_t offset, size_t length, const char* what) {
    if (offset >= size_) return {};
    uint64_t left = size_ - offset;
    return at(offset, left < length ? static_cast<size_t>(left) : length, what);
  }
  // The last bytes of the file, without asking for a whole block; the window stays usable only until then.
  std::string_view tail(size_t length);

  // True when reading these bytes costs no new request.
  bool has(uint64_t offset, size_t length) const {
    return offset >= begin_ && offset - begin_ <= window_.size() &&
           length <= window_.size() - (offset - begin_);
  }
  // How often the window had to move: what a reader may use to stop counting things in a large remote file.
  unsigned fetches() const { return fetches_; }

  // Every loop over things in the file calls this once a round: throws BudgetError after a million rounds.
  void step(const char* what) {
    if (++steps_ > kStepsMax) [[unlikely]]
      too_many(what);
  }

  uint8_t read_u8(uint64_t offset, const char* what) { return u8(at(offset, 1, what).data()); }
  uint16_t read_be16(uint64_t offset, const char* what) { return be16(at(offset, 2, what).data()); }
  uint32_t read_be32(uint64_t offset, const char* what) { return be32(at(offset, 4, what).data()); }
  uint64_t read_be64(uint64_t offset, const char* what) { return be64(at(offset, 8, what).data()); }
  uint16_t read_le16(uint64_t offset, const char* what) { return le16(at(offset, 2, what).data()); }
  uint32_t read_le32(uint64_t offset, const char* what) { return le32(at(offset, 4, what).data()); }

 private:
  static constexpr unsigned kStepsMax = 1'000'000;

  std::string_view fetch(uint64_t offset, size_t length, const char* what);
  [[noreturn]] void too_many(const char* what) const;

  Source& source_;
  uint64_t size_;
  std::string_view window_;
  uint64_t begin_ = 0;
  unsigned fetches_ = 0;
  unsigned steps_ = 0;
};

// Throws CorruptError "<what> at offset <offset>".
[[noreturn]] void corrupt(const std::string& what, uint64_t offset);
// Throws CorruptError "truncated: <what> ends at offset <end>, the file at <size>" when end > size.
void check_end(uint64_t end, uint64_t size, const char* what);

// Text for a database: up to the first NUL, without blanks around, control characters as blanks, well-formed
// UTF-8 (other bytes are taken as Latin-1), at most `size_max` bytes and never cut inside a character.
std::string clean_text(std::string_view raw, size_t size_max = 1024);

// UTF-16, most significant byte first, up to the first NUL or half of a surrogate pair, as UTF-8.
std::string utf16be_text(std::string_view raw);

// "01:00:00:00" from four-digit-pair numbers; ";" before the frames when drop-frame.
std::string timecode_text(unsigned hours, unsigned minutes, unsigned seconds, unsigned frames,
                          bool drop_frame);

// Adds to a warning text, bounded.
void add_warning(std::string& warning, const std::string& text);

}  // namespace millrace::scan
