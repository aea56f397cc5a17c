#include <algorithm>
#include <string>

#include "workloads/stac/item_shape.h"

namespace millrace::stac {
namespace {

// What the bands of both sensors have; some lack a common name.
constexpr std::string_view kBand =
    R"({"href":"","type":"","title":"","roles":[""],"eo:bands":[{"name":"","common_name":"",)"
    R"("center_wavelength":0.5,"full_width_half_max":0.5}]})";
constexpr std::string_view kThumbnail = R"({"href":"","type":"","title":"","roles":[""]})";

constexpr std::string_view kProperties =
    R"({"datetime":null,"start_datetime":null,"end_datetime":null,"created":null,"updated":null,)"
    R"("platform":"","instruments":[""],"eo:cloud_cover":0.5,"proj:transform":[0.5],"proj:shape":[1],)"
    R"("proj:epsg":1,"view:sun_azimuth":0.5,"view:azimuth":0.5,"sci:doi":""})";

}  // namespace

ItemShape hls_shape() {
  std::string item = R"({"properties":)" + std::string(kProperties) + R"(,"assets":{)";
  for (const auto* name : {"B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11",
                           "B12", "Fmask", "SZA", "SAA", "VZA", "VAA"})
    item += '"' + std::string(name) + "\":" + std::string(kBand) + ',';
  item += R"("thumbnail":)" + std::string(kThumbnail) + "}}";
  ItemShape shape;
  shape.add_example(item);
  return shape;
}

bool is_hls(const std::vector<std::string>& collections) {
  const auto of_version_2 = [](const std::string& name) {
    const std::string_view sensor = std::string_view(name).substr(0, 6);
    const std::string_view version = std::string_view(name).substr(sensor.size());
    return (sensor == "HLSL30" || sensor == "HLSS30") &&
           (version.empty() || version == "_2.0" || version == ".v2.0" || version == ".020" ||
            version == "_v2.0" || version == "-2.0");
  };
  return !collections.empty() && std::all_of(collections.begin(), collections.end(), of_version_2);
}

}  // namespace millrace::stac
