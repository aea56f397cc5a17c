#include <cctype>
#include <optional>

#include "workloads/scan/image_formats.h"
#include "workloads/scan/tiff_structure.h"

namespace millrace::scan {

std::string exif_date(std::string_view text) {
  // Exif 3.0 section 4.6.5: "YYYY:MM:DD HH:MM:SS", blanks or zeros when unknown.
  if (text.size() < 19) return {};
  static constexpr std::string_view kShape = "dddd:dd:dd dd:dd:dd";
  for (size_t i = 0; i < kShape.size(); ++i) {
    bool digit = text[i] >= '0' && text[i] <= '9';
    bool mark = text[i] == kShape[i] || (i < 10 && text[i] == '-') || (i == 10 && text[i] == 'T');
    if (kShape[i] == 'd' ? !digit : !mark) return {};
  }
  if (text.starts_with("0000") || text.substr(5, 2) == "00" || text.substr(8, 2) == "00") return {};
  std::string date(text.substr(0, 19));
  date[4] = date[7] = '-';
  date[10] = 'T';
  return date;
}

namespace {

struct ExifTexts {
  std::string original, digitized, offset_original, offset_digitized;
};

void keep(std::string& fact, std::string text) {
  if (fact.empty()) fact = std::move(text);
}

}  // namespace

void read_camera_directory(TiffStructure& tiff, uint64_t directory, ImageFacts& facts) try {
  ExifTexts texts;
  tiff.each_entry(directory, [&](const TiffEntry& entry) {
    switch (entry.tag) {
      case 0x9003:
        texts.original = exif_date(tiff.text(entry, 32));
        break;
      case 0x9004:
        texts.digitized = exif_date(tiff.text(entry, 32));
        break;
      case 0x9011:
        texts.offset_original = tiff.text(entry, 16);
        break;
      case 0x9012:
        texts.offset_digitized = tiff.text(entry, 16);
        break;
      case 0xA434:
        keep(facts.lens_model, tiff.text(entry, 255));
        break;
      case 0xA001:  // ColorSpace
        if (facts.color_space.empty() && entry.type == 3 && tiff.integer(entry) == 1)
          facts.color_space = "sRGB";
        break;
      default:
        break;
    }
  });
  if (!texts.original.empty())
    keep(facts.capture_date, texts.original + texts.offset_original);
  else if (!texts.digitized.empty())
    keep(facts.capture_date, texts.digitized + texts.offset_digitized);
} catch (const base::Error& error) {
  if (error.kind() != base::ErrorKind::kCorrupt) throw;
  add_warning(facts.warning, "EXIF: " + std::string(error.what()));
}

void read_exif(MediaBytes& bytes, uint64_t offset, uint64_t length, ImageFacts& facts) {
  try {
    TiffStructure tiff(bytes, offset, length);
    uint64_t camera_directory = 0;
    std::optional<double> x, y;
    uint64_t unit = 2;
    uint64_t next = tiff.each_entry(tiff.first_directory(), [&](const TiffEntry& entry) {
      switch (entry.tag) {
        case 0x010E:
          keep(facts.description, tiff.text(entry));
          break;
        case 0x010F:
          keep(facts.camera_make, tiff.text(entry, 255));
          break;
        case 0x0110:
          keep(facts.camera_model, tiff.text(entry, 255));
          break;
        case 0x0112:
          if (uint64_t value = tiff.integer(entry); value >= 1 && value <= 8 && !facts.orientation)
            facts.orientation = static_cast<uint32_t>(value);
          break;
        case 0x011A:
          x = tiff.real(entry);
          break;
        case 0x011B:
          y = tiff.real(entry);
          break;
        case 0x0128:
          unit = tiff.integer(entry);
          break;
        case 0x0131:
          keep(facts.software, tiff.text(entry, 255));
          break;
        case 0x8769:
          camera_directory = tiff.integer(entry);
          break;
        default:
          break;
      }
    });
    if (!facts.dpi_x && x && y && *x > 0 && *y > 0 && (unit == 2 || unit == 3)) {
      double per_inch = unit == 3 ? 2.54 : 1.0;
      facts.dpi_x = *x * per_inch;
      facts.dpi_y = *y * per_inch;
    }
    if (camera_directory) read_camera_directory(tiff, camera_directory, facts);
    if (next) {  // the second directory describes the thumbnail
      uint64_t preview = 0, size = 0;
      tiff.each_entry(next, [&](const TiffEntry& entry) {
        if ((entry.tag == 0x0201 || entry.tag == 0x0111) && tiff.integer(entry) != 0)
          facts.embedded_thumbnail = true;
        if (entry.tag == 0x0201) preview = tiff.integer(entry);
        if (entry.tag == 0x0202) size = tiff.integer(entry);
      });
      if (preview > 0 && size > 0 && preview <= length && size <= length - preview) {
        facts.preview_offset = offset + preview;
        facts.preview_length = size;
      }
    }
  } catch (const base::Error& error) {
    if (error.kind() != base::ErrorKind::kCorrupt) throw;
    add_warning(facts.warning, "EXIF: " + std::string(error.what()));
  }
}

}  // namespace millrace::scan
