// Alembic: identity, version and the program that wrote it. Ogawa is read; of HDF5 archives only the version
// of the container.
#include "base/strings.h"
#include "workloads/scan/scene_formats.h"

namespace millrace::scan {
namespace {

using namespace std::string_view_literals;

constexpr uint64_t kData = uint64_t{1} << 63;  // in a child's number: data, not a group
constexpr uint64_t kChildrenMax = 1 << 20;
constexpr uint64_t kMetadataMax = 64 * 1024;

// The bytes of a data child; empty when it is a group or has none.
std::string read_child(MediaBytes& bytes, uint64_t group, uint64_t index, uint64_t size_max) {
  uint64_t child = le64(bytes.at(group + 8 + 8 * index, 8, "Ogawa group").data());
  if (!(child & kData) || (child & ~kData) == 0) return {};
  uint64_t at = child & ~kData;
  uint64_t size = le64(bytes.at(at, 8, "Ogawa data").data());
  if (size > bytes.size() || at + 8 > bytes.size() - size)
    throw base::CorruptError("truncated: Ogawa data at offset " + std::to_string(at) + ", the file has " +
                             std::to_string(bytes.size()));
  return std::string(bytes.at(at + 8, static_cast<size_t>(std::min(size, size_max)), "Ogawa data"));
}

// "_ai_Application=Maya;_ai_DateWritten=…": keys and values, escaped no further.
std::string value_of(std::string_view metadata, std::string_view key) {
  for (std::string_view pair : base::split(metadata, ';')) {
    size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == key)
      return clean_text(pair.substr(equals + 1), 255);
  }
  return {};
}

}  // namespace

void read_alembic(MediaBytes& bytes, SceneFacts& facts) {
  std::string_view head = bytes.some(0, 16, "Alembic header");
  if (head.starts_with("\x89HDF\r\n\x1A\n")) {
    facts.encoding = "HDF5";
    if (head.size() < 9) check_end(9, bytes.size(), "HDF5 header");
    facts.version = std::to_string(u8(head.data() + 8));  // of the superblock
    return;
  }
  if (!head.starts_with("Ogawa")) corrupt("not an Alembic signature", 0);
  facts.encoding = "Ogawa";
  if (head.size() < 16) check_end(16, bytes.size(), "Ogawa header");
  bool frozen = u8(head.data() + 5) == 0xFF;
  uint64_t group = le64(head.data() + 8);
  facts.version = std::to_string(be16(head.data() + 6));  // of Ogawa
  if (!frozen) corrupt("truncated: the Ogawa archive was never closed", 5);
  uint64_t children = le64(bytes.at(group, 8, "Ogawa root").data());
  if (children < 6 || children > kChildrenMax)
    corrupt("Ogawa root of " + std::to_string(children) + " children", group);
  check_end(group + 8 + 8 * children, bytes.size(), "Ogawa root");
  std::string library = read_child(bytes, group, 1, 4);
  if (library.size() == 4) {
    uint32_t number = le32(library.data());  // 10712 is 1.7.12
    facts.version = std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + "." +
                    std::to_string(number % 100);
  }
  std::string metadata = read_child(bytes, group, 3, kMetadataMax);
  facts.generator = value_of(metadata, "_ai_Application");
  facts.title = value_of(metadata, "_ai_Description");
}

}  // namespace millrace::scan
