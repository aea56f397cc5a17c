// Items like those of HLS: 19 assets, 7.8 kB of JSON, tiles all over the land of a made-up world.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <random>
#include <string>
#include <string_view>

#include "base/time.h"

namespace millrace::stac {

class MadeHls {
 public:
  explicit MadeHls(unsigned seed) : random_(seed) {}

  // `out` is replaced. `month_begin`: milliseconds since the epoch.
  void make(uint64_t number, base::TimeMs month_begin, std::string& out) {
    const bool sentinel = random_() % 5 < 3;
    const auto& bands = sentinel ? kSentinel : kLandsat;
    const double x = coordinate(-180, 178), y = coordinate(-60, 75);
    const auto at = month_begin + static_cast<base::TimeMs>(random_() % (30ull * 86'400'000));
    const std::string second = base::iso8601(at).substr(0, 19);
    const std::string time = fmt::format("{}.{:06}Z", second, random_() % 1'000'000);
    const std::string_view sensor = sentinel ? "S30" : "L30";
    const std::string tile =
        fmt::format("T{:02}{}{}{}", 1 + static_cast<int>((x + 180) / 6), letter(), letter(), letter());
    const base::Civil civil = base::to_civil(at);
    const auto day = base::days_from_civil(civil.year, civil.month, civil.day) -
                     base::days_from_civil(civil.year, 1, 1) + 1;
    const std::string id = fmt::format("HLS.{}.{}.{}{:03}T{:02}{:02}{:02}.{}.v2.0", sensor, tile, civil.year,
                                       day, civil.hour, civil.minute, civil.second, number);
    const std::string product = fmt::format("HLS{}.020", sensor);
    const std::string shut = fmt::format(
        "https://data.lpdaac.earthdatacloud.nasa.gov/lp-prod-protected/{0}/{1}/{1}.", product, id);
    const std::string open =
        fmt::format("https://data.lpdaac.earthdatacloud.nasa.gov/lp-prod-public/{0}/{1}/{1}", product, id);
    out = fmt::format(
        R"({{"type":"Feature","stac_version":"1.0.0","id":"{}","properties":{{"start_datetime":"{}","end_datetime":"{}",)"
        R"("platform":"{}","instruments":["{}"],"eo:cloud_cover":{:.1f},)"
        R"("proj:transform":[30.0,0.0,{}.0,0.0,-30.0,{}.0,0.0,0.0,1.0],"proj:shape":[3660,3660],"proj:epsg":{},)"
        R"("view:sun_azimuth":{:.8f},"view:azimuth":{:.7f},"sci:doi":"10.5067/HLS/HLS{}.002","datetime":"{}"}},)",
        id, time, time, sentinel ? "sentinel-2b" : "landsat-8", sentinel ? "msi" : "oli", coordinate(0, 100),
        399960 + 30 * (random_() % 10'000), 1'000'000 + 30 * (random_() % 200'000), 32601 + random_() % 60,
        coordinate(0, 360), coordinate(0, 360), sensor, time);
    std::array<std::array<double, 2>, 6> ring;
    double west = 180, south = 90, east = -180, north = -90;
    for (size_t i = 0; i < ring.size(); ++i) {
      const double angle = 6.28318 * static_cast<double>(i) / static_cast<double>(ring.size());
      ring[i] = {x + 0.9 + 0.8 * std::cos(angle) + coordinate(0, 0.1),
                 y + 0.5 + 0.45 * std::sin(angle) + coordinate(0, 0.05)};
      west = std::min(west, ring[i][0]), east = std::max(east, ring[i][0]);
      south = std::min(south, ring[i][1]), north = std::max(north, ring[i][1]);
    }
    out += R"("geometry":{"type":"MultiPolygon","coordinates":[[[)";
    for (size_t i = 0; i <= ring.size(); ++i)
      out +=
          fmt::format("{}[{:.6f},{:.6f}]", i ? "," : "", ring[i % ring.size()][0], ring[i % ring.size()][1]);
    out += fmt::format(R"(]]]}},"links":[{{"rel":"self","href":"{}_stac.json","type":"application/json"}},)"
                       R"({{"rel":"cite-as","href":"https://doi.org/10.5067/HLS/HLS{}.002"}}],"assets":{{)",
                       open, sensor);
    for (const auto& band : bands) {
      out += fmt::format(
          R"("{0}":{{"href":"{1}{0}.tif","type":"image/tiff; application=geotiff; profile=cloud-optimized",)"
          R"("eo:bands":[{{"name":"{0}")",
          band.name, shut);
      if (!band.common.empty()) out += fmt::format(R"(,"common_name":"{}")", band.common);
      if (band.center > 0)
        out += fmt::format(R"(,"center_wavelength":{},"full_width_half_max":{})", band.center, band.width);
      out += R"(}],"roles":["data"]},)";
    }
    out += fmt::format(
        R"("thumbnail":{{"href":"{}.jpg","type":"image/jpeg","roles":["thumbnail"]}}}},"bbox":[{:.6f},{:.6f},{:.6f},{:.6f}],)"
        R"("stac_extensions":["https://stac-extensions.github.io/eo/v1.0.0/schema.json",)"
        R"("https://stac-extensions.github.io/projection/v1.0.0/schema.json",)"
        R"("https://stac-extensions.github.io/view/v1.0.0/schema.json",)"
        R"("https://stac-extensions.github.io/scientific/v1.0.0/schema.json"],"collection":"HLS{}_2.0"}})",
        open, west, south, east, north, sensor);
  }

 private:
  struct Band {
    std::string_view name, common;
    double center, width;
  };
  using Bands = std::array<Band, 18>;
  static constexpr Bands kSentinel = {{{"B01", "coastal", 0.4439, 0.027},
                                       {"B02", "blue", 0.4966, 0.098},
                                       {"B03", "green", 0.56, 0.045},
                                       {"B04", "red", 0.6645, 0.038},
                                       {"B05", "", 0.7039, 0.019},
                                       {"B06", "", 0.7402, 0.018},
                                       {"B07", "", 0.7825, 0.028},
                                       {"B08", "nir", 0.8351, 0.145},
                                       {"B8A", "", 0.8648, 0.033},
                                       {"B09", "", 0.945, 0.026},
                                       {"B10", "cirrus", 1.3735, 0.075},
                                       {"B11", "swir16", 1.6137, 0.143},
                                       {"B12", "swir22", 2.22024, 0.242},
                                       {"Fmask", "", 0, 0},
                                       {"SZA", "", 0, 0},
                                       {"SAA", "", 0, 0},
                                       {"VZA", "", 0, 0},
                                       {"VAA", "", 0, 0}}};
  // As many as Sentinel's, to keep the size.
  static constexpr Bands kLandsat = {{{"B01", "coastal", 0.443, 0.02},
                                      {"B02", "blue", 0.482, 0.06},
                                      {"B03", "green", 0.561, 0.06},
                                      {"B04", "red", 0.655, 0.04},
                                      {"B05", "nir", 0.865, 0.03},
                                      {"B06", "swir16", 1.609, 0.09},
                                      {"B07", "swir22", 2.201, 0.19},
                                      {"B08", "nir", 0.8351, 0.145},
                                      {"B8A", "", 0.8648, 0.033},
                                      {"B09", "cirrus", 1.373, 0.02},
                                      {"B10", "lwir11", 10.9, 0.59},
                                      {"B11", "lwir12", 12.0, 1.01},
                                      {"B12", "swir22", 2.22, 0.242},
                                      {"Fmask", "", 0, 0},
                                      {"SZA", "", 0, 0},
                                      {"SAA", "", 0, 0},
                                      {"VZA", "", 0, 0},
                                      {"VAA", "", 0, 0}}};

  double coordinate(double from, double to) {
    return from + (to - from) * (static_cast<double>(random_()) / 4294967296.0);
  }
  char letter() { return static_cast<char>('A' + random_() % 26); }

  std::mt19937 random_;
};

}  // namespace millrace::stac
