// Serves a month of made-up granules and their items as fast as it can, for bench/stac/fetch: CMR's granule
// search and one STAC item of about 7.8 kB for each link. Item 0 of the month is missing, so that no file is
// written: what is measured is the fetch. Prints its port; ends with its standard input.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/strings.h"
#include "base/url.h"
#include "http/server.h"

namespace {

using namespace millrace;

constexpr int kBands = 17;
constexpr size_t kDays = 30;

std::string name_of(size_t i) { return fmt::format("HLS.S30.T35VLJ.2024153T1005{:08}.v2.0", i); }

std::string item_text(const std::string& name) {
  std::string text = fmt::format(
      R"({{"type": "Feature", "stac_version": "1.0.0", "id": "{}", "properties": {{"datetime": "2024-06-01T10:05:59.072460Z", )"
      R"("platform": "sentinel-2b", "instruments": ["msi"], "eo:cloud_cover": 18.0, "proj:epsg": 32635, )"
      R"("proj:transform": [30.0, 0.0, 499980.0, 0.0, -30.0, 8000040.0, 0.0, 0.0, 1.0], "proj:shape": [3660, 3660], )"
      R"("view:sun_azimuth": 187.71039035, "view:azimuth": 296.0704673, "sci:doi": "10.5067/HLS/HLSS30.002"}}, )"
      R"("geometry": {{"type": "MultiPolygon", "coordinates": [[[[24.1, 59.4], [25.1, 59.4], [25.1, 60.4], [24.1, 60.4], [24.1, 59.4]]]]}}, )"
      R"("bbox": [24.1, 59.4, 25.1, 60.4], "links": [], "assets": {{)",
      name);
  for (int band = 0; band < kBands; ++band)
    text += fmt::format(
        R"({}"B{:02}": {{"href": "https://data.example.org/lp-prod-protected/HLSS30.020/{}/{}.B{:02}.tif", )"
        R"("type": "image/tiff; application=geotiff; profile=cloud-optimized", "eo:bands": [{{"name": "B{:02}", "common_name": "coastal", )"
        R"("center_wavelength": 0.4439, "full_width_half_max": 0.027}}], "title": "a band of the surface reflectance", "roles": ["data"]}})",
        band ? ", " : "", band, name, name, band, band);
  return text + "}}";
}

class Catalogue final : public http::RequestHandler {
 public:
  explicit Catalogue(size_t items) : per_day_((items + kDays - 1) / kDays), item_(item_text(name_of(0))) {
    for (size_t at = item_.find(name_of(0)); at != std::string::npos; at = item_.find(name_of(0), at + 1))
      names_.push_back(at);
  }
  void listens_on(uint16_t port) { url_ = fmt::format("http://127.0.0.1:{}", port); }

  std::unique_ptr<http::BodySink> open(const http::RequestHead&) override { return nullptr; }
  http::Response failed(const http::RequestHead&, std::exception_ptr) override {
    http::Response response;
    response.status = 500;
    return response;
  }
  void handle(http::Request request, http::Respond respond) override {
    http::Response response;
    response.headers.add("Content-Type", "application/json");
    if (request.head.path == "/search/granules.json")
      granules(request.head, response);
    else
      item(request.head.path, response);
    respond(std::move(response));
  }

 private:
  void granules(const http::RequestHead& head, http::Response& response) const {
    std::string window;
    for (const auto& [name, value] : base::parse_query(head.query))
      if (name == "temporal[]") window = value;
    size_t day = std::strtoul(window.substr(8, 2).c_str(), nullptr, 10) - 1;
    size_t at = std::strtoul(std::string(head.headers.get("CMR-Search-After")).c_str(), nullptr, 10);
    size_t end = std::min(at + 2000, per_day_);
    std::string& text = response.body = R"({"feed":{"entry":[)";
    for (size_t i = at; i < end; ++i) {
      std::string name = name_of(day * per_day_ + i);
      text += fmt::format(
          R"({}{{"id":"G{}-LPCLOUD","title":"{}","time_start":"{}T10:05:59.072Z","updated":"2024-06-03T00:00:00.000Z","links":[)",
          i > at ? "," : "", day * per_day_ + i, name, window.substr(0, 10));
      // About as many others as there are in CMR's answers.
      for (int link = 0; link < 40; ++link)
        text += fmt::format(
            R"({{"rel":"http://esipfed.org/ns/fedsearch/1.1/data#","title":"Download {}.B{:02}.tif","hreflang":"en-US",)"
            R"("href":"https://data.example.org/lp-prod-protected/HLSS30.020/{}/{}.B{:02}.tif"}},)",
            name, link, name, name, link);
      text +=
          fmt::format(R"({{"rel":"metadata#","href":"{}/HLSS30.020/{}/{}_stac.json"}}]}})", url_, name, name);
    }
    text += "]}}";
    response.headers.add("CMR-Hits", std::to_string(per_day_));
    if (end > at) response.headers.add("CMR-Search-After", std::to_string(end));
  }

  void item(const std::string& path, http::Response& response) const {
    std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
    name.remove_suffix(std::min(name.size(), std::string_view("_stac.json").size()));
    if (name == name_of(0) || name.size() != name_of(0).size()) {
      response.status = 404;
      return;
    }
    response.body = item_;
    for (size_t at : names_) response.body.replace(at, name.size(), name);
  }

  const size_t per_day_;
  const std::string item_;
  std::vector<size_t> names_;  // where in it the item's name stands
  std::string url_;
};

}  // namespace

int main(int argc, char** argv) {
  Catalogue catalogue(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100'000);
  http::ServerOptions options;
  options.port = 0;
  http::Server server(options, catalogue);
  catalogue.listens_on(server.port());
  std::printf("%u\n", server.port());
  std::fflush(stdout);
  char byte = 0;
  while (read(0, &byte, 1) > 0) {
  }
  server.stop(std::chrono::milliseconds(0));
}
