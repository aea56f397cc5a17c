// FBX of Autodesk: identity, version and program; binary and ASCII.
#include "base/strings.h"
#include "workloads/scan/scene_formats.h"

namespace millrace::scan {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kMagic = "Kaydara FBX Binary  \0"sv;
constexpr size_t kHeadMax = 16 * 1024;

// "Creator" stands in the header as a name and a string: in text quoted after a colon, in binary after its
// length.
void find_creator(std::string_view head, bool binary, SceneFacts& facts) {
  if (binary) {
    size_t at = head.find(
        "\x07"
        "CreatorS"sv);
    if (at == std::string_view::npos || head.size() - at < 13) return;
    uint32_t length = le32(head.data() + at + 9);
    facts.generator = clean_text(head.substr(at + 13, std::min<uint32_t>(length, 255)), 255);
  } else {
    size_t at = head.find("Creator: \"");
    if (at == std::string_view::npos) return;
    std::string_view rest = head.substr(at + 10, 255);
    facts.generator = clean_text(rest.substr(0, rest.find('"')), 255);
  }
}

}  // namespace

void read_fbx(MediaBytes& bytes, SceneFacts& facts) {
  std::string_view head = bytes.some(0, kHeadMax, "FBX header");
  if (head.starts_with(kMagic)) {
    facts.encoding = "binary";
    if (head.size() < 27) check_end(27, bytes.size(), "FBX header");
    uint32_t version = le32(head.data() + 23);  // 7400 is 7.4
    if (version < 1000 || version > 99999) corrupt("FBX version " + std::to_string(version), 23);
    facts.version = std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 100);
    find_creator(head, true, facts);
    return;
  }
  facts.encoding = "ascii";
  size_t mark = head.find("; FBX ");
  if (mark == std::string_view::npos) corrupt("not an FBX signature", 0);
  std::string_view rest = head.substr(mark + 6, 32);
  std::string_view version = rest.substr(0, rest.find_first_not_of("0123456789."));
  while (version.ends_with(".0") && base::split(version, '.').size() > 2) version.remove_suffix(2);
  if (version.empty()) corrupt("FBX without a version", mark);
  facts.version = version;
  find_creator(head, false, facts);
}

}  // namespace millrace::scan
