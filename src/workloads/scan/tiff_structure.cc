#include "workloads/scan/tiff_structure.h"

#include <algorithm>
#include <bit>

namespace millrace::scan {
namespace {

// Bytes of one value, by type; 0 for types that do not exist.
constexpr uint8_t kTypeSizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};

unsigned type_size(uint16_t type) { return type < std::size(kTypeSizes) ? kTypeSizes[type] : 0; }

}  // namespace

TiffStructure::TiffStructure(MediaBytes& bytes, uint64_t base, uint64_t length)
    : bytes_(bytes), base_(base), end_(base + std::min(length, bytes.size() - std::min(base, bytes.size()))) {
  std::string_view head = bytes_at(base, 8, "TIFF header");
  if (head.starts_with("MM"))
    big_endian_ = true;
  else if (!head.starts_with("II"))
    corrupt("not a TIFF byte order", base);
  uint16_t magic = n16(head.data() + 2);
  if (magic == 42) {
    first_directory_ = n32(head.data() + 4);
  } else if (magic == 43) {
    big_ = true;
    if (n16(head.data() + 4) != 8) corrupt("BigTIFF with offsets of another size than 8 bytes", base + 4);
    first_directory_ = n64(bytes_at(base + 8, 8, "BigTIFF header").data());
  } else {
    corrupt("not a TIFF version: " + std::to_string(magic), base + 2);
  }
}

std::string_view TiffStructure::bytes_at(uint64_t at, size_t length, const char* what) {
  if (at > end_ || length > end_ - at)
    throw base::CorruptError("truncated: " + std::string(what) + " at offset " + std::to_string(at) +
                             " needs " + std::to_string(length) + " bytes, the data end at " +
                             std::to_string(end_));
  return bytes_.at(at, length, what);
}

uint64_t TiffStructure::directory_count(uint64_t offset) {
  if (offset > end_ - base_)
    throw base::CorruptError("truncated: TIFF directory at offset " + std::to_string(offset) +
                             ", the data end at " + std::to_string(end_ - base_));
  uint64_t at = base_ + offset;
  if (!big_) return n16(bytes_at(at, 2, "TIFF directory").data());
  uint64_t count = n64(bytes_at(at, 8, "TIFF directory").data());
  if (count > kEntriesMax) corrupt("TIFF directory with " + std::to_string(count) + " entries", at);
  return count;
}

bool TiffStructure::read_entry(uint64_t at, TiffEntry& entry) {
  bytes_.step("TIFF entries");
  std::string_view raw = bytes_at(at, big_ ? 20 : 12, "TIFF entry");
  entry.tag = n16(raw.data());
  entry.type = n16(raw.data() + 2);
  entry.count = big_ ? n64(raw.data() + 4) : n32(raw.data() + 4);
  unsigned size = type_size(entry.type);
  if (size == 0) return false;
  uint64_t room = big_ ? 8 : 4;
  uint64_t value_at = at + (big_ ? 12 : 8);
  if (entry.count > room / size) {
    uint64_t offset = big_ ? n64(raw.data() + 12) : n32(raw.data() + 8);
    // An entry that points outside has no values; only who asks for them gets the error.
    value_at = offset > end_ - base_ ? end_ : base_ + offset;
    if (entry.count > (end_ - base_) / size) value_at = end_;
  }
  entry.at = value_at;
  return true;
}

uint64_t TiffStructure::next_directory(uint64_t at) {
  // EXIF written by some cameras ends without it.
  if (at > end_ || end_ - at < (big_ ? 8u : 4u)) return 0;
  std::string_view raw = bytes_at(at, big_ ? 8 : 4, "TIFF directory link");
  return big_ ? n64(raw.data()) : n32(raw.data());
}

uint64_t TiffStructure::byte_size(const TiffEntry& entry) const {
  unsigned size = type_size(entry.type);
  return entry.count > UINT64_MAX / 8 ? UINT64_MAX : entry.count * size;
}

uint64_t TiffStructure::integer(const TiffEntry& entry, uint64_t index) {
  if (index >= entry.count)
    corrupt("TIFF tag " + std::to_string(entry.tag) + " has too few values", entry.at);
  unsigned size = type_size(entry.type);
  if (index > (end_ - base_) / size)
    corrupt("TIFF tag " + std::to_string(entry.tag) + " is outside", entry.at);
  std::string_view raw = bytes_at(entry.at + index * size, size, "TIFF value");
  switch (entry.type) {
    case 1:
    case 6:
    case 7:
      return u8(raw.data());
    case 3:
    case 8:
      return n16(raw.data());
    case 4:
    case 9:
    case 13:
      return n32(raw.data());
    case 16:
    case 17:
    case 18:
      return n64(raw.data());
    default:
      corrupt("TIFF tag " + std::to_string(entry.tag) + " is not a number", entry.at);
  }
}

std::optional<double> TiffStructure::real(const TiffEntry& entry, uint64_t index) {
  if (index >= entry.count) return std::nullopt;
  unsigned size = type_size(entry.type);
  if (entry.type != 5 && entry.type != 10 && entry.type != 11 && entry.type != 12)
    return static_cast<double>(integer(entry, index));
  if (index > (end_ - base_) / size || end_ - entry.at < (index + 1) * size) return std::nullopt;
  std::string_view raw = bytes_at(entry.at + index * size, size, "TIFF value");
  if (entry.type == 11) return std::bit_cast<float>(n32(raw.data()));
  if (entry.type == 12) return std::bit_cast<double>(n64(raw.data()));
  uint32_t num = n32(raw.data()), den = n32(raw.data() + 4);
  if (den == 0) return std::nullopt;
  if (entry.type == 5) return static_cast<double>(num) / den;
  return static_cast<double>(static_cast<int32_t>(num)) / static_cast<int32_t>(den);
}

std::string TiffStructure::text(const TiffEntry& entry, size_t size_max) {
  if (entry.type != 2 && entry.type != 1 && entry.type != 7) return {};
  if (entry.count > end_ - entry.at) return {};
  return clean_text(
      bytes_at(entry.at, static_cast<size_t>(std::min<uint64_t>(entry.count, size_max)), "TIFF text"),
      size_max);
}

}  // namespace millrace::scan
