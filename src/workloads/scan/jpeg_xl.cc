// JPEG XL: the codestream (ISO 18181-1), whose header is a stream of bits, and its container (18181-2).
#include <cstdio>

#include "workloads/scan/image_formats.h"
#include "workloads/scan/media_color.h"
#include "workloads/scan/mp4_boxes.h"

namespace millrace::scan {
namespace {

constexpr unsigned kBoxesMax = 1024;
constexpr unsigned kExtraChannelsMax = 4096;
constexpr size_t kHeaderBytes = 4096;  // of the codestream that are kept for its header

// Bits from the least significant of each byte on.
class Bits {
 public:
  explicit Bits(std::string_view bytes) : bytes_(bytes) {}
  uint64_t take(unsigned count) {
    uint64_t value = 0;
    for (unsigned i = 0; i < count; ++i, ++at_) {
      if (at_ / 8 >= bytes_.size())
        throw base::CorruptError("truncated: the JPEG XL header ends after " + std::to_string(bytes_.size()) +
                                 " bytes");
      value |= uint64_t{u8(bytes_.data() + at_ / 8) >> (at_ % 8) & 1U} << i;
    }
    return value;
  }
  bool flag() { return take(1) != 0; }

  struct Choice {
    uint64_t base;
    unsigned bits;
  };
  // U32: two bits choose one of four.
  uint64_t number(Choice a, Choice b, Choice c, Choice d) {
    const Choice choices[4] = {a, b, c, d};
    const Choice& chosen = choices[take(2)];
    return chosen.base + take(chosen.bits);
  }
  unsigned enumeration() { return static_cast<unsigned>(number({0, 0}, {1, 0}, {2, 4}, {18, 6})); }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
};

struct Size {
  uint64_t width = 0, height = 0;
};

// Widths that are a ratio of the height take three bits.
uint64_t ratio_width(unsigned ratio, uint64_t height) {
  static constexpr uint64_t kRatios[8][2] = {{0, 1}, {1, 1},  {12, 10}, {4, 3},
                                             {3, 2}, {16, 9}, {5, 4},   {2, 1}};
  return height * kRatios[ratio][0] / kRatios[ratio][1];
}

Size read_size(Bits& bits) {
  Size size;
  bool small = bits.flag();
  auto side = [&] { return small ? 8 * (1 + bits.take(5)) : bits.number({1, 9}, {1, 13}, {1, 18}, {1, 30}); };
  size.height = side();
  unsigned ratio = static_cast<unsigned>(bits.take(3));
  size.width = ratio ? ratio_width(ratio, size.height) : side();
  return size;
}

void skip_preview(Bits& bits) {
  bool small = bits.flag();
  auto side = [&] {
    return small ? bits.number({16, 0}, {32, 0}, {1, 5}, {33, 9})
                 : bits.number({1, 6}, {65, 8}, {321, 10}, {1345, 12});
  };
  side();
  if (bits.take(3) == 0) side();
}

void read_animation(Bits& bits, ImageFacts& facts) {
  facts.animated = true;
  // Ticks per second, as a fraction: each frame lasts some of them, so this is no frame rate.
  bits.number({100, 0}, {1000, 0}, {1, 10}, {1, 30});
  bits.number({1, 0}, {1001, 0}, {1, 8}, {1, 10});
  bits.number({0, 0}, {0, 3}, {0, 16}, {0, 32});
  bits.flag();
}

struct Depth {
  unsigned bits = 8;
  bool real = false;
};

Depth read_depth(Bits& bits) {
  Depth depth;
  depth.real = bits.flag();
  if (depth.real) {
    depth.bits = static_cast<unsigned>(bits.number({32, 0}, {16, 0}, {24, 0}, {1, 6}));
    bits.take(4);
  } else {
    depth.bits = static_cast<unsigned>(bits.number({8, 0}, {10, 0}, {12, 0}, {1, 6}));
  }
  return depth;
}

// Returns the kind: 0 alpha, 1 depth, 2 spot colour …
unsigned read_extra_channel(Bits& bits) {
  if (bits.flag()) return 0;
  unsigned kind = bits.enumeration();
  read_depth(bits);
  bits.number({0, 0}, {3, 0}, {4, 0}, {1, 3});
  uint64_t name = bits.number({0, 0}, {0, 4}, {16, 5}, {48, 10});
  for (uint64_t i = 0; i < name; ++i) bits.take(8);
  if (kind == 0) bits.flag();
  if (kind == 2) bits.take(64);
  if (kind == 5) bits.number({1, 0}, {0, 2}, {3, 4}, {19, 8});
  return kind;
}

double custom_coordinate(Bits& bits) {
  uint64_t raw = bits.number({0, 19}, {524288, 19}, {1048576, 20}, {2097152, 21});
  int64_t value = raw & 1 ? -static_cast<int64_t>(raw / 2) - 1 : static_cast<int64_t>(raw / 2);
  return static_cast<double>(value) / 1e6;
}

void read_color(Bits& bits, ImageFacts& facts, bool& grey) {
  if (bits.flag()) {
    facts.color_space = "sRGB";
    return;
  }
  bool icc = bits.flag();
  unsigned space = bits.enumeration();
  grey = space == 1;
  if (icc) {
    facts.color_space =
        "ICC profile";  // compressed with the pixels' own coder: its name would take a decoder
    return;
  }
  double xy[8] = {0.640, 0.330, 0.300, 0.600, 0.150, 0.060, 0.3127, 0.3290};
  auto set = [&](size_t at, std::initializer_list<double> values) {
    for (double value : values) xy[at++] = value;
  };
  if (space != 2) {  // XYB has its own white
    unsigned white = bits.enumeration();
    if (white == 2)
      for (size_t i = 6; i < 8; ++i) xy[i] = custom_coordinate(bits);
    else if (white == 10)
      set(6, {1.0 / 3, 1.0 / 3});
    else if (white == 11)
      set(6, {0.314, 0.351});
  }
  if (space != 2 && space != 1) {
    unsigned primaries = bits.enumeration();
    if (primaries == 2)
      for (size_t i = 0; i < 6; ++i) xy[i] = custom_coordinate(bits);
    else if (primaries == 9)
      set(0, {0.708, 0.292, 0.170, 0.797, 0.131, 0.046});
    else if (primaries == 11)
      set(0, {0.680, 0.320, 0.265, 0.690, 0.150, 0.060});
  }
  std::string transfer;
  if (bits.flag()) {
    char text[32];
    std::snprintf(text, sizeof text, "gamma %.5g", static_cast<double>(bits.take(24)) / 1e7);
    transfer = text;
  } else {
    transfer = color_transfer_name(bits.enumeration());  // H.273's numbers
  }
  if (space == 2) {
    facts.color_space = "XYB";
  } else if (chromaticities_name(xy) == "BT.709" && transfer == "iec61966-2-1") {
    facts.color_space = "sRGB";
  } else {
    facts.color_space = grey ? "grey" : chromaticities_name(xy);
    if (!transfer.empty()) facts.color_space += " " + transfer;
  }
}

// ISO 18181-1 annex D: the size and the metadata of the picture.
void read_header(std::string_view stream, uint64_t at, ImageFacts& facts) {
  if (!stream.starts_with("\xFF\x0A")) corrupt("no JPEG XL codestream", at);
  Bits bits(stream.substr(2));
  Size size = read_size(bits);
  set_resolution(facts, size.width, size.height, at + 2);
  facts.animated = false;
  bool alpha = false, grey = false;
  Depth depth;
  if (bits.flag()) {  // all defaults
    facts.color_space = "sRGB";
  } else {
    if (bits.flag()) {  // extra fields
      facts.orientation = static_cast<uint32_t>(1 + bits.take(3));
      if (bits.flag()) read_size(bits);  // intrinsic size: what to show it at
      if (bits.flag()) {
        facts.embedded_thumbnail = true;
        skip_preview(bits);
      }
      if (bits.flag()) read_animation(bits, facts);
    }
    depth = read_depth(bits);
    bits.flag();  // 16 bits suffice for the buffers
    uint64_t extra = bits.number({0, 0}, {1, 0}, {2, 4}, {1, 12});
    if (extra > kExtraChannelsMax) corrupt("JPEG XL with " + std::to_string(extra) + " extra channels", at);
    for (uint64_t i = 0; i < extra; ++i) alpha |= read_extra_channel(bits) == 0;
    bits.flag();  // coded as XYB: lossy
    read_color(bits, facts, grey);
  }
  facts.bit_depth = depth.bits;
  facts.pixel_type = !depth.real ? unsigned_type(depth.bits) : depth.bits == 16 ? "half" : "float";
  facts.has_alpha = alpha;
  facts.channels = (grey ? 1U : 3U) + alpha;
  facts.color_mode = grey ? (alpha ? "LA" : "L") : alpha ? "RGBA" : "RGB";
}

std::string piece(MediaBytes& bytes, uint64_t at, uint64_t length) {
  return std::string(
      bytes.some(at, static_cast<size_t>(std::min<uint64_t>(length, kHeaderBytes)), "JPEG XL codestream"));
}

}  // namespace

void read_jpeg_xl(MediaBytes& bytes, ImageFacts& facts) {
  facts.compression = "JPEG XL";
  if (bytes.read_be16(0, "JPEG XL signature") == 0xFF0A) {
    read_header(piece(bytes, 0, bytes.size()), 0, facts);
    return;
  }
  bool found = false;
  uint64_t at = 0;
  for (unsigned boxes = 0; at < bytes.size() && bytes.size() - at >= 8; ++boxes) {
    if (boxes > kBoxesMax) throw BudgetError("more than 1024 boxes");
    Mp4Box box = read_box(bytes, at, bytes.size());
    if (at == 0 && box.type != fourcc("JXL ") && box.type != fourcc("ftyp"))
      corrupt("not a JPEG XL signature", 0);
    if (box.type == fourcc("jxlc") && !found) {
      found = true;
      read_header(piece(bytes, box.at, box.size()), box.at, facts);
    } else if (box.type == fourcc("jxlp") && !found) {  // the first of the pieces; a number stands before it
      found = true;
      if (box.size() < 4) corrupt("JPEG XL piece without a number", box.at);
      read_header(piece(bytes, box.at + 4, box.size() - 4), box.at + 4, facts);
    } else if (box.type == fourcc("jbrd")) {
      facts.compression = "JPEG XL (from JPEG)";
    } else if (box.type == fourcc("Exif") && box.size() > 4 && box.end <= bytes.size()) {
      uint64_t skip = uint64_t{4} + bytes.read_be32(box.at, "EXIF offset");
      if (skip < box.size()) read_exif(bytes, box.at + skip, box.size() - skip, facts);
    } else if (box.type == fourcc("xml ") && box.end <= bytes.size()) {
      facts.has_xmp = true;
      read_xmp(bytes, box.at, box.size(), facts);
    }
    check_end(box.end, bytes.size(), "JPEG XL box");
    at = box.end;
  }
  if (!found) corrupt("JPEG XL without a codestream, its end", bytes.size());
}

}  // namespace millrace::scan
