// Pictures that are zip archives with an XML description inside: Krita, OpenRaster, OpenDocument drawings.
#include <cmath>

#include "base/strings.h"
#include "workloads/scan/image_formats.h"
#include "workloads/scan/xml_tags.h"
#include "workloads/scan/zip_directory.h"

namespace millrace::scan {
namespace {

constexpr size_t kDescriptionMax = 512 << 10;  // of XML that is looked at
constexpr unsigned kTagsMax = 100'000;

std::string read_member(ZipDirectory& zip, std::string_view name) {
  const ZipMember* member = zip.find(name);
  if (!member) throw base::CorruptError("no '" + std::string(name) + "' in the archive");
  return zip.read(*member, kDescriptionMax);
}

uint64_t whole(const std::string& text) { return base::parse_number<uint64_t>(base::trim(text)).value_or(0); }

void set_dpi(const std::string& x, const std::string& y, ImageFacts& facts) {
  auto a = base::parse_number<double>(base::trim(x)), b = base::parse_number<double>(base::trim(y));
  if (!a || !b || !std::isfinite(*a) || !std::isfinite(*b) || *a <= 0 || *b <= 0 || *a > 1e6 || *b > 1e6)
    return;
  facts.dpi_x = a;
  facts.dpi_y = b;
}

// Krita's names: the model, its width (none for 8 bits), perhaps with an A for alpha that is always there.
void name_krita_pixels(std::string_view space, ImageFacts& facts) {
  static constexpr struct {
    std::string_view prefix, mode;
    unsigned channels;
  } kModels[] = {{"RGBA", "RGBA", 4}, {"GRAYA", "LA", 2}, {"CMYKA", "CMYK", 5},   {"CMYK", "CMYK", 5},
                 {"LABA", "LAB", 4},  {"XYZA", "XYZ", 4}, {"YCBCRA", "YCbCr", 4}, {"YCbCrA", "YCbCr", 4},
                 {"GRAYA", "LA", 2},  {"A", "L", 1}};
  for (const auto& model : kModels) {
    if (!space.starts_with(model.prefix)) continue;
    std::string_view width = space.substr(model.prefix.size());
    facts.color_mode = model.mode;
    facts.channels = model.channels;
    facts.has_alpha = true;
    facts.bit_depth = width.ends_with("32") ? 32U : width.ends_with("16") ? 16U : 8U;
    facts.pixel_type = width == "F16" ? "half" : width == "F32" ? "float" : unsigned_type(*facts.bit_depth);
    return;
  }
  if (space == "LAB" || space == "LABA") facts.color_mode = "LAB";
}

}  // namespace

void read_kra(MediaBytes& bytes, ImageFacts& facts) {
  ZipDirectory zip(bytes);
  facts.compression = "LZF";
  facts.embedded_thumbnail = zip.find("preview.png") != nullptr;
  std::string text = read_member(zip, "maindoc.xml");
  XmlTags tags(text);
  uint32_t layers = 0;
  for (unsigned i = 0; i < kTagsMax && tags.next(); ++i) {
    std::string_view name = tags.local_name();
    if (name == "DOC") {
      std::string version = tags.attribute("kritaVersion");
      facts.software = clean_text(version.empty() ? "Krita" : "Krita " + version, 255);
    } else if (name == "IMAGE" && !facts.resolution_x) {
      set_resolution(facts, whole(tags.attribute("width")), whole(tags.attribute("height")), 0);
      name_krita_pixels(tags.attribute("colorspacename"), facts);
      facts.color_space = clean_text(tags.attribute("profile"), 255);
      facts.description = clean_text(tags.attribute("description"));
      set_dpi(tags.attribute("x-res"), tags.attribute("y-res"), facts);
    } else if (name == "layer") {
      ++layers;
    } else if (name == "framerate" && !facts.frame_rate) {
      if (uint64_t rate = whole(tags.attribute("value")); rate > 0 && rate <= 10'000)
        facts.frame_rate = Rational{static_cast<int64_t>(rate), 1};
    }
  }
  if (!facts.resolution_x) throw base::CorruptError("no <IMAGE> in the Krita document");
  facts.parts = layers;
}

void read_ora(MediaBytes& bytes, ImageFacts& facts) {
  ZipDirectory zip(bytes);
  facts.compression = "PNG";
  facts.embedded_thumbnail = zip.find("Thumbnails/thumbnail.png") != nullptr;
  std::string text = read_member(zip, "stack.xml");
  XmlTags tags(text);
  uint32_t layers = 0;
  for (unsigned i = 0; i < kTagsMax && tags.next(); ++i) {
    if (tags.local_name() == "image" && !facts.resolution_x) {
      set_resolution(facts, whole(tags.attribute("w")), whole(tags.attribute("h")), 0);
      set_dpi(tags.attribute("xres"), tags.attribute("yres"), facts);
      facts.color_mode = "RGBA";
      facts.channels = 4;
      facts.has_alpha = true;
    } else if (tags.local_name() == "layer") {
      ++layers;
    }
  }
  if (!facts.resolution_x) throw base::CorruptError("no <image> in the OpenRaster stack");
  facts.parts = layers;
}

// The first page says by its master which page layout it has (OpenDocument 1.3 part 3, sections 16.5
// and 16.9).
void read_odg(MediaBytes& bytes, ImageFacts& facts) {
  ZipDirectory zip(bytes);
  facts.color_mode = "vector";
  facts.has_alpha = true;
  facts.compression = "deflate";
  facts.embedded_thumbnail = zip.find("Thumbnails/thumbnail.png") != nullptr;
  std::string master;
  std::string content = read_member(zip, "content.xml");
  XmlTags pages(content);
  uint32_t count = 0;
  for (unsigned i = 0; i < kTagsMax && pages.next(); ++i) {
    if (pages.name() != "draw:page") continue;
    if (count++ == 0) master = pages.attribute("draw:master-page-name");
  }
  if (content.size() < kDescriptionMax) facts.parts = count;
  if (zip.find("meta.xml")) {
    std::string meta = read_member(zip, "meta.xml");
    XmlTags remarks(meta);
    for (unsigned i = 0; i < kTagsMax && remarks.next(); ++i) {
      if (remarks.name() == "meta:generator") facts.software = clean_text(remarks.content(), 255);
      if (remarks.name() == "dc:title") facts.description = clean_text(remarks.content());
    }
  }
  std::string styles = read_member(zip, "styles.xml");
  std::string layout;
  XmlTags masters(styles);
  for (unsigned i = 0; i < kTagsMax && layout.empty() && masters.next(); ++i)
    if (masters.name() == "style:master-page" &&
        (master.empty() || masters.attribute("style:name") == master))
      layout = masters.attribute("style:page-layout-name");
  XmlTags layouts(styles);
  bool wanted = false;
  for (unsigned i = 0; i < kTagsMax && !facts.resolution_x && layouts.next(); ++i) {
    if (layouts.name() == "style:page-layout")
      wanted = layout.empty() || layouts.attribute("style:name") == layout;
    if (layouts.name() != "style:page-layout-properties" || !wanted) continue;
    auto width = css_pixels(layouts.attribute("fo:page-width")),
         height = css_pixels(layouts.attribute("fo:page-height"));
    if (width && height && *width < 1e9 && *height < 1e9)
      set_resolution(facts, std::max<uint64_t>(1, static_cast<uint64_t>(std::llround(*width))),
                     std::max<uint64_t>(1, static_cast<uint64_t>(std::llround(*height))), 0);
  }
  if (!facts.resolution_x) add_warning(facts.warning, "the drawing says no page size");
}

}  // namespace millrace::scan
