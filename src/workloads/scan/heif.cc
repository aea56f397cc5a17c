// HEIF and AVIF (ISO 23008-12, ISO 14496-12 section 8.11): the primary item with its properties, what refers
// to it, and image sequences.
#include <algorithm>
#include <vector>

#include "workloads/scan/image_formats.h"
#include "workloads/scan/media_color.h"
#include "workloads/scan/mp4_boxes.h"
#include "workloads/scan/video_formats.h"

namespace millrace::scan {
namespace {

constexpr size_t kItemsMax = 4096, kPropertiesMax = 4096, kAssociationsMax = 8192, kReferencesMax = 4096;
constexpr unsigned kTopBoxesMax = 256;
constexpr unsigned kHelpersMax = 64;  // auxiliary pictures and remarks looked at

struct Item {
  uint32_t id = 0, type = 0;
  bool xmp = false;  // a MIME item of that type
};
struct Association {
  uint32_t item = 0;
  unsigned property = 0;  // counts from 1; 0 says that there is none
};
struct Reference {
  uint32_t type = 0, from = 0, to = 0;
};
struct Extent {
  uint32_t item = 0;
  unsigned method = 0;  // 0: offset in the file
  uint64_t offset = 0, length = 0;
  unsigned extents = 0;
};

class HeifReader {
 public:
  HeifReader(MediaBytes& bytes, ImageFacts& facts) : bytes_(bytes), facts_(facts) {}

  void read() {
    uint64_t at = 0;
    bool moov = false;
    for (unsigned boxes = 0; at < bytes_.size() && bytes_.size() - at >= 8; ++boxes) {
      if (boxes > kTopBoxesMax) throw BudgetError("more than 256 boxes");
      Mp4Box box = read_box(bytes_, at, bytes_.size());
      if (at == 0 && box.type != fourcc("ftyp")) corrupt("not a HEIF signature", 0);
      if (box.type == fourcc("meta") && !meta_) {
        meta_ = true;
        try {
          read_meta(box);
        } catch (const base::CorruptError&) {
          describe_rest();
          throw;
        }
        describe();
      }
      if (box.type == fourcc("moov")) moov = true;
      check_end(box.end, bytes_.size(), "box");
      at = box.end;
    }
    facts_.animated = moov;
    if (moov) read_sequence();
    if (!meta_ && !moov) corrupt("HEIF without items, its end", bytes_.size());
    if (!facts_.resolution_x) corrupt("HEIF whose primary picture has no size, its end", bytes_.size());
    uint64_t end = 0;
    for (const Extent& extent : extents_)
      if (extent.method == 0) end = std::max(end, extent.offset + extent.length);
    check_end(end, bytes_.size(), "pictures");
  }

 private:
  // A full box: version and flags before the content.
  unsigned version(const Mp4Box& box) { return box.size() < 4 ? 0 : bytes_.read_u8(box.at, "box version"); }
  uint32_t flags(const Mp4Box& box) {
    return box.size() < 4 ? 0 : bytes_.read_be32(box.at, "box flags") & 0xFFFFFF;
  }

  void read_meta(const Mp4Box& meta) {
    each_box(bytes_, meta.at + 4, meta.end, [&](const Mp4Box& box) {
      switch (box.type) {
        case fourcc("pitm"):
          primary_ =
              version(box) == 0 ? bytes_.read_be16(box.at + 4, "pitm") : bytes_.read_be32(box.at + 4, "pitm");
          break;
        case fourcc("iinf"):
          each_box(bytes_, box.at + (version(box) == 0 ? 6 : 8), box.end,
                   [&](const Mp4Box& info) { read_item(info); });
          break;
        case fourcc("iprp"):
          read_properties(box);
          break;
        case fourcc("iref"):
          read_references(box);
          break;
        case fourcc("iloc"):
          read_locations(box);
          break;
        default:
          break;
      }
    });
  }

  void read_item(const Mp4Box& box) {
    if (box.type != fourcc("infe") || box.size() < 12 || version(box) < 2) return;
    if (items_.size() >= kItemsMax) throw BudgetError("more than 4096 items");
    bool wide = version(box) > 2;
    Item item;
    item.id = wide ? bytes_.read_be32(box.at + 4, "infe") : bytes_.read_be16(box.at + 4, "infe");
    uint64_t at = box.at + (wide ? 10 : 8);
    item.type = bytes_.read_be32(at, "infe");
    if (item.type == fourcc("mime")) {
      std::string_view rest = bytes_.some(
          at + 4, static_cast<size_t>(std::min<uint64_t>(256, box.end - std::min(box.end, at + 4))), "infe");
      item.xmp = rest.find("application/rdf+xml") != std::string_view::npos;
    }
    items_.push_back(item);
  }

  void read_properties(const Mp4Box& iprp) {
    each_box(bytes_, iprp.at, iprp.end, [&](const Mp4Box& box) {
      if (box.type == fourcc("ipco"))
        each_box(bytes_, box.at, box.end, [&](const Mp4Box& property) {
          if (properties_.size() >= kPropertiesMax) throw BudgetError("more than 4096 properties");
          properties_.push_back(property);
        });
      if (box.type == fourcc("ipma")) read_associations(box);
    });
  }

  void read_associations(const Mp4Box& box) {
    bool wide_items = version(box) >= 1, wide_properties = flags(box) & 1;
    uint32_t count = bytes_.read_be32(box.at + 4, "ipma");
    uint64_t at = box.at + 8;
    for (uint32_t i = 0; i < count && at < box.end; ++i) {
      bytes_.step("associations");
      uint32_t item = wide_items ? bytes_.read_be32(at, "ipma") : bytes_.read_be16(at, "ipma");
      at += wide_items ? 4 : 2;
      unsigned n = bytes_.read_u8(at++, "ipma");
      for (unsigned k = 0; k < n && at < box.end; ++k) {
        unsigned property =
            wide_properties ? bytes_.read_be16(at, "ipma") & 0x7FFF : bytes_.read_u8(at, "ipma") & 0x7FU;
        at += wide_properties ? 2 : 1;
        if (associations_.size() >= kAssociationsMax) throw BudgetError("more than 8192 associations");
        associations_.push_back({item, property});
      }
    }
  }

  void read_references(const Mp4Box& iref) {
    bool wide = version(iref) >= 1;
    each_box(bytes_, iref.at + 4, iref.end, [&](const Mp4Box& box) {
      unsigned size = wide ? 4 : 2;
      if (box.size() < size + 2) return;
      auto id = [&](uint64_t at) {
        return wide ? bytes_.read_be32(at, "iref") : bytes_.read_be16(at, "iref");
      };
      uint32_t from = id(box.at);
      unsigned count = bytes_.read_be16(box.at + size, "iref");
      for (unsigned i = 0; i < count && box.at + size + 2 + size * (uint64_t{i} + 1) <= box.end; ++i) {
        if (references_.size() >= kReferencesMax) throw BudgetError("more than 4096 references");
        references_.push_back({box.type, from, id(box.at + size + 2 + uint64_t{size} * i)});
      }
    });
  }

  uint64_t number(uint64_t& at, unsigned size) {
    uint64_t value = size == 8 ? bytes_.read_be64(at, "iloc") : size == 4 ? bytes_.read_be32(at, "iloc") : 0;
    at += size;
    return value;
  }

  // ISO 14496-12 section 8.11.3.
  void read_locations(const Mp4Box& box) {
    unsigned v = version(box);
    uint16_t sizes = bytes_.read_be16(box.at + 4, "iloc");
    unsigned offset_size = sizes >> 12, length_size = sizes >> 8 & 15, base_size = sizes >> 4 & 15,
             index_size = v >= 1 ? sizes & 15 : 0;
    for (unsigned size : {offset_size, length_size, base_size, index_size})
      if (size != 0 && size != 4 && size != 8)
        corrupt("iloc with numbers of " + std::to_string(size) + " bytes", box.at);
    uint64_t at = box.at + 6;
    uint32_t count = v < 2 ? bytes_.read_be16(at, "iloc") : bytes_.read_be32(at, "iloc");
    at += v < 2 ? 2 : 4;
    for (uint32_t i = 0; i < count && at < box.end; ++i) {
      if (extents_.size() >= kItemsMax) throw BudgetError("more than 4096 items");
      Extent extent;
      extent.item = v < 2 ? bytes_.read_be16(at, "iloc") : bytes_.read_be32(at, "iloc");
      at += v < 2 ? 2 : 4;
      if (v >= 1) extent.method = bytes_.read_be16(at, "iloc") & 15U, at += 2;
      at += 2;  // where else the data may be: another file is of no use here
      uint64_t base = number(at, base_size);
      extent.extents = bytes_.read_be16(at, "iloc");
      at += 2;
      for (unsigned k = 0; k < extent.extents && at < box.end; ++k) {
        bytes_.step("extents");
        if (v >= 1) at += index_size;
        uint64_t offset = number(at, offset_size), length = number(at, length_size);
        if (k == 0)
          extent.offset = base > UINT64_MAX / 4 || offset > UINT64_MAX / 4 ? UINT64_MAX / 2 : base + offset;
        if (k == 0) extent.length = std::min(length, UINT64_MAX / 4);
      }
      extents_.push_back(extent);
    }
  }

  template <typename Function>
  void each_property(uint32_t item, Function&& f) {
    for (const Association& association : associations_)
      if (association.item == item && association.property >= 1 && association.property <= properties_.size())
        f(properties_[association.property - 1]);
  }

  const Item* find_item(uint32_t id) const {
    for (const Item& item : items_)
      if (item.id == id) return &item;
    return nullptr;
  }

  // Of a file cut short: its size, when that is there already.
  void describe_rest() try { describe(); } catch (const base::CorruptError&) {
  }

  void describe() {
    const Item* item = find_item(primary_);
    if (item) name_codec(item->type);
    each_property(primary_, [&](const Mp4Box& property) { apply(property); });
    // A grid or an overlay leaves codec and depth to its tiles.
    uint32_t tile = 0;
    for (const Reference& reference : references_)
      if (reference.type == fourcc("dimg") && reference.from == primary_ && tile == 0) tile = reference.to;
    if (item && (item->type == fourcc("grid") || item->type == fourcc("iovl")) && tile) {
      facts_.tiled = true;
      if (const Item* first = find_item(tile)) name_codec(first->type);
      each_property(tile, [&](const Mp4Box& property) {
        if (property.type != fourcc("ispe") && property.type != fourcc("irot") &&
            property.type != fourcc("imir"))
          apply(property);
      });
    }
    facts_.has_alpha = false;
    unsigned helpers = 0;
    for (const Reference& reference : references_) {
      if (reference.to != primary_ && !(tile && reference.to == tile)) continue;
      if (++helpers > kHelpersMax) break;
      if (reference.type == fourcc("thmb")) facts_.embedded_thumbnail = true;
      if (reference.type == fourcc("auxl") && is_alpha(reference.from)) facts_.has_alpha = true;
      if (reference.type == fourcc("cdsc")) read_remark(reference.from);
    }
    // Some writers leave out what a remark is about.
    for (const Item& remark : items_) {
      if (remark.type != fourcc("Exif") && !remark.xmp) continue;
      bool told = std::any_of(references_.begin(), references_.end(), [&](const Reference& reference) {
        return reference.type == fourcc("cdsc") && reference.from == remark.id;
      });
      if (!told && ++helpers <= kHelpersMax) read_remark(remark.id);
    }
    finish();
  }

  void finish() {
    facts_.orientation = orientation();
    if (!facts_.bit_depth) facts_.bit_depth = codec_depth_;
    if (facts_.bit_depth) facts_.pixel_type = unsigned_type(*facts_.bit_depth);
    unsigned colors = facts_.channels.value_or(grey_ ? 1 : 3);
    bool alpha = facts_.has_alpha.value_or(false);
    if (colors == 2 || colors == 4) alpha = true, --colors;
    facts_.has_alpha = alpha;
    facts_.channels = colors + alpha;
    facts_.color_mode = colors == 1 ? (alpha ? "LA" : "L") : alpha ? "RGBA" : "RGB";
  }

  void name_codec(uint32_t type) {
    switch (type) {
      case fourcc("hvc1"):
      case fourcc("hev1"):
        facts_.compression = "HEVC";
        break;
      case fourcc("av01"):
        facts_.compression = "AV1";
        break;
      case fourcc("avc1"):
        facts_.compression = "H.264";
        break;
      case fourcc("vvc1"):
        facts_.compression = "VVC";
        break;
      case fourcc("j2k1"):
        facts_.compression = "JPEG 2000";
        break;
      case fourcc("jpeg"):
        facts_.compression = "JPEG";
        break;
      case fourcc("unci"):
        facts_.compression = "none";
        break;
      default:
        break;
    }
  }

  void apply(const Mp4Box& property) {
    uint64_t at = property.at;
    switch (property.type) {
      case fourcc("ispe"):
        if (property.size() >= 12) {
          const char* p = bytes_.at(at + 4, 8, "ispe").data();
          set_resolution(facts_, be32(p), be32(p + 4), at);
        }
        break;
      case fourcc("pixi"):
        if (property.size() >= 6) {
          unsigned channels = bytes_.read_u8(at + 4, "pixi"), depth = bytes_.read_u8(at + 5, "pixi");
          if (channels >= 1 && channels <= 4 && depth) facts_.channels = channels, facts_.bit_depth = depth;
        }
        break;
      case fourcc("colr"):
        read_color(property);
        break;
      case fourcc("irot"):
        if (property.size() >= 1) rotation_ = bytes_.read_u8(at, "irot") & 3U;
        break;
      case fourcc("imir"):
        if (property.size() >= 1) mirror_ = 1 + (bytes_.read_u8(at, "imir") & 1);
        break;
      case fourcc("pasp"):
        if (property.size() >= 8) {
          const char* p = bytes_.at(at, 8, "pasp").data();
          if (be32(p) && be32(p + 4)) facts_.pixel_aspect = static_cast<double>(be32(p)) / be32(p + 4);
        }
        break;
      case fourcc("clap"):
        if (property.size() >= 32) read_aperture(bytes_.at(at, 32, "clap").data());
        break;
      case fourcc("av1C"):
        if (property.size() >= 3) {
          unsigned bits = bytes_.read_u8(at + 2, "av1C");
          codec_depth_ = bits & 0x40 ? (bits & 0x20 ? 12U : 10U) : 8U;
          grey_ = bits & 0x10;
        }
        break;
      case fourcc("hvcC"):
        if (property.size() >= 19) {
          const char* p = bytes_.at(at, 19, "hvcC").data();
          codec_depth_ = (u8(p + 17) & 7U) + 8;
          grey_ = (u8(p + 16) & 3) == 0;
        }
        break;
      default:
        break;
    }
  }

  // The clean aperture: centred, moved by an offset; all fractions. What is shown of the stored picture.
  void read_aperture(const char* p) {
    if (!facts_.resolution_x) return;
    double values[4];
    for (int i = 0; i < 4; ++i) {
      int32_t den = static_cast<int32_t>(be32(p + 8 * i + 4));
      if (den == 0) return;
      values[i] = static_cast<double>(static_cast<int32_t>(be32(p + 8 * i))) / den;
    }
    double width = values[0], height = values[1];
    double x = (*facts_.resolution_x - width) / 2 + values[2],
           y = (*facts_.resolution_y - height) / 2 + values[3];
    if (width < 1 || height < 1 || width > *facts_.resolution_x || height > *facts_.resolution_y || x < 0 ||
        y < 0 || x > *facts_.resolution_x || y > *facts_.resolution_y)
      return;
    facts_.display_window = PixelWindow{static_cast<int64_t>(x), static_cast<int64_t>(y),
                                        static_cast<int64_t>(width), static_cast<int64_t>(height)};
    facts_.data_window = PixelWindow{0, 0, *facts_.resolution_x, *facts_.resolution_y};
  }

  // An ICC profile wins over code points: it says more.
  void read_color(const Mp4Box& box) {
    if (box.size() < 4) return;
    uint32_t kind = bytes_.read_be32(box.at, "colr");
    if (kind == fourcc("prof") || kind == fourcc("rICC")) {
      std::string name = icc_profile_name(bytes_, box.at + 4, box.size() - 4);
      if (!name.empty()) facts_.color_space = std::move(name);
    } else if (kind == fourcc("nclx") && box.size() >= 11 && facts_.color_space.empty()) {
      const char* p = bytes_.at(box.at + 4, 7, "colr").data();
      std::string_view primaries = color_primaries_name(be16(p)), transfer = color_transfer_name(be16(p + 2));
      if (primaries == "bt709" && transfer == "iec61966-2-1") {
        facts_.color_space = "sRGB";
      } else if (!primaries.empty() || !transfer.empty()) {
        facts_.color_space = primaries.empty() ? "unknown primaries" : primaries;
        facts_.color_space += ' ';
        facts_.color_space += transfer.empty() ? "unknown transfer" : transfer;
      }
    }
  }

  bool is_alpha(uint32_t item) {
    bool alpha = false;
    each_property(item, [&](const Mp4Box& property) {
      if (property.type != fourcc("auxC") || property.size() < 5) return;
      std::string_view urn = bytes_.some(
          property.at + 4, static_cast<size_t>(std::min<uint64_t>(64, property.size() - 4)), "auxC");
      alpha |= urn.starts_with("urn:mpeg:mpegB:cicp:systems:auxiliary:alpha") ||
               urn.starts_with("urn:mpeg:hevc:2015:auxid:1");
    });
    return alpha;
  }

  // EXIF and XMP are items that describe the picture.
  void read_remark(uint32_t id) {
    const Item* item = find_item(id);
    if (!item) return;
    for (const Extent& extent : extents_) {
      if (extent.item != id || extent.method != 0 || extent.length < 4 || extent.extents != 1) continue;
      if (extent.offset > bytes_.size() || extent.length > bytes_.size() - extent.offset) {
        add_warning(facts_.warning, "EXIF or XMP beyond the end of the file");
      } else if (item->type == fourcc("Exif")) {
        uint64_t skip = uint64_t{4} + bytes_.read_be32(extent.offset, "EXIF offset");
        if (skip < extent.length) read_exif(bytes_, extent.offset + skip, extent.length - skip, facts_);
      } else if (item->xmp) {
        facts_.has_xmp = true;
        read_xmp(bytes_, extent.offset, extent.length, facts_);
      }
    }
  }

  // The properties say how to turn the picture, whatever EXIF says: `irot` counts quarter turns against the
  // clock, `imir` mirrors after that.
  uint32_t orientation() const {
    static constexpr uint32_t kTurns[4] = {1, 8, 3, 6};
    static constexpr uint32_t kTopDown[4] = {4, 5, 2, 7};    // and mirrored: top and bottom change places
    static constexpr uint32_t kLeftRight[4] = {2, 7, 4, 5};  // left and right change places
    return mirror_ == 0 ? kTurns[rotation_] : mirror_ == 1 ? kTopDown[rotation_] : kLeftRight[rotation_];
  }

  void read_sequence() {
    VideoFacts video;
    try {
      read_mp4(bytes_, video);
    } catch (const base::CorruptError& error) {
      add_warning(facts_.warning, "sequence: " + std::string(error.what()));
    }
    if (video.frame_count)
      facts_.frame_count = static_cast<uint32_t>(std::min<int64_t>(*video.frame_count, INT32_MAX));
    facts_.frame_rate = video.fps;
    if (!facts_.resolution_x && video.resolution_x && video.resolution_y)
      set_resolution(facts_, *video.resolution_x, *video.resolution_y, 0);
    if (!facts_.bit_depth && video.bit_depth) facts_.bit_depth = video.bit_depth;
    if (!meta_) {
      facts_.compression = video.codec;
      finish();
    }
  }

  MediaBytes& bytes_;
  ImageFacts& facts_;
  bool meta_ = false, grey_ = false;
  uint32_t primary_ = 0;
  unsigned rotation_ = 0, mirror_ = 0;
  std::optional<uint32_t> codec_depth_;
  std::vector<Item> items_;
  std::vector<Mp4Box> properties_;
  std::vector<Association> associations_;
  std::vector<Reference> references_;
  std::vector<Extent> extents_;
};

}  // namespace

void read_heif(MediaBytes& bytes, ImageFacts& facts) { HeifReader(bytes, facts).read(); }

}  // namespace millrace::scan
