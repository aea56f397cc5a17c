// The bytes of a segment file, shared by its writer and its readers.
//
//   file    = file header, block*
//   header  = "MRLOGSEG", u32 version, u32 zero, i64 created ms, u64 xxh3 of the 24 bytes before
//   block   = BlockHead (64 bytes), declarations, sections' table, payload
//   declaration = u32 stream number, u16 group length, u16 stream length, group, stream
//   section = SectionHead (40 bytes) in the table; its events stand together in the payload, in table order
//   event   = u32 message length, u32 ingestion ms after the section's ingestion_base, i64 timestamp ms,
//   message
//
// Little endian. The events of a block are grouped by stream (in the order of their arrival within one) so
// that one stream is read without looking at its neighbours. The head with declarations and table has a
// checksum of its own, so that an index is built without reading the payload. A declaration
// stands once in a file, in the first block that uses the number, and holds for the whole file.
//
// A writer holds a shared flock() on every file that it may still write to: who gets an exclusive one may
// delete.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace millrace::logs {

inline constexpr std::string_view kSegmentMagic = "MRLOGSEG";
inline constexpr uint32_t kSegmentVersion = 1;
inline constexpr size_t kFileHeaderBytes = 32;
inline constexpr uint32_t kBlockMagic = 0x314b424d;     // "MBK1"
inline constexpr size_t kBlockPayloadBytes = 64 << 10;  // a block is cut when its payload reaches this
inline constexpr size_t kMessageBytesMax = 1 << 20;
// What a reader believes of a head: more is damage.
inline constexpr size_t kBlockHeadBytesMax = 16 << 20;
inline constexpr size_t kBlockPayloadBytesMax = 4 << 20;
inline constexpr size_t kEventHeadBytes = 16;

struct BlockHead {
  uint64_t head_checksum;  // xxh3 of the head from the next member to the end of the sections' table
  uint32_t magic;
  uint32_t head_bytes;  // this struct, declarations and table
  uint32_t payload_bytes;
  uint32_t event_count;
  uint32_t declaration_count;
  uint32_t section_count;
  uint64_t payload_checksum;  // xxh3
  base::TimeMs timestamp_min;
  base::TimeMs timestamp_max;
  base::TimeMs ingestion_max;
};
static_assert(sizeof(BlockHead) == 64);

struct SectionHead {
  uint32_t stream;
  uint32_t event_count;
  uint32_t bytes;           // in the payload
  uint32_t ingestion_span;  // of the last ingestion, after ingestion_base
  base::TimeMs ingestion_base;
  base::TimeMs timestamp_min;
  base::TimeMs timestamp_max;
};
static_assert(sizeof(SectionHead) == 40);

struct Declaration {
  uint32_t stream;
  std::string_view group;
  std::string_view name;
};

// A head taken apart; views into the bytes it was read from.
struct ParsedHead {
  BlockHead head;
  std::vector<Declaration> declarations;
  std::vector<SectionHead> sections;
};

struct SegmentName {
  std::string writer;
  uint64_t number;
};

std::string file_header(base::TimeMs created);
// True when `bytes` begin with a whole header of a version that this program reads.
bool is_file_header(std::string_view bytes);

// "<writer>-<number>.seg", the number with leading zeros; and back, nothing for other names.
std::string segment_file_name(std::string_view writer, uint64_t number);
std::optional<SegmentName> parse_segment_file_name(std::string_view name);

enum class HeadState { kWhole, kMoreNeeded, kDamaged };
// Reads the head of the block at the beginning of `bytes`. kMoreNeeded: `bytes` end too early;
// `parsed.head.head_bytes` says how many are needed when it is not 0.
HeadState parse_head(std::string_view bytes, ParsedHead& parsed);

// Reads a little-endian value at `at`.
template <typename Value>
Value load(const char* at) {
  Value value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

struct EventView {
  base::TimeMs timestamp;
  base::TimeMs ingestion;
  std::string_view message;
  uint32_t offset;  // of its record, from the beginning of the section
};

// The next event of a section; advances `offset`. False at the end, also when the bytes make no sense.
inline bool next_event(std::string_view section, base::TimeMs ingestion_base, size_t& offset,
                       EventView& event) {
  if (section.size() < offset + kEventHeadBytes) return false;
  const char* at = section.data() + offset;
  uint32_t length = load<uint32_t>(at);
  if (section.size() - offset - kEventHeadBytes < length) return false;
  event.ingestion = ingestion_base + load<uint32_t>(at + 4);
  event.timestamp = load<base::TimeMs>(at + 8);
  event.message = {at + kEventHeadBytes, length};
  event.offset = static_cast<uint32_t>(offset);
  offset += kEventHeadBytes + length;
  return true;
}

}  // namespace millrace::logs
