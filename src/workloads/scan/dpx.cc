// DPX (SMPTE ST 268-1) and its forerunner Cineon 4.5: fixed headers of either byte order.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>

#include "workloads/scan/image_formats.h"

namespace millrace::scan {
namespace {

constexpr uint32_t kUndefined = 0xFFFFFFFF;

// A header of fixed fields in the byte order that the magic number shows.
class FixedHeader {
 public:
  FixedHeader(std::string_view head, bool big) : head_(head), big_(big) {}
  unsigned byte(size_t at) const { return at < head_.size() ? u8(head_.data() + at) : 0xFF; }
  uint16_t n16(size_t at) const {
    if (at + 2 > head_.size()) return 0xFFFF;
    return big_ ? be16(head_.data() + at) : le16(head_.data() + at);
  }
  uint32_t n32(size_t at) const {
    if (at + 4 > head_.size()) return kUndefined;
    return big_ ? be32(head_.data() + at) : le32(head_.data() + at);
  }
  // Fields that nobody filled hold ones, which is a NaN.
  std::optional<double> real(size_t at) const {
    float value = std::bit_cast<float>(n32(at));
    if (!std::isfinite(value) || std::abs(value) > 1e9F || (value != 0 && std::abs(value) < 1e-9F))
      return std::nullopt;
    return value;
  }
  std::string text(size_t at, size_t size) const {
    if (at + size > head_.size() || u8(head_.data() + at) == 0xFF) return {};
    return clean_text(head_.substr(at, size), size);
  }

 private:
  std::string_view head_;
  bool big_;
};

// A rate is kept as a float: 23.976, 29.97 and the like mean n·1000/1001.
std::optional<Rational> exact_rate(std::optional<double> rate) {
  if (!rate || *rate < 0.01 || *rate > 10000) return std::nullopt;
  double whole = std::round(*rate);
  if (whole >= 1 && std::abs(*rate - whole) < 0.0005) return Rational{static_cast<int64_t>(whole), 1};
  double ntsc = std::round(*rate * 1.001);
  if (ntsc >= 1 && std::abs(*rate - ntsc * 1000 / 1001) < 0.006)
    return reduced(static_cast<int64_t>(ntsc) * 1000, 1001);
  return reduced(std::llround(*rate * 1000), 1000);
}

// "2008:01:02:03:04:05UTC" as "2008-01-02T03:04:05".
std::string dpx_date(std::string text) {
  if (text.size() < 19) return {};
  text[10] = ' ';
  return exif_date(text);
}

const char* transfer_name(unsigned code) {
  static constexpr const char* kNames[] = {
      "",          "printing density", "linear", "log", "video",    "smpte274m",    "bt709",
      "bt601 625", "bt601 525",        "NTSC",   "PAL", "Z linear", "Z homogeneous"};
  return code < std::size(kNames) ? kNames[code] : "";
}

// The names of the channels of an image element; ST 268-1 table 1.
std::string_view descriptor_mode(unsigned code, unsigned& channels) {
  struct Row {
    unsigned code, channels;
    std::string_view mode;
  };
  static constexpr Row kRows[] = {{1, 1, "L"},        {2, 1, "L"},       {3, 1, "L"},       {4, 1, "A"},
                                  {6, 1, "L"},        {7, 1, "YCbCr"},   {8, 1, "Z"},       {9, 1, "L"},
                                  {50, 3, "RGB"},     {51, 4, "RGBA"},   {52, 4, "RGBA"},   {100, 3, "YCbCr"},
                                  {101, 4, "YCbCrA"}, {102, 3, "YCbCr"}, {103, 4, "YCbCrA"}};
  for (const Row& row : kRows)
    if (row.code == code) return channels = row.channels, row.mode;
  channels = code >= 150 && code <= 156 ? code - 148 : 1;  // user-defined: 2 to 8 components
  return channels == 1 ? "L" : "multi";
}

void read_channels(const FixedHeader& header, unsigned elements, ImageFacts& facts) {
  unsigned total = 0, depth = 0;
  bool red = false, green = false, blue = false;
  std::string_view mode;
  for (unsigned i = 0; i < elements; ++i) {
    unsigned code = header.byte(780 + 72 * i + 20), channels = 0;
    mode = descriptor_mode(code, channels);
    total += channels;
    depth = std::max(depth, header.byte(780 + 72 * i + 23));
    red |= code == 1, green |= code == 2, blue |= code == 3;
    if (code == 4 || code == 51 || code == 52 || code == 101 || code == 103) facts.has_alpha = true;
  }
  // Planes of one picture, or whole pictures beside each other (stereo).
  bool pictures = elements > 1 && total > elements;
  facts.parts = pictures ? elements : 1;
  facts.channels = pictures ? total / elements : total;
  facts.bit_depth = depth;
  bool is_float = depth == 32 || depth == 64;
  facts.pixel_type = depth == 64 ? "double" : is_float ? "float" : unsigned_type(depth);
  if (elements == 1 || pictures)
    facts.color_mode = mode;
  else if (red && green && blue)
    facts.color_mode = *facts.has_alpha ? "RGBA" : "RGB";
  else
    facts.color_mode = "multi";
}

void read_windows(const FixedHeader& header, size_t offsets_at, size_t original_at, ImageFacts& facts) {
  uint32_t x = header.n32(offsets_at), y = header.n32(offsets_at + 4);
  uint32_t width = header.n32(original_at), height = header.n32(original_at + 4);
  if (x == kUndefined || x > INT32_MAX) x = 0;
  if (y == kUndefined || y > INT32_MAX) y = 0;
  facts.data_window = PixelWindow{x, y, *facts.resolution_x, *facts.resolution_y};
  bool whole = width == kUndefined || width == 0 || width > INT32_MAX || height == kUndefined ||
               height == 0 || height > INT32_MAX;
  facts.display_window =
      whole ? PixelWindow{0, 0, *facts.resolution_x, *facts.resolution_y} : PixelWindow{0, 0, width, height};
}

// The television header keeps SMPTE 12M as packed decimal digits, hours first.
void read_timecode(uint32_t code, ImageFacts& facts) {
  if (code == kUndefined) return;
  auto pair = [&](int shift, unsigned tens_mask) {
    unsigned tens = code >> (shift + 4) & tens_mask, ones = code >> shift & 15;
    return ones > 9 ? 100U : tens * 10 + ones;
  };
  unsigned hours = pair(24, 3), minutes = pair(16, 7), seconds = pair(8, 7), frames = pair(0, 3);
  if (hours > 23 || minutes > 59 || seconds > 59 || frames > 39) return;
  facts.timecode = timecode_text(hours, minutes, seconds, frames, code & 0x40);
}

void keep(std::string& fact, std::string text) {
  if (fact.empty()) fact = std::move(text);
}

}  // namespace

void read_dpx(MediaBytes& bytes, ImageFacts& facts) {
  std::string_view head = bytes.some(0, 2048, "DPX header");
  bool big = head.starts_with("SDPX");
  if (!big && !head.starts_with("XPDS")) corrupt("not a DPX signature", 0);
  if (head.size() < 1408) check_end(1408, bytes.size(), "DPX header");
  uint32_t data_at = FixedHeader(head, big).n32(4);
  FixedHeader header(head.substr(0, std::max(data_at, 1408U)), big);  // pixels are no fields
  set_resolution(facts, header.n32(772), header.n32(776), 772);
  unsigned elements = header.n16(770);
  if (elements == 0 || elements > 8) corrupt("DPX with " + std::to_string(elements) + " image elements", 770);
  facts.has_alpha = false;
  read_channels(header, elements, facts);
  facts.color_space = transfer_name(header.byte(780 + 21));
  facts.compression = header.n16(780 + 26) == 1 ? "RLE" : "none";
  if (uint16_t orientation = header.n16(768); orientation < 8) {
    static constexpr uint32_t kExif[8] = {1, 2, 4, 3, 5, 6, 8, 7};
    facts.orientation = kExif[orientation];
  }
  facts.software = header.text(160, 100);
  facts.capture_date = dpx_date(header.text(136, 24));
  facts.description = header.text(260, 200);  // project
  read_windows(header, 1408, 1424, facts);
  keep(facts.capture_date, dpx_date(header.text(1532, 24)));
  facts.camera_model = header.text(1556, 32);
  if (uint32_t x = header.n32(1628), y = header.n32(1632); x && y && x != kUndefined && y != kUndefined)
    facts.pixel_aspect = static_cast<double>(x) / y;
  facts.frame_rate = exact_rate(header.real(1724));
  if (!facts.frame_rate) facts.frame_rate = exact_rate(header.real(1940));
  read_timecode(header.n32(1920), facts);

  uint32_t pixels_at = header.n32(780 + 28);
  if (pixels_at == kUndefined || pixels_at == 0) pixels_at = data_at;
  uint64_t least = 1;
  if (facts.compression == "none" && elements == 1 && facts.color_mode != "YCbCr" &&
      facts.color_mode != "YCbCrA")
    least = packed_bytes(*facts.resolution_x, *facts.resolution_y, *facts.channels * *facts.bit_depth);
  check_end(pixels_at + least, bytes.size(), "DPX pixels");
}

void read_cineon(MediaBytes& bytes, ImageFacts& facts) {
  std::string_view head = bytes.some(0, 2048, "Cineon header");
  bool big = head.starts_with("\x80\x2A\x5F\xD7");
  if (!big && !head.starts_with("\xD7\x5F\x2A\x80")) corrupt("not a Cineon signature", 0);
  if (head.size() < 712) check_end(712, bytes.size(), "Cineon header");
  uint32_t data_at = FixedHeader(head, big).n32(4);
  FixedHeader header(head.substr(0, std::max(data_at, 712U)), big);  // pixels are no fields
  set_resolution(facts, header.n32(200), header.n32(204), 200);
  unsigned channels = header.byte(193), depth = header.byte(198);
  if (channels == 0 || channels > 8) corrupt("Cineon with " + std::to_string(channels) + " channels", 193);
  facts.channels = channels;
  facts.bit_depth = depth;
  facts.pixel_type = unsigned_type(depth);
  facts.color_mode = channels == 1 ? "L" : channels == 3 ? "RGB" : channels == 4 ? "RGBA" : "multi";
  facts.has_alpha = channels == 4;
  facts.compression = "none";
  facts.color_space = "log";
  if (unsigned orientation = header.byte(192); orientation < 8) {
    static constexpr uint32_t kExif[8] = {1, 2, 4, 3, 5, 6, 8, 7};
    facts.orientation = kExif[orientation];
  }
  std::string date = header.text(132, 12), time = header.text(144, 12);
  if (date.size() >= 10 && time.size() >= 8)
    facts.capture_date = exif_date(date.substr(0, 10) + " " + time.substr(0, 8));
  facts.description = header.text(452, 200);
  facts.camera_model = header.text(844, 64);
  facts.frame_rate = exact_rate(header.real(1072));
  uint64_t least = 1;
  if (header.byte(681) == 5 && depth == 10)  // three samples in 32 bits
    least = packed_bytes(*facts.resolution_x, *facts.resolution_y, channels * 32) / 12 * 4;
  check_end(data_at + least, bytes.size(), "Cineon pixels");
}

}  // namespace millrace::scan
