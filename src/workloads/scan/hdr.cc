// Radiance pictures: a header of text lines, an empty line, the line with the size.
#include <charconv>

#include "base/strings.h"
#include "workloads/scan/image_formats.h"
#include "workloads/scan/media_color.h"

namespace millrace::scan {
namespace {

constexpr size_t kHeaderMax = 16 * 1024;
constexpr unsigned kNewRunsWidthMin = 8,
                   kNewRunsWidthMax = 32767;  // widths of scanlines with a run code per channel

std::optional<double> number(std::string_view text) { return base::parse_number<double>(base::trim(text)); }

void read_variable(std::string_view name, std::string_view value, ImageFacts& facts) {
  if (name == "FORMAT") {
    facts.color_mode = value == "32-bit_rle_xyze" ? "XYZ" : "RGB";
    if (value != "32-bit_rle_rgbe" && value != "32-bit_rle_xyze")
      add_warning(facts.warning, "unknown Radiance format '" + clean_text(value, 64) + "'");
  } else if (name == "SOFTWARE") {
    facts.software = clean_text(value, 255);
  } else if (name == "VIEW") {
    facts.description = clean_text(value);
  } else if (name == "PIXASPECT") {  // height / width of a pixel
    if (auto aspect = number(value); aspect && *aspect > 0 && *aspect < 1e6)
      facts.pixel_aspect = 1.0 / *aspect;
  } else if (name == "PRIMARIES") {
    double xy[8];
    size_t count = 0;
    for (std::string_view part : base::split(value, ' ')) {
      if (part.empty() || count == 8) continue;
      auto n = number(part);
      if (!n) return;
      xy[count++] = *n;
    }
    if (count == 8) facts.color_space = chromaticities_name(xy);
  }
}

// "-Y 512 +X 768": rows from the top; with X first the picture lies on its side.
void read_size(std::string_view line, uint64_t at, ImageFacts& facts) {
  uint32_t sizes[2] = {};
  char axes[2] = {}, signs[2] = {};
  size_t i = 0;
  for (int n = 0; n < 2; ++n) {
    while (i < line.size() && line[i] == ' ') ++i;
    if (i + 2 >= line.size()) corrupt("not a size of a Radiance picture", at);
    signs[n] = line[i];
    axes[n] = line[i + 1];
    i += 2;
    while (i < line.size() && line[i] == ' ') ++i;
    auto [end, error] = std::from_chars(line.data() + i, line.data() + line.size(), sizes[n]);
    if (error != std::errc()) corrupt("not a size of a Radiance picture", at);
    i = static_cast<size_t>(end - line.data());
  }
  bool rows = axes[0] == 'Y' && axes[1] == 'X', columns = axes[0] == 'X' && axes[1] == 'Y';
  bool signed_well = (signs[0] == '-' || signs[0] == '+') && (signs[1] == '-' || signs[1] == '+');
  if ((!rows && !columns) || !signed_well) corrupt("not a size of a Radiance picture", at);
  // EXIF's numbers for the eight ways.
  bool x_back = signs[rows ? 1 : 0] == '-', y_up = signs[rows ? 0 : 1] == '+';
  static constexpr uint32_t kRows[2][2] = {{1, 2}, {4, 3}}, kColumns[2][2] = {{5, 6}, {8, 7}};
  facts.orientation = (rows ? kRows : kColumns)[y_up][x_back];
  set_resolution(facts, sizes[1], sizes[0], at);  // pixels of a scanline, scanlines
}

// Every channel of a scanline with run codes needs at least two bytes for 127 pixels.
void check_pixels(MediaBytes& bytes, uint64_t at, const ImageFacts& facts) {
  uint64_t width = *facts.resolution_x, height = *facts.resolution_y;
  std::string_view start = bytes.some(at, 4, "Radiance pixels");
  bool runs = width >= kNewRunsWidthMin && width <= kNewRunsWidthMax && start.size() == 4 && start[0] == 2 &&
              start[1] == 2 && be16(start.data() + 2) == width;
  uint64_t least = runs ? height * (4 + 8 * ((width + 126) / 127)) : 4;
  check_end(at + least, bytes.size(), "Radiance pixels");
}

}  // namespace

void read_hdr(MediaBytes& bytes, ImageFacts& facts) {
  std::string_view head = bytes.some(0, kHeaderMax, "Radiance header");
  if (!head.starts_with("#?")) corrupt("not a Radiance signature", 0);
  facts.bit_depth = 32;  // three mantissas share an exponent: as good as float to whoever reads it
  facts.channels = 3;
  facts.pixel_type = "float";
  facts.color_mode = "RGB";
  facts.has_alpha = false;
  facts.compression = "RLE";
  size_t at = 0;
  bool variables = true;
  while (true) {
    bytes.step("Radiance header");
    size_t end = head.find('\n', at);
    if (end == std::string_view::npos) {
      if (head.size() == bytes.size()) corrupt("truncated: no end of the Radiance header", head.size());
      corrupt("Radiance header of more than 16 KiB", 0);
    }
    std::string_view line = head.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!variables) {
      read_size(line, at, facts);
      check_pixels(bytes, end + 1, facts);
      return;
    }
    if (line.empty()) {
      variables = false;
    } else if (size_t equals = line.find('='); line[0] != '#' && equals != std::string_view::npos) {
      read_variable(base::trim(line.substr(0, equals)), base::trim(line.substr(equals + 1)), facts);
    }
    at = end + 1;
  }
}

}  // namespace millrace::scan
