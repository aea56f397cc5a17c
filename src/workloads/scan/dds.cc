// DirectDraw Surface: textures for graphics cards, with Microsoft's DX10 header.
#include <algorithm>

#include "workloads/scan/image_formats.h"

namespace millrace::scan {
namespace {

constexpr uint32_t kCubeMap = 0x200, kVolume = 0x200000;  // caps2
constexpr uint32_t kAlphaPixels = 1, kAlpha = 2, kFourCc = 4, kRgb = 0x40, kYuv = 0x200, kLuminance = 0x20000;

constexpr uint32_t le_code(const char (&text)[5]) {
  uint32_t code = 0;
  for (int i = 3; i >= 0; --i) code = code << 8 | static_cast<unsigned char>(text[i]);
  return code;
}

// How pixels are stored: `block_bytes` for 4 x 4 pixels when compressed, else `bits` a pixel.
struct Pixels {
  uint32_t code;  // FourCC, D3DFMT or DXGI number
  const char* compression;
  unsigned channels, depth;  // depth: of the widest channel
  const char* type;
  unsigned bits;  // of one pixel
  bool srgb = false;
};

constexpr Pixels kFourCcs[] = {
    {le_code("DXT1"), "BC1", 4, 8, "uint8", 4}, {le_code("DXT2"), "BC2", 4, 8, "uint8", 8},
    {le_code("DXT3"), "BC2", 4, 8, "uint8", 8}, {le_code("DXT4"), "BC3", 4, 8, "uint8", 8},
    {le_code("DXT5"), "BC3", 4, 8, "uint8", 8}, {le_code("RXGB"), "BC3", 3, 8, "uint8", 8},
    {le_code("ATI1"), "BC4", 1, 8, "uint8", 4}, {le_code("BC4U"), "BC4", 1, 8, "uint8", 4},
    {le_code("BC4S"), "BC4", 1, 8, "int8", 4},  {le_code("ATI2"), "BC5", 2, 8, "uint8", 8},
    {le_code("BC5U"), "BC5", 2, 8, "uint8", 8}, {le_code("BC5S"), "BC5", 2, 8, "int8", 8},
    {36, "none", 4, 16, "uint16", 64},          {110, "none", 4, 16, "int16", 64},
    {111, "none", 1, 16, "half", 16},           {112, "none", 2, 16, "half", 32},
    {113, "none", 4, 16, "half", 64},           {114, "none", 1, 32, "float", 32},
    {115, "none", 2, 32, "float", 64},          {116, "none", 4, 32, "float", 128},
};

constexpr Pixels kDxgi[] = {
    {2, "none", 4, 32, "float", 128},      {3, "none", 4, 32, "uint32", 128},
    {6, "none", 3, 32, "float", 96},       {10, "none", 4, 16, "half", 64},
    {11, "none", 4, 16, "uint16", 64},     {12, "none", 4, 16, "uint16", 64},
    {13, "none", 4, 16, "int16", 64},      {16, "none", 2, 32, "float", 64},
    {24, "none", 4, 10, "uint10", 32},     {26, "none", 3, 11, "float", 32},
    {28, "none", 4, 8, "uint8", 32},       {29, "none", 4, 8, "uint8", 32, true},
    {30, "none", 4, 8, "uint8", 32},       {31, "none", 4, 8, "int8", 32},
    {34, "none", 2, 16, "half", 32},       {35, "none", 2, 16, "uint16", 32},
    {41, "none", 1, 32, "float", 32},      {42, "none", 1, 32, "uint32", 32},
    {49, "none", 2, 8, "uint8", 16},       {54, "none", 1, 16, "half", 16},
    {56, "none", 1, 16, "uint16", 16},     {61, "none", 1, 8, "uint8", 8},
    {65, "none", 1, 8, "uint8", 8},        {67, "none", 3, 9, "float", 32},
    {70, "BC1", 4, 8, "uint8", 4},         {71, "BC1", 4, 8, "uint8", 4},
    {72, "BC1", 4, 8, "uint8", 4, true},   {73, "BC2", 4, 8, "uint8", 8},
    {74, "BC2", 4, 8, "uint8", 8},         {75, "BC2", 4, 8, "uint8", 8, true},
    {76, "BC3", 4, 8, "uint8", 8},         {77, "BC3", 4, 8, "uint8", 8},
    {78, "BC3", 4, 8, "uint8", 8, true},   {79, "BC4", 1, 8, "uint8", 4},
    {80, "BC4", 1, 8, "uint8", 4},         {81, "BC4", 1, 8, "int8", 4},
    {82, "BC5", 2, 8, "uint8", 8},         {83, "BC5", 2, 8, "uint8", 8},
    {84, "BC5", 2, 8, "int8", 8},          {85, "none", 3, 6, "uint8", 16},
    {86, "none", 4, 5, "uint8", 16},       {87, "none", 4, 8, "uint8", 32},
    {88, "none", 3, 8, "uint8", 32},       {91, "none", 4, 8, "uint8", 32, true},
    {93, "none", 3, 8, "uint8", 32, true}, {94, "BC6H", 3, 16, "half", 8},
    {95, "BC6H", 3, 16, "half", 8},        {96, "BC6H", 3, 16, "half", 8},
    {97, "BC7", 4, 8, "uint8", 8},         {98, "BC7", 4, 8, "uint8", 8},
    {99, "BC7", 4, 8, "uint8", 8, true},   {115, "none", 4, 4, "uint8", 16},
};

template <size_t N>
const Pixels* find_pixels(const Pixels (&rows)[N], uint32_t code) {
  for (const Pixels& row : rows)
    if (row.code == code) return &row;
  return nullptr;
}

unsigned width_of(uint32_t mask) { return static_cast<unsigned>(__builtin_popcount(mask)); }

void describe(const Pixels& pixels, ImageFacts& facts) {
  facts.compression = pixels.compression;
  facts.channels = pixels.channels;
  facts.bit_depth = pixels.depth;
  facts.pixel_type = pixels.type;
  if (pixels.srgb) facts.color_space = "sRGB";
}

// Bytes of one picture with `levels` ever smaller copies; saturates.
uint64_t picture_bytes(uint64_t width, uint64_t height, uint64_t depth, unsigned levels, unsigned bits,
                       bool blocks) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < levels; ++i) {
    uint64_t w = blocks ? (width + 3) / 4 * 4 : width, h = blocks ? (height + 3) / 4 * 4 : height;
    sum += packed_bytes(w, h * depth, bits);
    if (sum > uint64_t{1} << 60) return uint64_t{1} << 60;
    width = std::max<uint64_t>(width / 2, 1);
    height = std::max<uint64_t>(height / 2, 1);
    depth = std::max<uint64_t>(depth / 2, 1);
  }
  return sum;
}

}  // namespace

void read_dds(MediaBytes& bytes, ImageFacts& facts) {
  const char* p = bytes.at(0, 128, "DDS header").data();
  if (std::string_view(p, 4) != "DDS ") corrupt("not a DDS signature", 0);
  if (le32(p + 4) != 124 || le32(p + 76) != 32) corrupt("DDS header of another size", 4);
  uint32_t flags = le32(p + 80), code = le32(p + 84), bits = le32(p + 88), caps2 = le32(p + 112);
  uint32_t masks[4] = {le32(p + 92), le32(p + 96), le32(p + 100), le32(p + 104)};
  uint64_t depth = caps2 & kVolume ? std::max<uint32_t>(le32(p + 24), 1) : 1;
  uint32_t levels = std::max<uint32_t>(le32(p + 28), 1);
  set_resolution(facts, le32(p + 16), le32(p + 12), 12);
  if (levels > 32) corrupt("DDS with " + std::to_string(levels) + " mip levels", 28);
  if (depth > 65536) corrupt("DDS of " + std::to_string(depth) + " slices", 24);
  facts.mip_levels = levels;
  uint64_t pictures = 1, at = 128;
  if (caps2 & kCubeMap) pictures = std::max(1, __builtin_popcount(caps2 & 0xFC00));
  const Pixels* known = nullptr;
  if (flags & kFourCc && code == le_code("DX10")) {
    const char* extra = bytes.at(128, 20, "DDS DX10 header").data();
    at = 148;
    code = le32(extra);
    if (le32(extra + 8) & 4) pictures = 6;
    uint32_t array = std::max<uint32_t>(le32(extra + 12), 1);
    if (array > 65536) corrupt("DDS array of " + std::to_string(array) + " pictures", 140);
    pictures *= array;
    known = find_pixels(kDxgi, code);
    if (!known) add_warning(facts.warning, "unknown DXGI format " + std::to_string(code));
    unsigned alpha_mode = le32(extra + 16) & 7;
    if (known) facts.has_alpha = known->channels == 4 && alpha_mode != 3;
  } else if (flags & kFourCc) {
    known = find_pixels(kFourCcs, code);
    if (!known) corrupt("unknown DDS pixel format", 84);
    facts.has_alpha = known->channels == 4 && (code != le_code("DXT1") || flags & kAlphaPixels);
  }
  facts.parts = static_cast<uint32_t>(pictures);
  if (known) {
    describe(*known, facts);
    if (!facts.has_alpha.value_or(true) && facts.channels == 4) facts.channels = 3;
  } else if (flags & (kRgb | kLuminance | kAlpha | kYuv)) {
    bool alpha = flags & (kAlphaPixels | kAlpha) && masks[3] != 0;
    unsigned colors = flags & kLuminance ? 1 : flags & (kRgb | kYuv) ? 3 : 0;
    unsigned widest =
        std::max({width_of(masks[0]), width_of(masks[1]), width_of(masks[2]), width_of(masks[3])});
    facts.channels = std::max(1U, colors + alpha);
    facts.bit_depth = widest;
    facts.pixel_type = widest > 8 ? unsigned_type(widest) : "uint8";
    facts.has_alpha = alpha;
    facts.compression = "none";
  } else if (at == 128) {
    corrupt("unknown DDS pixel format", 80);
  }
  static constexpr const char* kModes[] = {"", "L", "LA", "RGB", "RGBA"};
  if (facts.channels) facts.color_mode = kModes[*facts.channels];
  unsigned pixel_bits = known ? known->bits : bits;
  if (pixel_bits > 0 && pixel_bits <= 128) {
    bool blocks = known && known->compression[0] == 'B';
    uint64_t one = picture_bytes(*facts.resolution_x, *facts.resolution_y, depth, levels, pixel_bits, blocks);
    check_end(at + packed_bytes(one, pictures, 8), bytes.size(), "DDS pixels");
  }
}

}  // namespace millrace::scan
