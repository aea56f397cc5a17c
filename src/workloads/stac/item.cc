#include "workloads/stac/item.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "workloads/stac/hilbert.h"
#include "workloads/stac/timestamp.h"

namespace millrace::stac {
namespace {

namespace dom = simdjson::dom;

constexpr size_t kDepthMax = 64;
constexpr size_t kCollectionMax = 200;  // bytes
constexpr std::array<std::string_view, 8> kMembers = {"type",     "id",   "collection", "properties",
                                                      "geometry", "bbox", "links",      "assets"};
constexpr std::array<std::string_view, 5> kTimes = {"datetime", "start_datetime", "end_datetime", "created",
                                                    "updated"};

[[noreturn]] void bad(const char* code, const std::string& what) { throw base::CorruptError(what, code); }

struct Extent {
  double west = std::numeric_limits<double>::infinity(), south = west;
  double east = -west, north = -west;
  bool empty() const { return west > east; }
  void add(double x, double y) {
    west = std::min(west, x), east = std::max(east, x);
    south = std::min(south, y), north = std::max(north, y);
  }
};

dom::array array_of(dom::element element, const char* what) {
  if (!element.is_array()) bad("BadGeometry", std::string(what) + " is no array");
  return element.get_array().value_unsafe();
}

void read_position(dom::element element, Extent& extent) {
  std::array<double, 2> xy{};
  size_t count = 0;
  for (dom::element number : array_of(element, "a position of the geometry")) {
    double value = 0;
    if (number.get_double().get(value) != simdjson::SUCCESS)
      bad("BadGeometry", "a position of the geometry holds something else than numbers");
    if (count < 2) xy[count] = value;
    ++count;
  }
  if (count < 2) bad("BadGeometry", "a position of the geometry has fewer than two numbers");
  extent.add(xy[0], xy[1]);
}

// Arrays in arrays, `depth` of them around positions.
void read_coordinates(dom::element element, int depth, Extent& extent) {
  if (depth == 0) return read_position(element, extent);
  for (dom::element inner : array_of(element, "coordinates of the geometry"))
    read_coordinates(inner, depth - 1, extent);
}

void read_geometry(dom::element geometry, Extent& extent, int level = 0) {
  static constexpr std::array<std::pair<std::string_view, int>, 6> kDepths = {{{"Point", 0},
                                                                               {"MultiPoint", 1},
                                                                               {"LineString", 1},
                                                                               {"MultiLineString", 2},
                                                                               {"Polygon", 2},
                                                                               {"MultiPolygon", 3}}};
  std::string_view type;
  if (!geometry.is_object() || geometry["type"].get_string().get(type) != simdjson::SUCCESS)
    bad("BadGeometry", "geometry is no object with a type");
  if (type == "GeometryCollection") {
    dom::array members;
    if (level > 8 || geometry["geometries"].get_array().get(members) != simdjson::SUCCESS)
      bad("BadGeometry", "a GeometryCollection without geometries, or nested too deep");
    for (dom::element member : members) read_geometry(member, extent, level + 1);
    return;
  }
  const auto* found =
      std::find_if(kDepths.begin(), kDepths.end(), [&](const auto& d) { return d.first == type; });
  if (found == kDepths.end()) bad("BadGeometry", "geometry of unknown type '" + std::string(type) + "'");
  dom::element coordinates;
  if (geometry["coordinates"].get(coordinates) != simdjson::SUCCESS)
    bad("BadGeometry", "geometry without coordinates");
  // "Point" with no numbers at all is GeoJSON's empty point.
  if (found->second == 0 && coordinates.is_array() && coordinates.get_array().value_unsafe().size() == 0)
    return;
  read_coordinates(coordinates, found->second, extent);
}

// The member unless it is not there or null.
bool get(dom::object object, std::string_view name, dom::element& out) {
  return object[name].get(out) == simdjson::SUCCESS && !out.is_null();
}

int64_t time_of(dom::object properties, std::string_view name) {
  dom::element element;
  if (!get(properties, name, element)) return kNoTime;
  std::string_view text;
  if (element.get_string().get(text) != simdjson::SUCCESS)
    bad("BadTime", "properties." + std::string(name) + " is no text");
  auto time = parse_time_us(text);
  if (!time) bad("BadTime", "properties." + std::string(name) + ": '" + std::string(text) + "' is no time");
  return *time;
}

void check_types(dom::object item) {
  dom::element element;
  if (get(item, "stac_version", element) && !element.is_string()) bad("WrongType", "stac_version is no text");
  if (get(item, "stac_extensions", element)) {
    if (!element.is_array()) bad("WrongType", "stac_extensions is no array");
    for (dom::array all = element.get_array().value_unsafe(); dom::element one : all)
      if (!one.is_string()) bad("WrongType", "stac_extensions holds something else than texts");
  }
  if (get(item, "links", element)) {
    if (!element.is_array()) bad("WrongType", "links is no array");
    for (dom::array all = element.get_array().value_unsafe(); dom::element one : all)
      if (!one.is_object()) bad("WrongType", "links holds something else than objects");
  }
  if (get(item, "assets", element)) {
    if (!element.is_object()) bad("WrongType", "assets is no object");
    for (dom::object all = element.get_object().value_unsafe(); dom::key_value_pair one : all)
      if (!one.value.is_object()) bad("WrongType", "asset '" + std::string(one.key) + "' is no object");
  }
}

// False where there is none.
bool read_bbox(dom::object item, CheckedItem& out) {
  dom::element element;
  if (!get(item, "bbox", element)) return false;
  std::array<double, 6> numbers{};
  size_t count = 0;
  if (!element.is_array()) bad("WrongType", "bbox is no array");
  for (dom::array all = element.get_array().value_unsafe(); dom::element one : all) {
    if (count == 6 || one.get_double().get(numbers[count++]) != simdjson::SUCCESS)
      bad("WrongType", "bbox is no array of four or six numbers");
  }
  if (count != 4 && count != 6) bad("WrongType", "bbox has " + std::to_string(count) + " numbers");
  size_t half = count / 2;
  out.west = numbers[0], out.south = numbers[1], out.east = numbers[half], out.north = numbers[half + 1];
  if (out.south > out.north) bad("BadBox", "the south of the bbox is north of its north");
  return true;
}

// The offset of the value of the member `name` of an object in minified, valid JSON.
size_t value_offset(std::string_view line, std::string_view name) {
  int depth = 0;
  bool key = false;  // a string at depth 1 would be a member's name
  for (size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (c == '"') {
      size_t begin = i + 1;
      for (++i; line[i] != '"'; ++i)
        if (line[i] == '\\') ++i;
      if (depth == 1 && key) {
        if (line.substr(begin, i - begin) == name) return i + 2;
        key = false;
      }
    } else if (c == '{' || c == '[') {
      key = ++depth == 1;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ',' && depth == 1) {
      key = true;
    }
  }
  bad("BrokenJson", "the name '" + std::string(name) + "' is written with escapes");
}

// Integers beyond 64 bits are JSON, and simdjson's tree has no room for them. True when there are numbers
// that no double has room for: they are 0 then.
bool with_long_integers_as_doubles(std::string_view line, std::string& out) {
  constexpr size_t kDigits = 19;  // with fewer it fits
  bool too_large = false;
  out.clear();
  out.reserve(line.size() + line.size() / 8 + simdjson::SIMDJSON_PADDING);
  for (size_t i = 0; i < line.size();) {
    size_t end = i + 1;
    if (line[i] == '"') {
      for (; end < line.size() && line[end] != '"'; ++end)
        if (line[end] == '\\') ++end;
      end = std::min(end + 1, line.size());
    } else if (line[i] == '-' || (line[i] >= '0' && line[i] <= '9')) {
      end = std::min(line.find_first_not_of("0123456789.eE+-", i), line.size());
    }
    const std::string_view token = line.substr(i, end - i);
    i = end;
    if (token.front() != '"' && token.size() > 1 &&
        std::isinf(std::strtod(std::string(token).c_str(), nullptr))) {
      too_large = true;
      // What of it may be written wrongly stays.
      out.append(token.substr(0, std::min<size_t>(token.find_first_of("eE"), 300))).append("e0");
      continue;
    }
    out += token;
    if (token.size() >= kDigits && token.front() != '"' &&
        token.find_first_of(".eE") == std::string_view::npos)
      out += "e0";
  }
  out.reserve(out.size() + simdjson::SIMDJSON_PADDING);
  return too_large;
}

// What a name of a collection must be to be one of a file: folders are made of them.
void check_collection(std::string_view name) {
  if (name.size() > kCollectionMax) bad("WrongType", "the name of the collection is too long");
  if (std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    bad("WrongType", "the name of the collection holds a control character");
}

// A member that is there twice says two things: which of them counts would be anybody's guess.
template <size_t N>
void refuse_twice(dom::object object, const std::array<std::string_view, N>& names) {
  std::array<bool, N> seen{};
  for (dom::key_value_pair member : object) {
    const auto at = static_cast<size_t>(std::find(names.begin(), names.end(), member.key) - names.begin());
    if (at < N && std::exchange(seen[at], true))
      bad("TwiceMember", "'" + std::string(member.key) + "' is there twice");
  }
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

struct ItemChecker::Impl {
  dom::parser parser;
  CheckedItem item;
  std::string key, checked;

  dom::object parse(std::string_view text) {
    std::string& line = item.line;
    line.resize(text.size() + simdjson::SIMDJSON_PADDING);
    size_t length = 0;
    if (simdjson::minify(text.data(), text.size(), line.data(), length) != simdjson::SUCCESS)
      bad("BrokenJson", "not JSON: a text does not end");
    if (length >= std::numeric_limits<uint32_t>::max()) bad("BrokenJson", "4 GiB or more");
    line.resize(length);
    line.reserve(length + simdjson::SIMDJSON_PADDING);
    dom::element root;
    auto error = parser.parse(line.data(), length, false).get(root);
    if (error == simdjson::NUMBER_ERROR) {
      // Checked as doubles; the line keeps their digits.
      const bool too_large = with_long_integers_as_doubles(line, checked);
      error = parser.parse(checked.data(), checked.size(), false).get(root);
      if (error == simdjson::SUCCESS && too_large)
        bad("BadNumber", "a number that is larger than any double");
    }
    if (error != simdjson::SUCCESS)
      bad("BrokenJson", std::string("not JSON: ") + simdjson::error_message(error));
    dom::object object;
    if (root.get_object().get(object) != simdjson::SUCCESS) bad("WrongType", "an item is a JSON object");
    return object;
  }

  void place_collection(dom::object object, std::string_view otherwise) {
    dom::element element;
    std::string_view given;
    bool there = object["collection"].get(element) == simdjson::SUCCESS;
    if (there && element.get_string().get(given) == simdjson::SUCCESS && !given.empty()) {
      item.collection = given;
      return;
    }
    if (there && !element.is_null() && !element.is_string()) bad("WrongType", "collection is no text");
    if (otherwise.empty()) bad("NoCollection", "the item names no collection; say which with --collection");
    item.collection = otherwise;
    std::string& line = item.line;
    std::string text = json_text(otherwise);
    if (there)
      line.replace(value_offset(line, "collection"), element.is_null() ? 4 : 2, text);
    else
      line.insert(1, "\"collection\":" + text + (line == "{}" ? "" : ","));
  }
};

ItemChecker::ItemChecker() : impl_(std::make_unique<Impl>()) {
  if (impl_->parser.allocate(1 << 16, kDepthMax) != simdjson::SUCCESS)
    throw base::TransientError("no memory for a JSON parser");
}
ItemChecker::~ItemChecker() = default;
ItemChecker::ItemChecker(ItemChecker&&) noexcept = default;

const CheckedItem& ItemChecker::check(std::string_view text, std::string_view collection) {
  CheckedItem& item = impl_->item;
  item.record = {};
  dom::object object = impl_->parse(text);
  refuse_twice(object, kMembers);
  std::string_view type, id;
  if (object["type"].get_string().get(type) != simdjson::SUCCESS || type != "Feature")
    bad("WrongType", "type is not 'Feature'");
  dom::element element;
  if (!get(object, "id", element)) bad("NoId", "the item has no id");
  if (element.get_string().get(id) != simdjson::SUCCESS) bad("WrongType", "id is no text");
  if (id.empty()) bad("NoId", "the item has an empty id");
  item.id = id;

  dom::object properties;
  if (object["properties"].get_object().get(properties) != simdjson::SUCCESS)
    bad("WrongType", "properties is no object");
  refuse_twice(properties, kTimes);
  int64_t datetime = time_of(properties, "datetime"), start = time_of(properties, "start_datetime");
  time_of(properties, "end_datetime");
  time_of(properties, "created");
  item.record.updated_us = time_of(properties, "updated");
  item.record.datetime_us = datetime != kNoTime ? datetime : start;
  if (item.record.datetime_us == kNoTime) bad("NoTime", "the item has neither datetime nor start_datetime");
  check_types(object);

  Extent extent;
  if (!get(object, "geometry", element)) bad("NoGeometry", "the item has no geometry");
  read_geometry(element, extent);
  if (extent.empty()) bad("NoGeometry", "the geometry has no position");
  if (!read_bbox(object, item))
    item.west = extent.west, item.south = extent.south, item.east = extent.east, item.north = extent.north;
  std::tie(item.record.centre_x, item.record.centre_y) =
      box_centre(item.west, item.south, item.east, item.north);

  impl_->place_collection(object, collection);
  check_collection(item.collection);
  const std::string& line = item.line;
  size_t at = value_offset(line, "id") + 1, end = at;
  while (line[end] != '"') end += line[end] == '\\' ? 2 : 1;
  if (end - at > std::numeric_limits<uint16_t>::max()) bad("NoId", "the id is longer than 65,535 bytes");
  item.record.id_offset = static_cast<uint32_t>(at);
  item.record.id_length = static_cast<uint16_t>(end - at);
  item.record.length = static_cast<uint32_t>(line.size());
  impl_->key.assign(item.collection).append(1, '\0').append(item.id);
  item.record.identity = base::xxh3(impl_->key);
  return item;
}

}  // namespace millrace::stac
