#include "workloads/copy/overlap.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <tuple>

namespace millrace::copy {
namespace {

// Places of prefixes end in a slash, so that what lies below begins with them; those of single objects in a
// NUL, so that nothing does.
struct Place {
  std::string path;
  size_t row = 0;
  bool source = false;

  bool is_object() const { return path.ends_with('\0'); }
};

std::string where(const objects::Location& location, bool source, bool same_service) {
  if (location.is_s3)
    return std::string("s3") + (source || same_service ? "" : "-there") + ":" + location.bucket + "/" +
           location.path;
  std::error_code ignored;
  std::filesystem::path path = std::filesystem::weakly_canonical(location.path, ignored);
  return "file:" + (path.empty() ? location.path : path.string());
}

bool is_prefix(const objects::Location& location) {
  return location.path.empty() || location.path.ends_with('/');
}

void add_places(std::vector<Place>& places, const std::vector<Row>& rows, size_t index, bool same_service) {
  const Row& row = rows[index];
  std::string from = where(row.from, true, same_service), to = where(row.to, false, same_service);
  if (row.single) {
    if (to.ends_with('/')) to += from.substr(from.rfind('/') + 1);
    places.push_back({from + '\0', index, true});
    places.push_back({to + '\0', index, false});
    return;
  }
  for (auto [text, location, source] :
       {std::tuple(&from, &row.from, true), std::tuple(&to, &row.to, false)}) {
    if (!is_prefix(*location)) places.push_back({*text + '\0', index, source});
    places.push_back({text->ends_with('/') ? *text : *text + "/", index, source});
  }
}

}  // namespace

std::vector<Overlap> find_overlaps(const std::vector<Row>& rows, bool same_service) {
  std::vector<Place> places;
  places.reserve(rows.size() * 4);
  for (size_t i = 0; i < rows.size(); ++i) add_places(places, rows, i, same_service);
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
        if (outer->row == place.row) continue;
        auto removes = [&](const Place& p) { return !p.is_object() && rows[p.row].options.remove_extra; };
        bool same = outer->path == place.path;
        if (removes(*outer) || (same && removes(place)))
          tell(*outer, place, "one would delete what the other writes");
        else if (same && place.is_object())
          tell(*outer, place, "both write the same key");
      }
    }
    // Nothing is gained from a second one that is alike: it keeps this linear when a thousand rows share a
    // source.
    bool alike = std::any_of(around.begin(), around.end(), [&](const Place* outer) {
      return outer->path == place.path && outer->source == place.source && outer->row != place.row &&
             (place.source || rows[outer->row].options.remove_extra == rows[place.row].options.remove_extra);
    });
    if (!alike) around.push_back(&place);
  }
  std::sort(overlaps.begin(), overlaps.end(),
            [](const Overlap& a, const Overlap& b) { return a.row < b.row; });
  return overlaps;
}

}  // namespace millrace::copy
