// OpenVDB: file version, library version, metadata and the names of the grids.
#include <bit>

#include "workloads/scan/scene_formats.h"

namespace millrace::scan {
namespace {

constexpr uint64_t kMagic = 0x56444220;
constexpr uint32_t kVersionMin = 211, kVersionMax = 1000;  // before 211 there was no library version
constexpr uint32_t kUuidAsText = 218, kPerGridCompression = 222;
constexpr uint32_t kMetadataMax = 4096, kGridsMax = 4096, kStringMax = 1 << 20;
constexpr unsigned kFetchesMax = 24;  // grids of a huge cache lie far from each other

class VdbReader {
 public:
  VdbReader(MediaBytes& bytes, SceneFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    if (le64(bytes_.at(0, 8, "OpenVDB magic").data()) != kMagic) corrupt("not an OpenVDB signature", 0);
    facts_.encoding = "binary";
    uint32_t version = bytes_.read_le32(8, "OpenVDB version");
    facts_.version = std::to_string(version);
    if (version < kVersionMin || version > kVersionMax) {
      add_warning(facts_.warning, "OpenVDB file version " + std::to_string(version) + " is not read further");
      return;
    }
    facts_.generator = "OpenVDB " + std::to_string(bytes_.read_le32(12, "OpenVDB library")) + "." +
                       std::to_string(bytes_.read_le32(16, "OpenVDB library"));
    at_ = 20;
    bool offsets = bytes_.read_u8(at_++, "OpenVDB header") != 0;
    if (version >= 220 && version < kPerGridCompression) ++at_;
    at_ += version >= kUuidAsText ? 36 : 16;
    read_metadata();
    if (offsets) read_grids();
  }

 private:
  uint32_t number(const char* what) {
    uint32_t n = bytes_.read_le32(at_, what);
    at_ += 4;
    return n;
  }
  std::string text(const char* what) {
    uint32_t length = number(what);
    if (length > kStringMax) corrupt(std::string(what) + " of " + std::to_string(length) + " bytes", at_ - 4);
    check_end(at_ + length, bytes_.size(), what);
    std::string text = clean_text(bytes_.at(at_, std::min(length, 1024U), what));
    at_ += length;
    return text;
  }

  void read_metadata() {
    uint32_t count = number("OpenVDB metadata");
    if (count > kMetadataMax) corrupt("OpenVDB with " + std::to_string(count) + " metadata", at_ - 4);
    for (uint32_t i = 0; i < count; ++i) {
      std::string name = text("OpenVDB metadata name"), type = text("OpenVDB metadata type");
      if (type == "string") {
        std::string value = text("OpenVDB metadata");
        if (name == "creator") facts_.title = value;
      } else {
        uint32_t size = number("OpenVDB metadata");
        check_end(at_ + size, bytes_.size(), "OpenVDB metadata");
        at_ += size;
      }
    }
  }

  // Each grid begins with its names and says where it ends.
  void read_grids() {
    uint32_t count = number("OpenVDB grids");
    if (count > kGridsMax) corrupt("OpenVDB with " + std::to_string(count) + " grids", at_ - 4);
    for (uint32_t i = 0; i < count; ++i) {
      if (bytes_.fetches() > kFetchesMax) {
        add_warning(facts_.warning, "only the first " + std::to_string(i) + " of " + std::to_string(count) +
                                        " grids are named");
        return;
      }
      uint64_t start = at_;
      std::string name = text("OpenVDB grid name"), type = text("OpenVDB grid type");
      text("OpenVDB grid parent");
      at_ += 16;
      uint64_t end = le64(bytes_.at(at_, 8, "OpenVDB grid").data());
      // Two grids of one name are told apart behind a control character, which is a blank by now.
      facts_.grids.push_back(name + " (" + type + ")");
      if (end <= start) corrupt("OpenVDB grid that ends before it begins", start);
      check_end(end, bytes_.size(), "OpenVDB grid");
      at_ = end;
    }
  }

  MediaBytes& bytes_;
  SceneFacts& facts_;
  uint64_t at_ = 0;
};

}  // namespace

void read_vdb(MediaBytes& bytes, SceneFacts& facts) { VdbReader(bytes, facts).read(); }

}  // namespace millrace::scan
