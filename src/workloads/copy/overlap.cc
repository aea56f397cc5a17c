#include "workloads/copy/overlap.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace millrace::copy {
namespace {

struct Place {
  std::string path;  // with a slash at its end: what lies below begins with it
  size_t row = 0;
  bool source = false;
};

std::string place_of(const objects::Location& location, bool source, bool same_service) {
  if (!location.is_s3) {
    std::error_code ignored;
    std::filesystem::path path = std::filesystem::weakly_canonical(location.path, ignored);
    std::string text = "file:" + (path.empty() ? location.path : path.string());
    if (!text.ends_with('/')) text += '/';
    return text;
  }
  std::string text =
      std::string("s3") + (source || same_service ? "" : "-there") + ":" + location.bucket + "/";
  text += location.path;
  if (!text.ends_with('/')) text += '/';
  return text;
}

bool is_prefix(const objects::Location& location) {
  return location.path.empty() || location.path.ends_with('/');
}

}  // namespace

std::vector<Overlap> find_overlaps(const std::vector<Row>& rows, bool same_service) {
  std::vector<Place> places;
  places.reserve(rows.size() * 2);
  for (size_t i = 0; i < rows.size(); ++i) {
    places.push_back({place_of(rows[i].from, true, same_service), i, true});
    places.push_back({place_of(rows[i].to, false, same_service), i, false});
  }
  std::sort(places.begin(), places.end(),
            [](const Place& a, const Place& b) { return std::tie(a.path, a.row) < std::tie(b.path, b.row); });
  std::vector<bool> told(rows.size(), false);
  std::vector<Overlap> overlaps;
  auto tell = [&](const Place& a, const Place& b, const char* why) {
    for (auto [row, other] : {std::pair(a.row, b.row), std::pair(b.row, a.row)})
      if (!told[row]) {
        told[row] = true;
        overlaps.push_back({row, other, why});
      }
  };
  // The places that hold the one looked at, outermost first. Of many that are the same place, the last source
  // and the last destination speak for all: each is compared when it comes.
  std::vector<const Place*> around;
  for (const Place& place : places) {
    while (!around.empty() && !place.path.starts_with(around.back()->path)) around.pop_back();
    for (const Place* outer : around) {
      if (outer->source != place.source) {
        tell(*outer, place, "one reads where the other writes");
      } else if (!place.source) {
        bool same = outer->path == place.path;
        const Row &a = rows[outer->row], &b = rows[place.row];
        if (a.options.remove_extra || (same && b.options.remove_extra))
          tell(*outer, place, "one would delete what the other writes");
        else if (same && !is_prefix(a.to) && !is_prefix(b.to))
          tell(*outer, place, "both write the same key");
      }
    }
    // Nothing is gained from a second one that is alike: it keeps this linear when a thousand rows share a
    // source.
    bool alike = std::any_of(around.begin(), around.end(), [&](const Place* outer) {
      return outer->path == place.path && outer->source == place.source && outer->row != place.row &&
             (place.source ||
              (rows[outer->row].options.remove_extra == rows[place.row].options.remove_extra &&
               is_prefix(rows[outer->row].to) == is_prefix(rows[place.row].to)));
    });
    if (!alike) around.push_back(&place);
  }
  std::sort(overlaps.begin(), overlaps.end(),
            [](const Overlap& a, const Overlap& b) { return a.row < b.row; });
  return overlaps;
}

}  // namespace millrace::copy
