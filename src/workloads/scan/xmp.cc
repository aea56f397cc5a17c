// XMP (ISO 16684-1): a few properties of the usual schemas, under their usual prefixes.
#include "base/strings.h"
#include "workloads/scan/image_formats.h"
#include "workloads/scan/xml_tags.h"

namespace millrace::scan {
namespace {

constexpr size_t kPacketMax = 32 * 1024;
constexpr unsigned kTagsMax = 2000;

// "2011-10-28T12:00:00.25+02:00" to the second, with its zone.
std::string xmp_date(std::string_view text) {
  text = base::trim(text);
  if (text.size() < 19) return {};
  std::string date = exif_date(text.substr(0, 19));
  if (date.empty()) return {};
  std::string_view rest = text.substr(19);
  if (rest.starts_with('.'))
    rest.remove_prefix(std::min(rest.find_first_not_of("0123456789", 1), rest.size()));
  if (rest == "Z" || (rest.size() == 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':')) date += rest;
  return date;
}

struct XmpDates {
  std::string original, created;
};

void apply(std::string_view name, std::string value, ImageFacts& facts, XmpDates& dates) {
  value = clean_text(value);
  if (value.empty()) return;
  auto keep = [&](std::string& fact) {
    if (fact.empty()) fact = value;
  };
  if (name == "tiff:Make") {
    keep(facts.camera_make);
  } else if (name == "tiff:Model") {
    keep(facts.camera_model);
  } else if (name == "tiff:Orientation") {
    if (!facts.orientation && value.size() == 1 && value[0] >= '1' && value[0] <= '8')
      facts.orientation = static_cast<uint32_t>(value[0] - '0');
  } else if (name == "xmp:CreatorTool" || name == "xap:CreatorTool") {
    keep(facts.software);
  } else if (name == "aux:Lens" || name == "exifEX:LensModel") {
    keep(facts.lens_model);
  } else if (name == "dc:description") {
    keep(facts.description);
  } else if (name == "photoshop:ICCProfile") {
    keep(facts.color_space);
  } else if (name == "exif:DateTimeOriginal" || name == "photoshop:DateCreated") {
    if (dates.original.empty()) dates.original = xmp_date(value);
  } else if (name == "xmp:CreateDate" || name == "xap:CreateDate") {
    if (dates.created.empty()) dates.created = xmp_date(value);
  }
}

}  // namespace

void read_xmp(MediaBytes& bytes, uint64_t offset, uint64_t length, ImageFacts& facts) {
  std::string packet(bytes.some(offset, static_cast<size_t>(std::min<uint64_t>(length, kPacketMax)), "XMP"));
  static constexpr std::string_view kNames[] = {"tiff:Make",
                                                "tiff:Model",
                                                "tiff:Orientation",
                                                "xmp:CreatorTool",
                                                "xap:CreatorTool",
                                                "aux:Lens",
                                                "exifEX:LensModel",
                                                "photoshop:ICCProfile",
                                                "exif:DateTimeOriginal",
                                                "photoshop:DateCreated",
                                                "xmp:CreateDate",
                                                "xap:CreateDate"};
  XmpDates dates;
  XmlTags tags(packet);
  std::string_view property;  // the last element that is one: lists of alternatives stand inside
  for (unsigned i = 0; i < kTagsMax && tags.next(); ++i) {
    if (tags.name() == "rdf:Description") {  // properties may be its attributes
      for (std::string_view name : kNames) apply(name, tags.attribute(name), facts, dates);
    } else if (tags.name() == "rdf:li") {
      if (property == "dc:description") apply(property, tags.content(), facts, dates);
    } else if (!tags.name().starts_with("rdf:")) {
      property = tags.name();
      apply(property, tags.content(), facts, dates);
    }
  }
  if (facts.capture_date.empty())
    facts.capture_date = dates.original.empty() ? dates.created : dates.original;
}

}  // namespace millrace::scan
