#include "workloads/stac/link_cache.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "objects/new_object.h"
#include "workloads/stac/places.h"

namespace millrace::stac {
namespace {

constexpr uint64_t kBytesMax = 256ull << 20;

}  // namespace

LinkCache::LinkCache(const std::string& place, const std::optional<Box>& box)
    : place_(objects::parse_location(place)),
      folder_(box ? fmt::format("links/box={},{},{},{}", box->west, box->south, box->east, box->north)
                  : "links") {}

objects::Location LinkCache::file_of(const std::string& collection, const Day& day) const {
  return below(
      place_, fmt::format("{}/{}/{:04}/{:02}/{}.json", folder_, collection, day.year, day.month, day.text()));
}

std::optional<std::vector<std::string>> LinkCache::load(const std::string& collection, const Day& day) const {
  objects::Location file = file_of(collection, day);
  std::optional<std::string> text = read_object(file, kBytesMax);
  if (!text) return std::nullopt;
  base::json::value value = base::parse_json(*text);
  std::vector<std::string> links;
  if (!value.is_array()) throw base::CorruptError(shown(file) + " is no array of links", "WrongType");
  for (const base::json::value& link : value.as_array()) {
    if (!link.is_string())
      throw base::CorruptError(shown(file) + " holds something else than links", "WrongType");
    links.emplace_back(base::view(link.as_string()));
  }
  return links;
}

void LinkCache::save(const std::string& collection, const Day& day,
                     const std::vector<std::string>& links) const {
  objects::Location file = file_of(collection, day);
  make_folders_of(file);
  base::json::array array;
  for (const std::string& link : links) array.emplace_back(link);
  objects::NewObject out(file, "application/json");
  out.write(base::json::serialize(array));
  out.publish();
}

}  // namespace millrace::stac
