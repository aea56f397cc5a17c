// SVG 1.1 and 2, plain or gzip: the size that the root element asks for.
#include <charconv>
#include <cmath>

#include "base/strings.h"
#include "workloads/scan/image_formats.h"
#include "workloads/scan/inflate.h"
#include "workloads/scan/xml_tags.h"

namespace millrace::scan {
namespace {

constexpr size_t kTextMax = 64 * 1024;  // in which the root element has to stand
constexpr unsigned kTagsMax = 64;       // looked at for a title

// min-x min-y width height, with blanks or commas between.
bool read_view_box(std::string text, double (&box)[4]) {
  for (char& c : text)
    if (c == ',' || c == '\t' || c == '\n' || c == '\r') c = ' ';
  size_t count = 0;
  for (std::string_view part : base::split(text, ' ')) {
    if (part.empty()) continue;
    std::optional<double> value = base::parse_number<double>(part);
    if (!value || !std::isfinite(*value) || count == 4) return false;
    box[count++] = *value;
  }
  return count == 4 && box[2] > 0 && box[3] > 0;
}

}  // namespace

std::optional<double> css_pixels(std::string_view text) {
  text = base::trim(text);
  double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value <= 0) return std::nullopt;
  std::string unit = base::to_lower(base::trim(text.substr(static_cast<size_t>(end - text.data()))));
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1},           {"px", 1},         {"pt", 96.0 / 72}, {"pc", 16}, {"in", 96},
      {"cm", 96 / 2.54}, {"mm", 96 / 25.4}, {"q", 96 / 101.6}, {"em", 16}, {"ex", 8}};
  for (auto& [name, factor] : kUnits)
    if (unit == name) return value * factor;
  return std::nullopt;
}

void read_svg(MediaBytes& bytes, ImageFacts& facts) {
  std::string text(bytes.some(0, kTextMax, "SVG"));
  if (text.starts_with("\x1F\x8B")) {
    facts.compression = "gzip";
    text = inflate_some(text, kTextMax, InflateKind::kGzip);
  }
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) corrupt("SVG in UTF-16 is not read", 0);
  XmlTags tags(text);
  bool found = false;
  while (!found && tags.next()) found = tags.local_name() == "svg";
  if (!found) corrupt("no <svg> element in the first 64 KiB", 0);
  facts.color_mode = "vector";
  facts.has_alpha = true;
  double box[4];
  bool has_box = read_view_box(tags.attribute("viewBox"), box);
  std::optional<double> width = css_pixels(tags.attribute("width")),
                        height = css_pixels(tags.attribute("height"));
  if (has_box) {  // a side that is not given follows the proportions
    if (!width && !height) width = box[2], height = box[3];
    if (!width) width = *height * box[2] / box[3];
    if (!height) height = *width * box[3] / box[2];
  }
  if (width && height && *width < 1e9 && *height < 1e9)
    set_resolution(facts, std::max<uint64_t>(1, static_cast<uint64_t>(std::llround(*width))),
                   std::max<uint64_t>(1, static_cast<uint64_t>(std::llround(*height))), 0);
  else
    add_warning(facts.warning, "the SVG says no size of its own");
  for (unsigned i = 0; i < kTagsMax && facts.description.empty() && tags.next(); ++i)
    if (tags.local_name() == "title") facts.description = clean_text(tags.content());
  // A cut somewhere in a drawing is seen at its end: the root element is closed there.
  if (facts.compression.empty()) {
    std::string_view end = base::trim(bytes.tail(256));
    if (!end.ends_with('>')) corrupt("truncated: no end of the SVG", bytes.size());
  }
}

}  // namespace millrace::scan
