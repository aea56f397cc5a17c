// JPEG 2000: the codestream (T.800 annex A) and the JP2 and JPX boxes around it (annex I, T.801 annex M).
#include "workloads/scan/image_formats.h"
#include "workloads/scan/media_color.h"
#include "workloads/scan/mp4_boxes.h"

namespace millrace::scan {
namespace {

constexpr unsigned kBoxesMax = 256;
constexpr unsigned kSegmentsMax = 64;  // of the main header

struct Jp2State {
  bool stream = false, palette = false, alpha = false;
};

// A byte of precision minus one, with the sign on top.
void set_depth(unsigned code, ImageFacts& facts) {
  unsigned bits = (code & 0x7F) + 1U;
  facts.bit_depth = std::max(bits, facts.bit_depth.value_or(0));
  facts.pixel_type = (code & 0x80 ? "int" : "uint") + std::to_string(*facts.bit_depth);
}

void read_siz(MediaBytes& bytes, uint64_t at, unsigned length, ImageFacts& facts) {
  if (length < 38) corrupt("JPEG 2000 size segment of " + std::to_string(length) + " bytes", at);
  const char* p = bytes.at(at, 36, "JPEG 2000 size").data();
  uint64_t x1 = be32(p + 2), y1 = be32(p + 6), x0 = be32(p + 10), y0 = be32(p + 14);
  uint64_t tile_x = be32(p + 18), tile_y = be32(p + 22);
  unsigned capabilities = be16(p), components = be16(p + 34);
  if (x0 >= x1 || y0 >= y1) corrupt("JPEG 2000 picture without an area", at + 2);
  set_resolution(facts, x1 - x0, y1 - y0, at + 2);
  if (components == 0 || components > 16384 || length < 38 + 3 * components)
    corrupt("JPEG 2000 with " + std::to_string(components) + " components", at + 34);
  if (tile_x == 0 || tile_y == 0) corrupt("JPEG 2000 tiles without an area", at + 18);
  facts.channels = components;
  facts.tiled = tile_x < x1 - x0 || tile_y < y1 - y0;
  facts.bit_depth.reset();
  std::string_view sizes = bytes.at(at + 36, 3 * size_t{std::min(components, 64U)}, "JPEG 2000 components");
  for (size_t i = 0; i < sizes.size(); i += 3) set_depth(u8(sizes.data() + i), facts);
  if (capabilities & 0x4000) facts.compression = "HTJ2K";  // T.814
}

// The segments from SOC to the first tile.
void read_codestream(MediaBytes& bytes, uint64_t start, uint64_t end, ImageFacts& facts) {
  if (bytes.read_be32(start, "JPEG 2000 codestream") != 0xFF4FFF51) corrupt("no JPEG 2000 codestream", start);
  facts.compression = "JPEG 2000";
  uint64_t at = start + 2;
  for (unsigned i = 0; i < kSegmentsMax; ++i) {
    unsigned marker = bytes.read_be16(at, "JPEG 2000 segment");
    if (marker == 0xFF90) {  // a tile: the header is over
      check_end(at + 12, bytes.size(), "JPEG 2000 tile");
      break;
    }
    unsigned length = bytes.read_be16(at + 2, "JPEG 2000 segment");
    if (marker < 0xFF30 || length < 2) corrupt("not a JPEG 2000 segment", at);
    check_end(at + 2 + length, bytes.size(), "JPEG 2000 segment");
    if (marker == 0xFF51) {
      read_siz(bytes, at + 4, length, facts);
    } else if (marker == 0xFF52 && length >= 12) {
      std::string_view style = bytes.at(at + 4, 10, "JPEG 2000 coding style");
      facts.mip_levels =
          std::min(u8(style.data() + 5), uint8_t{32}) + 1U;  // every decomposition is a smaller copy
      if (facts.compression == "JPEG 2000" && u8(style.data() + 9) == 1)
        facts.compression = "JPEG 2000 lossless";
    } else if (marker == 0xFF64 && length > 4 && facts.description.empty()) {
      if (bytes.read_be16(at + 4, "JPEG 2000 comment") == 1)
        facts.description = clean_text(bytes.at(at + 6, std::min(length - 4, 1024U), "JPEG 2000 comment"));
    }
    at += 2 + length;
  }
  if (end == bytes.size() && bytes.tail(2) != "\xFF\xD9") {
    // Padding after the end of the codestream is common; anything else is not the end.
    std::string_view rest = bytes.tail(static_cast<size_t>(std::min<uint64_t>(1024, end - start)));
    if (rest.find("\xFF\xD9") == std::string_view::npos)
      corrupt("truncated: no JPEG 2000 end marker", bytes.size());
  }
}

void read_color(MediaBytes& bytes, const Mp4Box& box, ImageFacts& facts) {
  if (box.size() < 3 || !facts.color_space.empty()) return;
  unsigned method = bytes.read_u8(box.at, "JP2 colour");
  if (method == 1 && box.size() >= 7) {
    switch (bytes.read_be32(box.at + 3, "JP2 colour")) {
      case 12:
        facts.color_mode = "CMYK";
        break;
      case 16:
        facts.color_space = "sRGB";
        break;
      case 17:
        facts.color_space = "sRGB grey";
        break;
      case 18:
        facts.color_space = "sYCC";
        break;
      case 20:
        facts.color_space = "e-sRGB";
        break;
      case 21:
        facts.color_space = "ROMM-RGB";
        break;
      default:
        break;
    }
  } else if (method == 2 || method == 3) {
    facts.color_space = icc_profile_name(bytes, box.at + 3, box.size() - 3);
  }
}

// Channel definitions: kind 1 and 2 are opacity.
void read_definitions(MediaBytes& bytes, const Mp4Box& box, Jp2State& state) {
  unsigned count = bytes.read_be16(box.at, "JP2 channels");
  for (unsigned i = 0; i < std::min(count, 64U) && 2 + 6 * uint64_t{i} + 6 <= box.size(); ++i) {
    unsigned kind = bytes.read_be16(box.at + 2 + 6 * uint64_t{i} + 2, "JP2 channels");
    if (kind == 1 || kind == 2) state.alpha = true;
  }
}

// Samples per metre as a fraction and a power of ten; y first.
void read_resolution(MediaBytes& bytes, const Mp4Box& box, ImageFacts& facts) {
  if (box.size() < 10) return;
  const char* p = bytes.at(box.at, 10, "JP2 resolution").data();
  auto per_inch = [&](const char* fraction, const char* power) -> std::optional<double> {
    int exponent = static_cast<int8_t>(u8(power));
    if (be16(fraction) == 0 || be16(fraction + 2) == 0 || exponent < -9 || exponent > 9) return std::nullopt;
    double value = static_cast<double>(be16(fraction)) / be16(fraction + 2) * 0.0254;
    for (int i = 0; i < exponent; ++i) value *= 10;
    for (int i = 0; i > exponent; --i) value /= 10;
    return value;
  };
  facts.dpi_y = per_inch(p, p + 8);
  facts.dpi_x = per_inch(p + 4, p + 9);
}

void read_header_box(MediaBytes& bytes, const Mp4Box& header, ImageFacts& facts, Jp2State& state) {
  each_box(bytes, header.at, header.end, [&](const Mp4Box& box) {
    switch (box.type) {
      case fourcc("ihdr"):
        if (box.size() >= 14) {
          const char* p = bytes.at(box.at, 14, "JP2 header").data();
          set_resolution(facts, be32(p + 4), be32(p), box.at);
          facts.channels = be16(p + 8);
          if (u8(p + 10) != 0xFF) set_depth(u8(p + 10), facts);
        }
        break;
      case fourcc("colr"):
        read_color(bytes, box, facts);
        break;
      case fourcc("pclr"):
        state.palette = true;
        break;
      case fourcc("cdef"):
        if (box.size() >= 2) read_definitions(bytes, box, state);
        break;
      case fourcc("res "):
        each_box(bytes, box.at, box.end, [&](const Mp4Box& resolution) {
          if (resolution.type == fourcc("resc") || (resolution.type == fourcc("resd") && !facts.dpi_x))
            read_resolution(bytes, resolution, facts);
        });
        break;
      default:
        break;
    }
  });
}

void read_uuid(MediaBytes& bytes, const Mp4Box& box, ImageFacts& facts) {
  if (box.size() < 16) return;
  std::string id(bytes.at(box.at, 16, "JP2 uuid"));
  if (id == "\xBE\x7A\xCF\xCB\x97\xA9\x42\xE8\x9C\x71\x99\x94\x91\xE3\xAF\xAC") {
    facts.has_xmp = true;
    read_xmp(bytes, box.at + 16, box.size() - 16, facts);
  } else if (id == "JpgTiffExif->JP2") {
    read_exif(bytes, box.at + 16, box.size() - 16, facts);
  }
}

void name_mode(const Jp2State& state, ImageFacts& facts) {
  if (!facts.channels) return;
  unsigned channels = *facts.channels;
  facts.has_alpha = state.alpha;
  if (state.palette)
    facts.color_mode = "P";
  else if (facts.color_mode == "CMYK")
    return;
  else if (channels <= 2)
    facts.color_mode = state.alpha ? "LA" : "L";
  else
    facts.color_mode = state.alpha ? "RGBA" : channels == 3 ? "RGB" : "multi";
}

}  // namespace

void read_jpeg2000(MediaBytes& bytes, ImageFacts& facts) {
  if (bytes.some(0, 4, "signature") == "\xFF\x4F\xFF\x51") {
    Jp2State plain;
    read_codestream(bytes, 0, bytes.size(), facts);
    plain.alpha = facts.channels == 2 || facts.channels == 4;
    name_mode(plain, facts);
    return;
  }
  Jp2State state;
  uint64_t at = 0;
  for (unsigned boxes = 0; at < bytes.size() && bytes.size() - at >= 8; ++boxes) {
    if (boxes > kBoxesMax) throw BudgetError("more than 256 boxes");
    Mp4Box box = read_box(bytes, at, bytes.size());
    if (at == 0 && box.type != fourcc("jP  ") && box.type != fourcc("ftyp"))
      corrupt("not a JP2 signature", 0);
    if (box.type == fourcc("jp2h")) {
      read_header_box(bytes, box, facts, state);
      name_mode(state, facts);
    } else if (box.type == fourcc("jp2c") && !state.stream) {
      state.stream = true;
      read_codestream(bytes, box.at, box.end, facts);
      name_mode(state, facts);
    } else if (box.type == fourcc("uuid")) {
      read_uuid(bytes, box, facts);
    } else if (box.type == fourcc("xml ")) {
      read_xmp(bytes, box.at, std::min(box.size(), bytes.size() - std::min(box.at, bytes.size())), facts);
    }
    check_end(box.end, bytes.size(), "JP2 box");
    at = box.end;
  }
  if (!state.stream) corrupt("JP2 without a codestream, its end", bytes.size());
}

}  // namespace millrace::scan
