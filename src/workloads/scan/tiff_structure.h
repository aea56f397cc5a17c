// The directory structure of TIFF 6.0 and BigTIFF, on which also EXIF and MPF are built.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "workloads/scan/media_bytes.h"

namespace millrace::scan {

struct TiffEntry {
  uint16_t tag = 0;
  uint16_t type = 0;   // 1 BYTE, 2 ASCII, 3 SHORT, 4 LONG, 5 RATIONAL … 16 LONG8
  uint64_t count = 0;  // of values; count * size of a value fits
  uint64_t at = 0;     // absolute offset of the values
};

// One TIFF structure inside a file: offsets in it count from `base`, and nothing beyond `base + length`
// belongs to it. All methods throw CorruptError on bytes that do not follow the format.
class TiffStructure {
 public:
  // Reads the header. Throws when it is none.
  TiffStructure(MediaBytes& bytes, uint64_t base, uint64_t length);

  uint64_t first_directory() const { return first_directory_; }  // relative to base; 0 = none
  bool big() const { return big_; }

  // Calls entry(TiffEntry) for each entry of the directory at `offset` (relative) and returns the offset of
  // the next directory, 0 for none. Entries of unknown type are left out.
  template <typename Function>
  uint64_t each_entry(uint64_t offset, Function&& entry) {
    uint64_t count = directory_count(offset);
    uint64_t first = base_ + offset + (big_ ? 8 : 2);
    for (uint64_t i = 0; i < count; ++i) {
      TiffEntry e;
      if (read_entry(first + i * (big_ ? 20 : 12), e)) entry(static_cast<const TiffEntry&>(e));
    }
    return next_directory(first + count * (big_ ? 20 : 12));
  }

  // Value `index` of an integer entry (BYTE, SHORT, LONG, LONG8, IFD and the signed ones as their bits).
  uint64_t integer(const TiffEntry& entry, uint64_t index = 0);
  // A value of a rational, floating or integer entry; nothing when the denominator is 0 or it lies outside.
  std::optional<double> real(const TiffEntry& entry, uint64_t index = 0);
  // Empty when it is no text or lies outside: a damaged remark does not make the picture unreadable.
  std::string text(const TiffEntry& entry, size_t size_max = 1024);
  uint64_t byte_size(const TiffEntry& entry) const;

 private:
  static constexpr uint64_t kEntriesMax = 65535;

  uint64_t directory_count(uint64_t offset);
  bool read_entry(uint64_t at, TiffEntry& entry);
  uint64_t next_directory(uint64_t at);
  std::string_view bytes_at(uint64_t at, size_t length, const char* what);
  uint16_t n16(const char* p) const { return big_endian_ ? be16(p) : le16(p); }
  uint32_t n32(const char* p) const { return big_endian_ ? be32(p) : le32(p); }
  uint64_t n64(const char* p) const { return big_endian_ ? be64(p) : le64(p); }

  MediaBytes& bytes_;
  uint64_t base_;
  uint64_t end_;
  uint64_t first_directory_ = 0;
  bool big_endian_ = false;
  bool big_ = false;
};

}  // namespace millrace::scan
