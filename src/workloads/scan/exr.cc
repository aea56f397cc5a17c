// OpenEXR file layout, version 2: single part, tiled, deep and multi-part.
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <optional>

#include "workloads/scan/image_formats.h"
#include "workloads/scan/media_color.h"

namespace millrace::scan {
namespace {

constexpr uint32_t kTiledFlag = 0x200, kLongNamesFlag = 0x400, kDeepFlag = 0x800, kMultiPartFlag = 0x1000;
constexpr size_t kNameMax = 255;
constexpr size_t kChannelNamesMax = 1024;
constexpr unsigned kPartsMax = 4096;
constexpr uint64_t kTableEntriesMax = 8192;  // longer offset tables are looked at only at both ends

constexpr const char* kCompressions[] = {"none", "RLE",  "ZIPS", "ZIP",  "PIZ",      "PXR24",
                                         "B44",  "B44A", "DWAA", "DWAB", "HTJ2K256", "HTJ2K32"};
constexpr unsigned kLinesPerChunk[] = {1, 1, 1, 16, 32, 16, 32, 32, 32, 256, 256, 32};

struct Box {
  int64_t x_min = 0, y_min = 0, x_max = -1, y_max = -1;
  PixelWindow window() const { return {x_min, y_min, x_max - x_min + 1, y_max - y_min + 1}; }
};

// What one header says beyond the facts of the image.
struct ExrPart {
  std::string name, view, type;
  std::optional<Box> data;
  std::optional<uint64_t> chunks;
  unsigned compression = 0;
  uint32_t tile_x = 0, tile_y = 0;
  unsigned level_mode = 0, level_rounding = 0;
  uint32_t channels = 0;
  bool tiles = false, has_channels = false;
};

struct ChannelSet {
  bool r = false, g = false, b = false, a = false, y = false, chroma = false, other = false;
};

class ExrReader {
 public:
  ExrReader(MediaBytes& bytes, ImageFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    std::string_view head = bytes_.at(0, 8, "OpenEXR header");
    if (head.substr(0, 4) != "\x76\x2F\x31\x01") corrupt("not an OpenEXR signature", 0);
    flags_ = le32(head.data() + 4);
    if ((flags_ & 0xFF) != 2) corrupt("OpenEXR version " + std::to_string(flags_ & 0xFF), 4);
    if (flags_ & ~(0xFFu | kTiledFlag | kLongNamesFlag | kDeepFlag | kMultiPartFlag))
      corrupt("unknown OpenEXR flags", 4);
    at_ = 8;
    bool multi_part = flags_ & kMultiPartFlag;
    do {
      if (multi_part && bytes_.read_u8(at_, "OpenEXR header") == 0) {
        ++at_;
        break;
      }
      if (parts_.size() >= kPartsMax) corrupt("more than 4096 OpenEXR parts", at_);
      parts_.emplace_back();
      read_header(parts_.back());
    } while (multi_part);
    if (parts_.empty()) corrupt("OpenEXR without a part", at_);
    finish();
    check_chunks();
  }

 private:
  std::string_view c_string(const char* what) {
    std::string_view text = bytes_.some(at_, kNameMax + 1, what);
    size_t end = text.find('\0');
    if (end == std::string_view::npos) {
      if (text.size() <= kNameMax) bytes_.at(at_, text.size() + 1, what);  // says that the file ends here
      corrupt(std::string(what) + " longer than 255 bytes", at_);
    }
    at_ += end + 1;
    return text.substr(0, end);
  }

  void read_header(ExrPart& part) {
    while (true) {
      bytes_.step("OpenEXR attributes");
      uint64_t start = at_;
      std::string name(c_string("OpenEXR attribute name"));
      if (name.empty()) break;
      std::string type(c_string("OpenEXR attribute type"));
      int64_t size = static_cast<int32_t>(bytes_.read_le32(at_, "OpenEXR attribute size"));
      at_ += 4;
      if (size < 0) corrupt("OpenEXR attribute " + clean_text(name, 64) + " of negative size", start);
      check_end(at_ + static_cast<uint64_t>(size), bytes_.size(), "OpenEXR attribute");
      read_attribute(part, name, type, at_, static_cast<uint32_t>(size));
      at_ += static_cast<uint64_t>(size);
    }
    if (!part.has_channels || !part.data)
      corrupt("OpenEXR header without channels or data window, its end", at_);
  }

  static float number(const char* p) { return std::bit_cast<float>(le32(p)); }

  std::string text_value(uint64_t at, uint32_t size, size_t size_max = 1024) {
    return clean_text(bytes_.at(at, std::min<size_t>(size, size_max), "OpenEXR text"), size_max);
  }

  Box box(uint64_t at) {
    const char* p = bytes_.at(at, 16, "OpenEXR window").data();
    auto n = [&](int i) { return static_cast<int64_t>(static_cast<int32_t>(le32(p + 4 * i))); };
    Box box{n(0), n(1), n(2), n(3)};
    if (box.x_max < box.x_min || box.y_max < box.y_min) corrupt("empty OpenEXR window", at);
    return box;
  }

  void read_attribute(ExrPart& part, std::string_view name, std::string_view type, uint64_t at,
                      uint32_t size) {
    bool first = parts_.size() == 1;
    auto is = [&](std::string_view n, std::string_view t, uint32_t size_min) {
      return name == n && type == t && size >= size_min;
    };
    if (is("channels", "chlist", 1)) {
      read_channels(part, at, size);
    } else if (is("compression", "compression", 1)) {
      part.compression = bytes_.read_u8(at, "OpenEXR compression");
    } else if (is("dataWindow", "box2i", 16)) {
      part.data = box(at);
      if (first) {
        facts_.data_window = part.data->window();
        set_resolution(facts_, static_cast<uint64_t>(facts_.data_window->width),
                       static_cast<uint64_t>(facts_.data_window->height), at);
      }
    } else if (is("displayWindow", "box2i", 16)) {
      if (first) facts_.display_window = box(at).window();
    } else if (is("tiles", "tiledesc", 9)) {
      const char* p = bytes_.at(at, 9, "OpenEXR tiles").data();
      part.tiles = true;
      part.tile_x = le32(p);
      part.tile_y = le32(p + 4);
      part.level_mode = u8(p + 8) & 15;
      part.level_rounding = u8(p + 8) >> 4;
    } else if (is("name", "string", 0)) {
      part.name = text_value(at, size, 255);
    } else if (is("type", "string", 0)) {
      part.type = text_value(at, size, 64);
    } else if (is("view", "string", 0)) {
      part.view = text_value(at, size, 255);
    } else if (is("chunkCount", "int", 4)) {
      part.chunks = bytes_.read_le32(at, "OpenEXR chunkCount");
    } else if (is("multiView", "stringvector", 0)) {
      read_views(at, size);
    } else if (first) {
      read_optional(name, type, at, size);
    }
  }

  // Attributes of the first part that nothing depends on.
  void read_optional(std::string_view name, std::string_view type, uint64_t at, uint32_t size) {
    auto is = [&](std::string_view n, std::string_view t, uint32_t size_min) {
      return name == n && type == t && size >= size_min;
    };
    if (is("chromaticities", "chromaticities", 32)) {
      const char* p = bytes_.at(at, 32, "OpenEXR chromaticities").data();
      double xy[8];
      for (int i = 0; i < 8; ++i) xy[i] = number(p + 4 * i);
      chromaticities_ = chromaticities_name(xy);
    } else if (type == "string" && (name == "colorspace" || name == "colorSpace" ||
                                    name == "oiio:ColorSpace" || name == "colorInteropID")) {
      facts_.color_space = text_value(at, size, 255);
    } else if (is("pixelAspectRatio", "float", 4)) {
      float aspect = number(bytes_.at(at, 4, "OpenEXR aspect").data());
      if (aspect > 0 && aspect < 1e6F) facts_.pixel_aspect = static_cast<double>(aspect);
    } else if (is("xDensity", "float", 4)) {
      float density = number(bytes_.at(at, 4, "OpenEXR density").data());
      if (density > 0 && density < 1e9F) {
        facts_.dpi_x = static_cast<double>(density);
        facts_.dpi_y = density * facts_.pixel_aspect.value_or(1);
      }
    } else if (is("timeCode", "timecode", 4)) {
      read_timecode(bytes_.read_le32(at, "OpenEXR time code"));
    } else if (is("framesPerSecond", "rational", 8)) {
      const char* p = bytes_.at(at, 8, "OpenEXR frame rate").data();
      auto num = static_cast<int32_t>(le32(p));
      uint32_t den = le32(p + 4);
      if (num > 0 && den > 0) facts_.frame_rate = reduced(num, den);
    } else if (is("preview", "preview", 8)) {
      facts_.embedded_thumbnail = true;
    } else if (type == "string") {
      if (name == "software" || name == "Software")
        facts_.software = text_value(at, size, 255);
      else if (name == "comments" || name == "ImageDescription")
        facts_.description = text_value(at, size);
      else if (name == "capDate" || name == "DateTime")
        facts_.capture_date = exif_date(text_value(at, size, 32));
      else if (name == "cameraMake" || name == "Make")
        facts_.camera_make = text_value(at, size, 255);
      else if (name == "cameraModel" || name == "Model")
        facts_.camera_model = text_value(at, size, 255);
      else if (name == "lensModel")
        facts_.lens_model = text_value(at, size, 255);
      else if (name == "xmp")
        facts_.has_xmp = true;
    } else if (is("Orientation", "int", 4)) {
      uint32_t value = bytes_.read_le32(at, "OpenEXR orientation");
      if (value >= 1 && value <= 8) facts_.orientation = value;
    }
  }

  // SMPTE 12M: binary coded decimals with flags between them.
  void read_timecode(uint32_t t) {
    auto bcd = [&](int shift, unsigned tens_mask) {
      return (t >> shift & 15) + 10 * (t >> (shift + 4) & tens_mask);
    };
    bool drop = t >> 6 & 1;
    facts_.timecode = timecode_text(bcd(24, 3), bcd(16, 7), bcd(8, 7), bcd(0, 3), drop);
  }

  void read_views(uint64_t at, uint32_t size) {
    uint64_t end = at + size;
    while (end - at >= 4 && facts_.views.size() < 64) {
      uint32_t length = bytes_.read_le32(at, "OpenEXR view");
      at += 4;
      if (length > end - at) corrupt("OpenEXR view name outside its list", at);
      add_view(text_value(at, length, 255));
      at += length;
    }
  }

  void add_view(const std::string& view) {
    if (!view.empty() && std::find(facts_.views.begin(), facts_.views.end(), view) == facts_.views.end())
      facts_.views.push_back(view);
  }

  void read_channels(ExrPart& part, uint64_t at, uint32_t size) {
    uint64_t end = at + size, after = at_;
    part.has_channels = true;
    at_ = at;
    while (true) {
      bytes_.step("OpenEXR channels");
      if (at_ >= end) corrupt("OpenEXR channel list without an end", at);
      std::string name(c_string("OpenEXR channel name"));
      if (name.empty()) break;
      const char* p = bytes_.at(at_, 16, "OpenEXR channel").data();
      uint32_t type = le32(p);
      if (type > 2) corrupt("OpenEXR channel of unknown type", at_);
      at_ += 16;
      ++part.channels;
      types_seen_ |= 1u << type;
      note_channel(part, name);
      if (facts_.channel_names.size() < kChannelNamesMax)
        facts_.channel_names.push_back(clean_text(name, 255));
    }
    if (at_ > end) corrupt("OpenEXR channel list runs over its end", at);
    at_ = after;
  }

  void note_channel(const ExrPart&, std::string_view name) {
    if (parts_.size() > 1) return;
    ChannelSet& set = channels_;
    if (name == "R")
      set.r = true;
    else if (name == "G")
      set.g = true;
    else if (name == "B")
      set.b = true;
    else if (name == "A")
      set.a = true;
    else if (name == "Y")
      set.y = true;
    else if (name == "RY" || name == "BY")
      set.chroma = true;
    else
      set.other = true;
  }

  void finish() {
    const ExrPart& first = parts_.front();
    facts_.parts = static_cast<uint32_t>(parts_.size());
    facts_.channels = first.channels;
    facts_.compression = first.compression < std::size(kCompressions)
                             ? kCompressions[first.compression]
                             : "OpenEXR " + std::to_string(first.compression);
    facts_.tiled = first.tiles;
    facts_.mip_levels = levels(first);
    facts_.has_alpha = channels_.a;
    bool rgb = channels_.r && channels_.g && channels_.b;
    facts_.color_mode = rgb                               ? (channels_.a ? "RGBA" : "RGB")
                        : channels_.y && channels_.chroma ? "YC"
                        : channels_.y                     ? (channels_.a ? "LA" : "L")
                                                          : "multi";
    if (types_seen_ == 1)
      facts_.pixel_type = "uint32";
    else if (types_seen_ == 2)
      facts_.pixel_type = "half";
    else if (types_seen_ == 4)
      facts_.pixel_type = "float";
    else
      facts_.pixel_type = "mixed";
    facts_.bit_depth = types_seen_ == 2 ? 16 : 32;
    if (facts_.color_space.empty()) facts_.color_space = chromaticities_;
    for (const ExrPart& part : parts_) add_view(part.view);
    if (parts_.size() > 1) name_parts();
  }

  // "part:channel" for the parts after the first, in the order of the file.
  void name_parts() {
    size_t i = parts_.front().channels;
    for (size_t p = 1; p < parts_.size(); ++p)
      for (uint32_t c = 0; c < parts_[p].channels && i < facts_.channel_names.size(); ++c, ++i)
        facts_.channel_names[i] =
            (parts_[p].name.empty() ? std::to_string(p) : parts_[p].name) + ":" + facts_.channel_names[i];
  }

  static uint64_t level_size(uint64_t size, unsigned level, bool up) {
    uint64_t divided = up ? (size + (uint64_t{1} << level) - 1) >> level : size >> level;
    return std::max<uint64_t>(divided, 1);
  }
  static unsigned level_count(uint64_t size, bool up) {
    unsigned floor = static_cast<unsigned>(std::bit_width(size)) - 1;
    return floor + (up && !std::has_single_bit(size) ? 1 : 0) + 1;
  }
  static unsigned levels(const ExrPart& part) {
    if (!part.tiles || part.level_mode == 0 || !part.data) return 1;
    PixelWindow w = part.data->window();
    return level_count(static_cast<uint64_t>(std::max(w.width, w.height)), part.level_rounding == 1);
  }

  // How many chunks a part has; nothing when this reader can't know.
  static std::optional<uint64_t> chunk_count(const ExrPart& part) {
    if (part.chunks) return part.chunks;
    PixelWindow w = part.data->window();
    auto width = static_cast<uint64_t>(w.width), height = static_cast<uint64_t>(w.height);
    if (!part.tiles) {
      if (part.compression >= std::size(kLinesPerChunk)) return std::nullopt;
      unsigned lines = kLinesPerChunk[part.compression];
      return (height + lines - 1) / lines;
    }
    if (part.tile_x == 0 || part.tile_y == 0 || part.level_mode > 2) return std::nullopt;
    bool up = part.level_rounding == 1;
    auto tiles_x = [&](unsigned l) { return (level_size(width, l, up) + part.tile_x - 1) / part.tile_x; };
    auto tiles_y = [&](unsigned l) { return (level_size(height, l, up) + part.tile_y - 1) / part.tile_y; };
    if (part.level_mode == 0) return tiles_x(0) * tiles_y(0);
    uint64_t count = 0;
    if (part.level_mode == 1) {
      for (unsigned l = 0; l < levels(part); ++l) count += tiles_x(l) * tiles_y(l);
    } else {
      uint64_t x = 0, y = 0;
      for (unsigned l = 0; l < level_count(width, up); ++l) x += tiles_x(l);
      for (unsigned l = 0; l < level_count(height, up); ++l) y += tiles_y(l);
      if (x > UINT32_MAX / 2 || y > UINT32_MAX / 2) return std::nullopt;
      count = x * y;
    }
    return count;
  }

  // A writer fills the table of chunk offsets when it closes the file: zeros in it mean an unfinished render,
  // offsets beyond the end a truncated copy.
  void check_chunks() {
    for (const ExrPart& part : parts_) {
      std::optional<uint64_t> count = chunk_count(part);
      if (!count || *count == 0) return;
      if (*count > UINT64_MAX / 16) corrupt("OpenEXR with too many chunks", at_);
      if (*count > (bytes_.size() - std::min(at_, bytes_.size())) / 8) {
        throw base::CorruptError("truncated: the OpenEXR offset table of " + std::to_string(*count) +
                                 " chunks at offset " + std::to_string(at_) + ", the file has " +
                                 std::to_string(bytes_.size()));
      }
      check_table(*count);
      at_ += *count * 8;
    }
  }

  void check_table(uint64_t count) {
    uint64_t zeros = 0, last = 0;
    auto look = [&](uint64_t i) {
      bytes_.step("OpenEXR chunks");
      uint64_t offset = le64(bytes_.at(at_ + 8 * i, 8, "OpenEXR offset table").data());
      zeros += offset == 0;
      last = std::max(last, offset);
    };
    if (count <= kTableEntriesMax) {
      for (uint64_t i = 0; i < count; ++i) look(i);
    } else {
      look(0);
      look(count - 1);
    }
    if (last >= bytes_.size())
      throw base::CorruptError("truncated: an OpenEXR chunk at offset " + std::to_string(last) +
                               ", the file has " + std::to_string(bytes_.size()));
    if (zeros > 0)
      corrupt("unfinished: " + std::to_string(zeros) + " of " + std::to_string(count) +
                  " OpenEXR chunks were never written, offset table",
              at_);
    last_chunk_ = std::max(last_chunk_, last);
  }

  MediaBytes& bytes_;
  ImageFacts& facts_;
  uint64_t at_ = 0;
  uint32_t flags_ = 0;
  std::vector<ExrPart> parts_;
  ChannelSet channels_;
  unsigned types_seen_ = 0;
  std::string chromaticities_;
  uint64_t last_chunk_ = 0;

 public:
  // The chunk that stands last must be whole. Only for flat pictures: deep chunks have another head.
  void check_last_chunk() {
    if (last_chunk_ == 0 || (flags_ & kDeepFlag)) return;
    bool multi_part = flags_ & kMultiPartFlag;
    for (const ExrPart& part : parts_)
      if (part.type.starts_with("deep")) return;
    bool tiled = parts_.size() == 1 && (parts_[0].tiles || (flags_ & kTiledFlag));
    if (parts_.size() > 1) {
      uint32_t index = bytes_.read_le32(last_chunk_, "OpenEXR chunk");
      if (index >= parts_.size()) corrupt("OpenEXR chunk of a part that does not exist", last_chunk_);
      tiled = parts_[index].tiles;
    }
    uint64_t head = (multi_part ? 4u : 0u) + (tiled ? 16u : 4u);
    uint64_t size = bytes_.read_le32(last_chunk_ + head, "OpenEXR chunk");
    check_end(last_chunk_ + head + 4 + size, bytes_.size(), "OpenEXR chunk");
  }
};

}  // namespace

void read_exr(MediaBytes& bytes, ImageFacts& facts) {
  ExrReader reader(bytes, facts);
  reader.read();
  reader.check_last_chunk();
}

}  // namespace millrace::scan
