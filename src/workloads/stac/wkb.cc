#include "workloads/stac/wkb.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace millrace::stac {
namespace {

constexpr std::array<std::string_view, 8> kNames = {
    "",           "Point",           "LineString",   "Polygon",
    "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"};
constexpr int kCollection = 7;
constexpr int kCollectionsDepth = 16;
constexpr uint32_t kZ = 1000;

// Thrown inside this file only: the value is no geometry that WKB can hold.
struct NotAGeometry {};
// The positions are not all of the first one's length.
struct MixedPositions {};

static_assert(std::endian::native == std::endian::little);

template <typename Number>
void put(Number value, std::string& out) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

class WkbWriter {
 public:
  WkbWriter(JsonTokens& tokens, std::string& out, GeometryFacts& facts)
      : tokens_(tokens), out_(out), facts_(facts) {}

  // The geometry that comes next; its type.
  int geometry(int level);

 private:
  void coordinates(int type);
  void collection(int level);
  void typed(int type);
  void position();
  double number();
  void header(int type) {
    put(uint8_t{1}, out_);
    put(static_cast<uint32_t>(type) + (dimensions_ == 3 ? kZ : 0), out_);
  }
  template <typename Each>
  void counted(const Each& each) {
    const size_t at = out_.size();
    put(uint32_t{0}, out_);
    uint32_t count = 0;
    if (tokens_.kind() != '[') throw NotAGeometry();
    tokens_.begin_array();
    while (tokens_.next_element()) {
      each();
      ++count;
    }
    std::memcpy(out_.data() + at, &count, sizeof count);
  }

  JsonTokens& tokens_;
  std::string& out_;
  GeometryFacts& facts_;
  int dimensions_ = 0;  // of positions: 0 before the first
  bool flat_ = false;   // positions are mixed: only x and y of each are taken
};

double WkbWriter::number() {
  const char c = tokens_.kind();
  if (c != '-' && (c < '0' || c > '9')) throw NotAGeometry();
  const auto text = tokens_.scalar();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) throw NotAGeometry();
  return value;
}

void WkbWriter::position() {
  if (tokens_.kind() != '[') throw NotAGeometry();
  std::array<double, 3> xyz{};
  int count = 0;
  tokens_.begin_array();
  while (tokens_.next_element()) {
    const double value = number();
    if (count < 3) xyz[static_cast<size_t>(count)] = value;
    ++count;
  }
  if (count < 2) throw NotAGeometry();
  if (count > 3) facts_.exact = false, count = 3;
  if (!flat_ && count != dimensions_) throw MixedPositions();
  for (int i = 0; i < dimensions_; ++i) put(xyz[static_cast<size_t>(i)], out_);
  facts_.west = std::min(facts_.west, xyz[0]), facts_.east = std::max(facts_.east, xyz[0]);
  facts_.south = std::min(facts_.south, xyz[1]), facts_.north = std::max(facts_.north, xyz[1]);
}

void WkbWriter::typed(int type) {
  header(type);
  switch (type) {
    case 1:
      position();
      break;
    case 2:
      counted([&] { position(); });
      break;
    case 3:
      counted([&] { counted([&] { position(); }); });
      break;
    default:
      counted([&] { typed(type - 3); });
  }
}

// How many numbers the first position has; the cursor is at the coordinates and stays there.
int first_position_length(JsonTokens& tokens) {
  const size_t here = tokens.position();
  int commas = 0;
  std::string_view text = tokens.raw_value();
  tokens.go_back(here);
  const size_t digit = text.find_first_of("-0123456789");
  if (digit == std::string_view::npos) return 2;
  for (const char c : text.substr(digit)) {
    if (c == ']') break;
    commas += c == ',';
  }
  return std::clamp(commas + 1, 2, 3);
}

void WkbWriter::coordinates(int type) {
  const size_t here = tokens_.position(), length = out_.size();
  dimensions_ = first_position_length(tokens_);
  try {
    typed(type);
  } catch (const MixedPositions&) {
    facts_.exact = false;
    out_.resize(length);
    tokens_.go_back(here);
    dimensions_ = 2;
    flat_ = true;
    typed(type);
    flat_ = false;
  }
  if (dimensions_ == 3) facts_.has_z = true;
}

void WkbWriter::collection(int level) {
  const size_t at = out_.size();
  dimensions_ = 2;
  header(kCollection);
  counted([&] { geometry(level + 1); });
  // A collection is what its members are.
  if (facts_.has_z) {
    const uint32_t type = kCollection + kZ;
    std::memcpy(out_.data() + at + 1, &type, sizeof type);
  }
}

int WkbWriter::geometry(int level) {
  if (tokens_.kind() != '{' || level > kCollectionsDepth) throw NotAGeometry();
  constexpr size_t kNowhere = ~size_t{0};
  size_t content = kNowhere;
  bool content_is_list = false;
  int type = 0;
  bool written = false;
  std::string_view name;
  tokens_.begin_object();
  const auto write = [&] {
    if (content_is_list != (type == kCollection)) throw NotAGeometry();
    if (type == kCollection)
      collection(level);
    else
      coordinates(type);
    written = true;
  };
  while (tokens_.next_member(name)) {
    if (name == "type" && type == 0) {
      if (tokens_.kind() != '"') throw NotAGeometry();
      const auto* found = std::find(kNames.begin() + 1, kNames.end(), tokens_.raw_string());
      if (found == kNames.end()) throw NotAGeometry();
      type = static_cast<int>(found - kNames.begin());
    } else if ((name == "coordinates" || name == "geometries") && content == kNowhere) {
      content = tokens_.position();
      content_is_list = name == "geometries";
      if (type != 0)
        write();
      else
        tokens_.raw_value();
    } else {
      facts_.exact = false;
      tokens_.raw_value();
    }
  }
  if (type == 0 || content == kNowhere) throw NotAGeometry();
  if (!written) {
    const size_t end = tokens_.position();
    tokens_.go_back(content);
    write();
    tokens_.go_back(end);
  }
  return type;
}

// Walks WKB, telling a visitor.
class WkbReader {
 public:
  WkbReader(std::string_view wkb, std::string* json) : wkb_(wkb), json_(json) {}

  GeometryFacts read() {
    facts_.type = geometry(0, 0);
    if (at_ != wkb_.size()) fail();
    facts_.valid = true;
    return facts_;
  }

 private:
  [[noreturn]] static void fail() { throw base::CorruptError("a geometry is no well-known binary"); }

  template <typename Number>
  Number get() {
    if (wkb_.size() - at_ < sizeof(Number)) fail();
    std::array<char, sizeof(Number)> bytes;
    std::memcpy(bytes.data(), wkb_.data() + at_, sizeof(Number));
    at_ += sizeof(Number);
    if (!little_) std::reverse(bytes.begin(), bytes.end());
    return std::bit_cast<Number>(bytes);
  }
  void text(std::string_view value) {
    if (json_) json_->append(value);
  }

  template <typename Each>
  void counted(const Each& each) {
    const auto count = get<uint32_t>();
    text("[");
    for (uint32_t i = 0; i < count; ++i) {
      if (i > 0) text(",");
      each();
    }
    text("]");
  }

  void position(bool z) {
    const auto x = get<double>(), y = get<double>();
    facts_.west = std::min(facts_.west, x), facts_.east = std::max(facts_.east, x);
    facts_.south = std::min(facts_.south, y), facts_.north = std::max(facts_.north, y);
    const double height = z ? get<double>() : 0;
    if (!json_) return;
    *json_ += '[';
    append_json_number(x, *json_);
    *json_ += ',';
    append_json_number(y, *json_);
    if (z) {
      *json_ += ',';
      append_json_number(height, *json_);
    }
    *json_ += ']';
  }

  // `wanted`: the type that a part of a Multi… must have, 0 for any; a part is written without its type.
  int geometry(int level, int wanted) {
    if (level > kCollectionsDepth) fail();
    const bool outer = little_;
    const auto order = get<uint8_t>();
    if (order > 1) fail();
    little_ = order == 1;
    const auto code = get<uint32_t>();
    const bool z = code / kZ == 1;
    const int type = static_cast<int>(code % kZ);
    if (code / kZ > 1 || type < 1 || type > kCollection || (wanted != 0 && type != wanted)) fail();
    facts_.has_z |= z;
    if (wanted == 0) {
      text("{\"type\":\"");
      text(kNames[static_cast<size_t>(type)]);
      text(type == kCollection ? "\",\"geometries\":" : "\",\"coordinates\":");
    }
    switch (type) {
      case 1:
        position(z);
        break;
      case 2:
        counted([&] { position(z); });
        break;
      case 3:
        counted([&] { counted([&] { position(z); }); });
        break;
      case kCollection:
        counted([&] { geometry(level + 1, 0); });
        break;
      default:
        counted([&] { geometry(level + 1, type - 3); });
    }
    if (wanted == 0) text("}");
    little_ = outer;
    return type;
  }

  std::string_view wkb_;
  std::string* json_;
  size_t at_ = 0;
  bool little_ = true;
  GeometryFacts facts_;
};

}  // namespace

GeometryFacts append_wkb(JsonTokens& tokens, std::string& out) {
  GeometryFacts facts;
  const size_t here = tokens.position(), length = out.size();
  try {
    facts.type = WkbWriter(tokens, out, facts).geometry(0);
    facts.valid = true;
  } catch (const NotAGeometry&) {
    facts = {};
    facts.exact = false;
    out.resize(length);
    tokens.go_back(here);
    tokens.raw_value();
  }
  return facts;
}

std::string geometry_type_name(int type, bool has_z) {
  return std::string(kNames[static_cast<size_t>(type)]) + (has_z ? " Z" : "");
}

void append_geojson(std::string_view wkb, std::string& out) { WkbReader(wkb, &out).read(); }

GeometryFacts wkb_facts(std::string_view wkb) { return WkbReader(wkb, nullptr).read(); }

}  // namespace millrace::stac
