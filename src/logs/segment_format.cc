#include "logs/segment_format.h"

#include <bit>

#include "base/hash.h"
#include "base/strings.h"

namespace millrace::logs {

static_assert(std::endian::native == std::endian::little, "segments are read and written in place");

namespace {

constexpr size_t kDeclarationHeadBytes = 8;

template <typename Value>
void put(std::string& out, Value value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

std::string file_header(base::TimeMs created) {
  std::string out(kSegmentMagic);
  put<uint32_t>(out, kSegmentVersion);
  put<uint32_t>(out, 0);
  put<int64_t>(out, created);
  put<uint64_t>(out, base::xxh3(out));
  return out;
}

bool is_file_header(std::string_view bytes) {
  if (bytes.size() < kFileHeaderBytes || !bytes.starts_with(kSegmentMagic)) return false;
  return load<uint32_t>(bytes.data() + 8) == kSegmentVersion &&
         load<uint64_t>(bytes.data() + 24) == base::xxh3(bytes.substr(0, 24));
}

std::string segment_file_name(std::string_view writer, uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 8) digits.insert(0, 8 - digits.size(), '0');
  return std::string(writer) + "-" + digits + ".seg";
}

std::optional<SegmentName> parse_segment_file_name(std::string_view name) {
  if (!name.ends_with(".seg")) return std::nullopt;
  name.remove_suffix(4);
  size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0) return std::nullopt;
  auto number = base::parse_number<uint64_t>(name.substr(dash + 1));
  if (!number || *number > UINT32_MAX) return std::nullopt;
  return SegmentName{std::string(name.substr(0, dash)), *number};
}

HeadState parse_head(std::string_view bytes, ParsedHead& parsed) {
  parsed.declarations.clear();
  parsed.sections.clear();
  parsed.head = {};
  if (bytes.size() < sizeof(BlockHead)) return HeadState::kMoreNeeded;
  const BlockHead head = load<BlockHead>(bytes.data());
  if (head.magic != kBlockMagic || head.head_bytes < sizeof(BlockHead) ||
      head.head_bytes > kBlockHeadBytesMax || head.payload_bytes > kBlockPayloadBytesMax)
    return HeadState::kDamaged;
  parsed.head = head;
  if (bytes.size() < head.head_bytes) return HeadState::kMoreNeeded;
  if (base::xxh3(bytes.substr(8, head.head_bytes - 8)) != head.head_checksum) return HeadState::kDamaged;
  // The checksum holds, so what follows was written by a writer; bounds are checked all the same.
  std::string_view rest = bytes.substr(sizeof(BlockHead), head.head_bytes - sizeof(BlockHead));
  for (uint32_t i = 0; i < head.declaration_count; ++i) {
    if (rest.size() < kDeclarationHeadBytes) return HeadState::kDamaged;
    Declaration declaration;
    declaration.stream = load<uint32_t>(rest.data());
    size_t group_length = load<uint16_t>(rest.data() + 4);
    size_t name_length = load<uint16_t>(rest.data() + 6);
    rest.remove_prefix(kDeclarationHeadBytes);
    if (rest.size() < group_length + name_length) return HeadState::kDamaged;
    declaration.group = rest.substr(0, group_length);
    declaration.name = rest.substr(group_length, name_length);
    rest.remove_prefix(group_length + name_length);
    parsed.declarations.push_back(declaration);
  }
  if (rest.size() != head.section_count * sizeof(SectionHead)) return HeadState::kDamaged;
  uint64_t payload_bytes = 0;
  parsed.sections.reserve(head.section_count);
  for (uint32_t i = 0; i < head.section_count; ++i) {
    parsed.sections.push_back(load<SectionHead>(rest.data() + i * sizeof(SectionHead)));
    payload_bytes += parsed.sections.back().bytes;
  }
  return payload_bytes == head.payload_bytes ? HeadState::kWhole : HeadState::kDamaged;
}

}  // namespace millrace::logs
