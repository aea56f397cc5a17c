#include "workloads/scan/media_color.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace millrace::scan {
namespace {

constexpr std::string_view kPrimaries[] = {"",          "bt709",     "",     "",       "bt470m",   "bt470bg",
                                           "smpte170m", "smpte240m", "film", "bt2020", "smpte428", "smpte431",
                                           "smpte432",  "",          "",     "",       "",         "",
                                           "",          "",          "",     "",       "ebu3213"};
constexpr std::string_view kTransfers[] = {
    "",          "bt709",     "",          "",         "bt470m",       "bt470bg", "smpte170m",
    "smpte240m", "linear",    "log100",    "log316",   "iec61966-2-4", "bt1361e", "iec61966-2-1",
    "bt2020-10", "bt2020-12", "smpte2084", "smpte428", "arib-std-b67"};
constexpr std::string_view kMatrices[] = {
    "gbr",       "bt709", "",         "",        "fcc",       "bt470bg",           "smpte170m",
    "smpte240m", "ycgco", "bt2020nc", "bt2020c", "smpte2085", "chroma-derived-nc", "chroma-derived-c",
    "ictcp"};

struct NamedChromaticities {
  std::string_view name;
  double xy[8];
};
constexpr NamedChromaticities kNamedChromaticities[] = {
    {"BT.709", {0.640, 0.330, 0.300, 0.600, 0.150, 0.060, 0.3127, 0.3290}},
    {"BT.2020", {0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290}},
    {"P3-D65", {0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290}},
    {"DCI-P3", {0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351}},
    {"ACES2065-1", {0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.0770, 0.32168, 0.33767}},
    {"ACEScg", {0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767}},
    {"Adobe RGB", {0.640, 0.330, 0.210, 0.710, 0.150, 0.060, 0.3127, 0.3290}},
    {"ProPhoto RGB", {0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001, 0.3457, 0.3585}},
    {"BT.601 NTSC", {0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290}},
    {"BT.601 PAL", {0.640, 0.330, 0.290, 0.600, 0.150, 0.060, 0.3127, 0.3290}},
    {"XYZ", {1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0 / 3, 1.0 / 3}},
};

// A textDescriptionType (version 2) or multiLocalizedUnicodeType (version 4).
std::string description_text(std::string_view tag) {
  if (tag.size() < 12) return {};
  if (tag.starts_with("desc")) {
    uint32_t length = be32(tag.data() + 8);
    return clean_text(tag.substr(12, length), 255);
  }
  if (tag.starts_with("mluc") && tag.size() >= 28) {
    uint32_t length = be32(tag.data() + 20), offset = be32(tag.data() + 24);
    if (be32(tag.data() + 8) == 0 || offset > tag.size()) return {};
    return clean_text(utf16be_text(tag.substr(offset, length)), 255);
  }
  return {};
}

constexpr uint32_t kIccTagsMax = 200;
constexpr uint32_t kIccDescriptionMax = 2048;

}  // namespace

std::string_view color_primaries_name(unsigned code) {
  return code < std::size(kPrimaries) ? kPrimaries[code] : "";
}
std::string_view color_transfer_name(unsigned code) {
  return code < std::size(kTransfers) ? kTransfers[code] : "";
}
std::string_view color_matrix_name(unsigned code) {
  return code < std::size(kMatrices) ? kMatrices[code] : "";
}

std::string chromaticities_name(const double (&xy)[8]) {
  for (const NamedChromaticities& named : kNamedChromaticities)
    if (std::equal(std::begin(xy), std::end(xy), named.xy,
                   [](double a, double b) { return std::abs(a - b) < 0.0011; }))
      return std::string(named.name);
  char text[320];
  int n = std::snprintf(text, sizeof text, "r(%.4g,%.4g) g(%.4g,%.4g) b(%.4g,%.4g) w(%.4g,%.4g)", xy[0],
                        xy[1], xy[2], xy[3], xy[4], xy[5], xy[6], xy[7]);
  return std::string(text, static_cast<size_t>(std::clamp(n, 0, static_cast<int>(sizeof text) - 1)));
}

std::string icc_profile_name(std::string_view profile) {
  if (profile.size() < 132 || profile.substr(36, 4) != "acsp") return {};
  uint32_t tags = std::min(be32(profile.data() + 128), kIccTagsMax);
  for (uint32_t i = 0; i < tags && 132 + 12 * size_t{i} + 12 <= profile.size(); ++i) {
    const char* tag = profile.data() + 132 + 12 * size_t{i};
    if (std::string_view(tag, 4) != "desc") continue;
    uint32_t offset = be32(tag + 4), length = be32(tag + 8);
    if (offset > profile.size()) return {};
    return description_text(profile.substr(offset, length));
  }
  return {};
}

std::string icc_profile_name(MediaBytes& bytes, uint64_t offset, uint64_t length) {
  if (length < 132) return {};
  // Most profiles have their description near the start: a view of what one window holds decides nearly
  // always.
  std::string_view head =
      bytes.some(offset, static_cast<size_t>(std::min<uint64_t>(length, 4096)), "ICC profile");
  if (head.size() < 132 || head.substr(36, 4) != "acsp") return {};
  uint32_t tags = std::min(be32(head.data() + 128), kIccTagsMax);
  for (uint32_t i = 0; i < tags && 132 + 12 * size_t{i} + 12 <= head.size(); ++i) {
    const char* tag = head.data() + 132 + 12 * size_t{i};
    if (std::string_view(tag, 4) != "desc") continue;
    uint64_t from = be32(tag + 4), size = be32(tag + 8);
    if (from > length) return {};
    size = std::min({size, length - from, uint64_t{kIccDescriptionMax}});
    return description_text(bytes.some(offset + from, static_cast<size_t>(size), "ICC description"));
  }
  return {};
}

}  // namespace millrace::scan
