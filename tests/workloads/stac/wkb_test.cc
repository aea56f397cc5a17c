#include "workloads/stac/wkb.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/error.h"
#include "base/hash.h"

namespace millrace::stac {
namespace {

std::string wkb_of(std::string json) {
  json.reserve(json.size() + simdjson::SIMDJSON_PADDING);
  JsonTokens tokens;
  tokens.open(json);
  std::string out;
  EXPECT_TRUE(append_wkb(tokens, out).valid) << json;
  return out;
}

std::string json_of(const std::string& wkb) {
  std::string out;
  append_geojson(wkb, out);
  return out;
}

TEST(Wkb, BytesAreThoseOfTheStandard) {
  // Without this other programs see other geometries: ISO 19125 well-known binary, checked by hand.
  EXPECT_EQ(base::hex(wkb_of(R"({"type":"Point","coordinates":[1,2]})")),
            "0101000000000000000000f03f0000000000000040");
  EXPECT_EQ(base::hex(wkb_of(R"({"type":"LineString","coordinates":[[1,2,3]]})")),
            "01ea03000001000000000000000000f03f00000000000000400000000000000840");
  EXPECT_EQ(json_of(*base::unhex("00000000013ff00000000000004000000000000000")),
            R"({"type":"Point","coordinates":[1.0,2.0]})")
      << "big endian";
}

TEST(Wkb, WhatIsNoneIsNotTaken) {
  // Without this a value that only looks like a geometry stops the file, or becomes another one.
  for (std::string json :
       {R"({"type":"Circle","coordinates":[1,2]})", R"({"type":"Point"})",
        R"({"type":"Point","coordinates":[1]})", R"({"type":"Point","coordinates":[]})",
        R"({"type":"Polygon","coordinates":[[1,2]]})", R"({"type":"Point","coordinates":[1,null]})",
        R"({"type":"Point","geometries":[]})", R"([1,2])", R"("x")"}) {
    json.reserve(json.size() + simdjson::SIMDJSON_PADDING);
    JsonTokens tokens;
    tokens.open(json);
    std::string out = "before";
    EXPECT_FALSE(append_wkb(tokens, out).valid) << json;
    EXPECT_EQ(out, "before");
    EXPECT_EQ(tokens.kind(), '\0') << "the whole value was taken: " << json;
  }
}

TEST(Wkb, AnyBytesAreReadOrRefused) {
  // Without this a file from elsewhere makes --merge crash.
  const std::string good = wkb_of(
      R"({"type":"GeometryCollection","geometries":[{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]},)"
      R"({"type":"Point","coordinates":[1,2]}]})");
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_THROW(wkb_facts(std::string_view(good).substr(0, length)), base::CorruptError) << length;
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    std::mt19937 random(seed);
    std::string bytes = good;
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    try {
      const std::string json = json_of(bytes);
      EXPECT_EQ(json.front(), '{') << "seed " << seed;
    } catch (const base::CorruptError&) {
      // Refused.
    }
  }
}

}  // namespace
}  // namespace millrace::stac
