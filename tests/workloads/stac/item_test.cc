#include "workloads/stac/item.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "tests/workloads/stac/made_item.h"

namespace millrace::stac {
namespace {

using testing::MadeItem;
using testing::text_of;

std::string code_of(const std::string& text, std::string_view collection = {}) {
  try {
    ItemChecker().check(text, collection);
  } catch (const base::CorruptError& error) {
    return error.code();
  }
  return "fine";
}

std::string with(const std::string& from, const std::string& to) {
  std::string text = text_of({});
  EXPECT_NE(text.find(from), std::string::npos) << from;
  return base::replace_all(text, from, to);
}

// Without this a broken item gets into a file, or breaks the writer, or is dropped without a name.
TEST(Item, WhatIsWrongIsNamed) {
  EXPECT_EQ(code_of(text_of({})), "fine");
  for (auto [code, text] : std::initializer_list<std::pair<std::string, std::string>>{
           {"BrokenJson", ""},
           {"BrokenJson", "<html>"},
           {"BrokenJson", text_of({}).substr(0, 100)},
           {"BrokenJson", text_of({}) + "}"},
           {"BrokenJson", with("A.1\"", "A\xff\"")},
           {"BrokenJson", with("\"A.1\"", "\"A.1")},
           {"BrokenJson", with("[10,20,11,21]", "[10,20,11,2x1]")},
           {"BadNumber", with("[10,20,11,21]", "[10,20,11,2e999]")},
           {"BrokenJson", with("[10,20,11,21]", "[10,20,11,02e999]")},
           {"BadBox", with("[10,20,11,21]", "[10,22,11,21]")},
           {"TwiceMember", with("\"id\":", "\"id\":\"B\",\"id\":")},
           {"TwiceMember", with("\"datetime\":", "\"datetime\":null,\"datetime\":")},
           {"WrongType", with("\"made\"", "\"" + std::string(201, 'x') + "\"")},
           {"WrongType", with("\"made\"", "\"a\\u0000b\"")},
           {"fine", with("[10,20,11,21]", "[10,20,11,21.00000000000000000000000]")},
           {"fine", text_of({.more = ",\"n\":-123456789012345678901234567890,\"t\":\"1e999\""})},
           {"WrongType", "[]"},
           {"WrongType", with("\"Feature\"", "\"Catalog\"")},
           {"WrongType", with("\"A.1\"", "7")},
           {"NoId", with("\"id\":\"A.1\",", "")},
           {"NoId", with("\"A.1\"", "\"\"")},
           {"NoId", with("\"A.1\"", "null")},
           {"NoId", text_of({.id = std::string(70'000, 'x')})},
           {"NoCollection", text_of({.collection = ""})},
           {"WrongType", with("\"made\"", "[1]")},
           {"WrongType", with("\"properties\":{", "\"properties\":[],\"x\":{")},
           {"WrongType", with("\"links\":[]", "\"links\":{}")},
           {"WrongType", with("\"links\":[]", "\"links\":[1]")},
           {"WrongType", with("\"assets\":{", "\"assets\":[],\"x\":{")},
           {"WrongType", with("\"B01\":{", "\"B02\":1,\"B01\":{")},
           {"WrongType", with("[10,20,11,21]", "[10,20,11]")},
           {"WrongType", with("[10,20,11,21]", "\"all\"")},
           {"WrongType", with("[10,20,11,21]", "[1,2,3,4,5,6,7]")},
           {"NoGeometry", with("\"geometry\"", "\"geometrie\"")},
           {"NoGeometry", with("\"coordinates\":[[[10,20],[11,20],[11,21],[10,20]]]", "\"coordinates\":[]")},
           {"BadGeometry", with("\"Polygon\"", "\"Polygons\"")},
           {"BadGeometry", with("\"Polygon\"", "\"MultiPolygon\"")},
           {"BadGeometry", with("\"Polygon\"", "\"LineString\"")},
           {"BadGeometry", with("[11,20]", "[\"11\",20]")},
           {"BadGeometry", with("[11,20]", "[11]")},
           {"NoTime", with("\"2024-06-01T00:06:19.072460Z\"", "null")},
           {"BadTime", with("\"2024-06-01T00:06:19.072460Z\"", "\"June\"")},
           {"BadTime", with("\"2024-06-01T00:06:19.072460Z\"", "1717200379")},
           {"BadTime", text_of({.updated = "2024-06-31T00:00:00Z"})},
           {"BadTime", text_of({.more = ",\"end_datetime\":\"\""})}})
    EXPECT_EQ(code_of(text), code) << text;
}

// Without this the line is another item than the one that came.
TEST(Item, TheLineIsTheItemAndOneLine) {
  ItemChecker checker;
  std::string pretty = base::replace_all(
      text_of({.more = R"(,"note":" a \"b\"\n , {","big":18446744073709551615)"}), ",\"", "\r\n  ,\t\"");
  const CheckedItem& item = checker.check(pretty);
  EXPECT_EQ(item.line.find_first_of("\n\r"), std::string::npos);
  EXPECT_EQ(base::parse_json(item.line), base::parse_json(pretty));
  EXPECT_EQ(item.line.substr(item.record.id_offset, item.record.id_length), "A.1");
  EXPECT_EQ(item.record.datetime_us, 1'717'200'379'072'460);
  EXPECT_EQ(item.record.updated_us, kNoTime);
  EXPECT_FLOAT_EQ(item.record.centre_x, 10.5F);
  EXPECT_FLOAT_EQ(item.record.centre_y, 20.5F);
}

// Without this items of the original's source, which name no collection, have none or two.
TEST(Item, ACollectionIsAddedWhereThereIsNone) {
  ItemChecker checker;
  for (const std::string& text :
       {text_of({.collection = ""}), with("\"made\"", "null"), with("\"made\"", "\"\"")}) {
    const CheckedItem& item = checker.check(text, "HLS\"S30_2.0");
    EXPECT_EQ(item.collection, "HLS\"S30_2.0");
    base::json::value value = base::parse_json(item.line);
    EXPECT_EQ(base::find_string(value.as_object(), "collection"), "HLS\"S30_2.0") << item.line;
    EXPECT_EQ(value.as_object().size(), 9U);
    EXPECT_EQ(item.line.substr(item.record.id_offset, item.record.id_length), "A.1");
    EXPECT_EQ(item.record.length, item.line.size());
  }
  EXPECT_EQ(checker.check(text_of({}), "other").collection, "made");
}

// Without this an id that is written in another way is another item, or its place in the line is wrong.
TEST(Item, TheIdIsFoundWhereverItIsAndHoweverItIsWritten) {
  ItemChecker checker;
  uint64_t plain = checker.check(text_of({.id = "a\\\"b"})).record.identity;
  EXPECT_EQ(checker.check(text_of({.id = "a\\u0022b"})).record.identity, plain);
  EXPECT_NE(checker.check(text_of({.id = "a\\\"b", .collection = "other"})).record.identity, plain);
  // A member of the same name deeper in the item, before it.
  const CheckedItem& item = checker.check(
      R"({"assets":{"id":{"id":"no","x":"\\\"id\":"}},"type":"Feature","properties":{"id":"no","start_datetime":"2024-06-01T00:00:00Z",)"
      R"("datetime":null},"geometry":{"type":"Point","coordinates":[1,2,3]},"links":[],"collection":"c","id":"yes"})");
  EXPECT_EQ(item.line.substr(item.record.id_offset, item.record.id_length), "yes");
  EXPECT_EQ(item.id, "yes");
}

// Without this items at the antimeridian are sorted to the other side of the earth.
TEST(Item, TheCentreOfABoxAcrossTheAntimeridian) {
  ItemChecker checker;
  EXPECT_FLOAT_EQ(checker.check(with("[10,20,11,21]", "[179,20,-177,22]")).record.centre_x, -179.0F);
  EXPECT_FLOAT_EQ(checker.check(with("[10,20,11,21]", "[10,20,-5,30,22,900]")).record.centre_x, 20.0F);
  // Without a bbox it is that of the geometry.
  EXPECT_FLOAT_EQ(checker.check(with("\"bbox\"", "\"box\"")).record.centre_y, 20.5F);
}

}  // namespace
}  // namespace millrace::stac
