#include "workloads/stac/geoparquet.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <random>
#include <set>

#include "base/error.h"
#include "base/strings.h"
#include "bench/stac/made_hls.h"
#include "sql/duckdb.h"
#include "tests/workloads/stac/round_trip.h"
#include "workloads/stac/verify.h"

namespace millrace::stac {
namespace {

using base::json::serialize;

std::string item_with(const std::string& id, const std::string& properties, const std::string& assets = "",
                      const std::string& more = "") {
  return R"({"type":"Feature","stac_version":"1.0.0","id":")" + id +
         R"(","properties":{"datetime":"2024-06-01T00:00:00Z")" + properties +
         R"(},"geometry":{"type":"Point","coordinates":[1,2]},"bbox":[1,2,1,2],"links":[],"assets":{)" +
         assets + "}" + more + "}";
}

// All come back the same, and the file is what a file must be.
void expect_round_trip(const std::vector<std::string>& items, bool by_time = false) {
  millrace::testing::TemporaryFolder folder;
  const Written written = write_items(folder, items);
  auto back = read_back(written.path);
  ASSERT_EQ(back.size(), items.size());
  for (const auto& text : items) {
    base::json::value item = base::parse_json(text, 128);
    auto& object = item.get_object();
    if (!object.contains("collection")) object["collection"] = "made";
    auto& other = back[std::string(*base::find_string(object, "id"))];
    ASSERT_TRUE(other.is_object()) << text;
    EXPECT_EQ(difference(item, other, "", by_time), "") << text;
  }
  const auto report = verify_geoparquet(objects::parse_location(written.path), items.size());
  EXPECT_EQ(report.problems, std::vector<std::string>{});
}

std::string text_of(const std::string& path, const std::string& expression) {
  sql::DuckDb database({.geometry_as_wkb = true});
  return database
      .query("SELECT (" + expression + ")::VARCHAR FROM read_parquet(" + sql::duckdb_literal(path) + ")")
      .text()
      .value_or("NULL");
}

TEST(GeoParquet, TypesAreWidenedAndMixturesAreJson) {
  // Without this an item that types a property otherwise stops the month, or its value is lost.
  expect_round_trip(
      {item_with("a", R"(,"n":1,"m":1,"w":9007199254740993,"b":true,"deep":{"x":[1,2]})"),
       item_with("b", R"(,"n":1.5,"m":"text","w":0.5,"b":[1,"x",null,{"y":1}],"deep":{"x":"no list"})"),
       item_with("c", R"(,"m":{"a":1},"empty":{},"none":[],"nothing":null,"big":18446744073709551615)"),
       item_with("d", R"(,"deep":[{"x":1}],"list":[[1,2],[],[3.5,null]],"objects":[{"a":1},{},{"b":"x"}])")});
  millrace::testing::TemporaryFolder folder;
  const Written written = write_items(folder, {item_with("a", R"(,"n":1)"), item_with("b", R"(,"n":1.5)")});
  EXPECT_EQ(text_of(written.path, "typeof(any_value(n))"), "DOUBLE");
  EXPECT_EQ(text_of(written.path, "sum(n)"), "2.5");
}

TEST(GeoParquet, NamesThatDifferByCaseOnlyAreBothThere) {
  // Without this catalogues with both AOT and aot cannot be written, or one of the two is lost.
  expect_round_trip(
      {item_with("a", R"(,"Cloud":1,"odd name.\"\\ ü":1)", R"("AOT":{"href":"1"},"aot_2":{"href":"2"})"),
       item_with("b", R"(,"cloud":"x","":2)", R"("aot":{"href":"3","HREF":4},"":{"href":"5"})"),
       item_with("c", R"(,"id":7,"bbox":[1],"type":"x","Geometry":true,"millrace:rest":1)", "",
                 R"(,"private":{"a":1},"properties2":2,"Datetime":3)")});
}

TEST(GeoParquet, GeometriesThatWkbCannotSayAreKeptBesideIt) {
  // Without this the third axis of one corner, or a foreign member of a geometry, is lost.
  const auto with = [](const std::string& id, const std::string& geometry, const std::string& box) {
    return R"({"type":"Feature","stac_version":"1.0.0","id":")" + id +
           R"(","properties":{"datetime":"2024-06-01T00:00:00Z","proj:geometry":)" + geometry +
           R"(},"geometry":)" + geometry + R"(,"bbox":)" + box + R"(,"links":[],"assets":{}})";
  };
  expect_round_trip({
      with("point", R"({"type":"Point","coordinates":[1.5,-2e-3]})", "[1.5,-1,1.5,0]"),
      with("first", R"({"coordinates":[[1,2,3],[4,5,6]],"type":"LineString"})", "[1,2,3,4,5,6]"),
      with("holes",
           R"({"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9],[0,0]],[[1,1],[2,1],[2,2],[1,1]]]})",
           "[0,0,9,9]"),
      with("points", R"({"type":"MultiPoint","coordinates":[[1,2],[3,4]]})", "[1,2,3,4]"),
      with("lines", R"({"type":"MultiLineString","coordinates":[[[1,2],[3,4]],[[5,6],[7,8]]]})", "[1,2,7,8]"),
      with("polygons", R"({"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]})",
           "[179,0,-179,1]"),
      with("all",
           R"({"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]},)"
           R"({"type":"LineString","coordinates":[[1,2,3],[4,5,6]]}]})",
           "[1,2,4,5]"),
      with("mixed", R"({"type":"LineString","coordinates":[[1,2],[4,5,6]]})", "[1,2,4,5]"),
      with("four", R"({"type":"LineString","coordinates":[[1,2,3,4],[4,5,6,7]]})", "[1,2,4,5]"),
      with("foreign", R"({"type":"Point","coordinates":[1,2],"crs":{"name":"x"}})", "[1,2,1,2]"),
  });
}

TEST(GeoParquet, TimesKeepMicrosecondsAndTheirForm) {
  // Without this times are cut to milliseconds, or written otherwise than they came.
  const auto at = [](const std::string& id, const std::string& time, const std::string& more = "") {
    return R"({"type":"Feature","stac_version":"1.0.0","id":")" + id + R"(","properties":{"datetime":")" +
           time + "\"" + more +
           R"(},"geometry":{"type":"Point","coordinates":[1,2]},"bbox":[1,2,1,2],"links":[],"assets":{}})";
  };
  expect_round_trip({at("a", "2024-06-01T00:06:19.072460Z"), at("b", "1969-12-31T23:59:59.000001Z")});
  expect_round_trip({at("a", "2024-06-01T00:06:19.07+00:00"), at("b", "1900-01-01T00:00:00.10+00:00")});
  expect_round_trip({at("a", "2024-06-01T00:06:19"), at("b", "2024-06-01T00:06:20")});
  expect_round_trip({at("a", "2024-06-01T00:06:19.1Z"), at("b", "2024-06-01T00:06:19Z")}, true);
  // What microseconds in UTC cannot say is kept beside the column, which has the time as well as it can.
  expect_round_trip({at("a", "2024-06-01T01:06:19.123456789+01:00", R"(,"expires":"never","published":7)"),
                     at("b", "2024-06-01t00:06:19z"), at("c", "2016-12-31T23:59:60Z")},
                    false);
  millrace::testing::TemporaryFolder folder;
  const Written written = write_items(folder, {at("a", "2024-06-01T01:06:19.123456789+01:00")});
  EXPECT_EQ(text_of(written.path, "datetime"), "2024-06-01 00:06:19.123456+00");
}

class Made {
 public:
  explicit Made(uint32_t seed) : random_(seed) {}
  std::string item(int number) {
    std::string properties, assets;
    for (int i = 0; i < 6; ++i)
      if (random_() % 3) properties += R"(,"p)" + std::to_string(i) + "\":" + value(0);
    const int count = static_cast<int>(random_() % 4);
    for (int i = 0; i < count; ++i)
      assets += (i ? ",\"" : "\"") + std::string(1, static_cast<char>((random_() % 2 ? 'a' : 'A') + i)) +
                R"(":{"href":"x")" + (random_() % 2 ? R"(,"extra":)" + value(0) : "") + "}";
    const double x = static_cast<double>(random_() % 36000) / 100 - 180,
                 y = static_cast<double>(random_() % 18000) / 100 - 90;
    return fmt::format(
        R"({{"type":"Feature","stac_version":"1.0.0","id":"i{}","properties":{{"datetime":"2024-06-{:02}T00:00:00Z"{}}},)"
        R"("geometry":{{"type":"Point","coordinates":[{},{}]}},"bbox":[{},{},{},{}],"links":[],"assets":{{{}}}}})",
        number, 1 + random_() % 30, properties, x, y, x, y, x, y, assets);
  }

 private:
  std::string value(int depth) {
    switch (random_() % (depth < 3 ? 9 : 7)) {
      case 0:
        return "null";
      case 1:
        return random_() % 2 ? "true" : "false";
      case 2:
        return std::to_string(static_cast<int32_t>(random_()));
      case 3:
        return fmt::format("{}", static_cast<double>(random_()) / 7e5);
      case 4:
        return R"("\u00e9\ud83d\ude00 \"q\" \\ \n")";
      case 5:
        return "\"ключ " + std::to_string(random_() % 100) + "\"";
      case 6:
        return "9223372036854775807";
      case 7: {
        std::string out = "[";
        const auto count = random_() % 4;
        for (uint32_t i = 0; i < count; ++i) out += (i ? "," : "") + value(depth + 1);
        return out + "]";
      }
      default: {
        std::string out = "{";
        const auto count = random_() % 4;
        for (uint32_t i = 0; i < count; ++i)
          out += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":" + value(depth + 1);
        return out + "}";
      }
    }
  }
  std::mt19937 random_;
};

TEST(GeoParquet, AnyItemsComeBack) {
  // Without this some combination of optional members, nested values and types loses something.
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Made made(seed);
    std::vector<std::string> items;
    const int count = 1 << (seed % 10);
    for (int i = 0; i < count; ++i) items.push_back(made.item(i));
    expect_round_trip(items);
  }
}

TEST(GeoParquet, ListsThatGrowBeyondTheirRoomKeepWhatTheyHad) {
  // Without this long lists overwrite each other, or memory that is not theirs.
  std::vector<std::string> items;
  for (int i = 0; i < 700; ++i) {
    std::string list, nested;
    for (int j = 0; j < i % 50; ++j) {
      list += (j ? "," : "") + std::to_string(i * 1000 + j);
      nested += (j ? ",[{\"a\":[" : "[{\"a\":[") + std::to_string(j) + ",null," + std::to_string(i) +
                "],\"b\":\"text " + std::to_string(i) + "\"}]";
    }
    items.push_back(item_with("i" + std::to_string(i), ",\"l\":[" + list + "],\"n\":[" + nested + "]"));
  }
  expect_round_trip(items);
}

TEST(GeoParquet, HlsHasTheSameColumnsEveryMonthAndTakesWhatIsNew) {
  // Without this months of one archive cannot be read together, or a new member of an item vanishes.
  MadeHls made(3);
  std::vector<std::string> items(50);
  for (size_t i = 0; i < items.size(); ++i) made.make(i, 1'717'200'000'000, items[i]);
  millrace::testing::TemporaryFolder folder, other;
  const Written plain = write_items(folder, items);
  EXPECT_EQ(plain.report.misfit, "");
  EXPECT_EQ(text_of(plain.path, "typeof(any_value(created))"), "TIMESTAMP WITH TIME ZONE");
  expect_round_trip(items);

  std::string late = items.back();
  late.replace(late.find("\"platform\""), 10, "\"new:member\":1,\"platform\"");
  late.replace(late.find("HLS.S30") == std::string::npos ? late.find("HLS.L30") : late.find("HLS.S30"), 3,
               "NEW");
  items.push_back(late);
  const Written merged = write_items(other, items);
  EXPECT_NE(merged.report.misfit.find("new:member"), std::string::npos);
  EXPECT_EQ(text_of(merged.path, "sum(\"new:member\")"), "1");
  expect_round_trip(items);
}

TEST(GeoParquet, RowGroupsArePartsOfTheCurve) {
  // Without this a query for a region reads the whole file: DuckDB's threads would mix their rows.
  MadeHls made(5);
  std::vector<std::string> items(2 * kRowGroupRows + 777);
  for (size_t i = 0; i < items.size(); ++i)
    items[i] = fmt::format(
        R"({{"type":"Feature","stac_version":"1.0.0","id":"i{0}","properties":{{"datetime":"2024-06-01T00:00:00Z"}},)"
        R"("geometry":{{"type":"Point","coordinates":[{1},{2}]}},"bbox":[{1},{2},{1},{2}],"links":[],"assets":{{}}}})",
        i, static_cast<double>(i * 7919 % 36000) / 100 - 180,
        static_cast<double>(i * 104729 % 17000) / 100 - 85);
  millrace::testing::TemporaryFolder folder;
  const Written written = write_items(folder, items, 4);
  const auto report = verify_geoparquet(objects::parse_location(written.path), items.size());
  EXPECT_EQ(report.problems, std::vector<std::string>{});
  EXPECT_EQ(report.row_groups, 3u);
  EXPECT_EQ(written.report.row_groups, 3u);
}

TEST(GeoParquetVerify, FindsWhatIsWrong) {
  // Without this verify could say that any file is good.
  millrace::testing::TemporaryFolder folder;
  std::vector<std::string> items;
  Made made(9);
  for (int i = 0; i < 300; ++i) items.push_back(made.item(i));
  const Written written = write_items(folder, items);
  const auto problems_of = [&](const std::string& path, uint64_t rows = 300) {
    return base::join(verify_geoparquet(objects::parse_location(path), rows).problems, "\n");
  };
  ASSERT_EQ(problems_of(written.path), "");
  EXPECT_NE(problems_of(written.path, 301).find("must have 301"), std::string::npos);
  const auto rewritten = [&](const std::string& name, const std::string& select, const std::string& options) {
    const std::string path = folder / name;
    sql::DuckDb database({.geometry_as_wkb = true});
    std::string from = select;
    from.replace(from.find("FILE"), 4, "read_parquet(" + sql::duckdb_literal(written.path) + ")");
    database.execute("COPY (" + from + ") TO " + sql::duckdb_literal(path) + " (FORMAT parquet" + options +
                     ")");
    return problems_of(path);
  };
  const std::string unsorted = rewritten("a", "SELECT * FROM FILE ORDER BY id", ", COMPRESSION zstd");
  EXPECT_NE(unsorted.find("not in the order of the Hilbert curve"), std::string::npos) << unsorted;
  EXPECT_NE(unsorted.find("the metadata has no 'geo'"), std::string::npos);
  EXPECT_NE(unsorted.find("the metadata has no 'stac-geoparquet'"), std::string::npos);
  EXPECT_NE(rewritten("b", "SELECT * FROM FILE", ", COMPRESSION snappy").find("zstd"), std::string::npos);
  EXPECT_NE(rewritten("c", "SELECT * EXCLUDE (bbox) FROM FILE", "").find("no column 'bbox'"),
            std::string::npos);
  EXPECT_NE(
      rewritten("d", "SELECT * REPLACE ('same' AS id) FROM FILE", "").find("made same is there 300 times"),
      std::string::npos);
  EXPECT_NE(rewritten("e", "SELECT * REPLACE (datetime::VARCHAR AS datetime) FROM FILE", "")
                .find("'datetime' is VARCHAR"),
            std::string::npos);
  const std::string geo =
      R"(, KV_METADATA {geo: '{"version":"1.0.0","primary_column":"geometry","columns":{"geometry":{"encoding":"WKB","geometry_types":["Polygon"]}}}'})";
  const std::string wrong = rewritten("f", "SELECT * FROM FILE", geo);
  EXPECT_NE(wrong.find("not of version 1.1.0"), std::string::npos);
  EXPECT_NE(wrong.find("geometry_types is [Polygon], its geometries are [Point]"), std::string::npos);
  EXPECT_NE(wrong.find("no path to bbox.xmin"), std::string::npos);
  EXPECT_THROW(verify_geoparquet(objects::parse_location(folder / "none"), std::nullopt),
               base::NotFoundError);
}

// Files of this process cannot grow beyond it while it lives: what a full disk does, with another number.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : before_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, before_handler_);
  }

 private:
  void (*before_handler_)(int);
  rlimit before_{};
};

TEST(GeoParquet, AFullDiskIsAnErrorAndLeavesNothing) {
  // Without this half a file could be published, or the message would name a file that nobody knows.
  millrace::testing::TemporaryFolder folder;
  const ItemStore store = store_of(folder / "spool", {item_with("a", "")});
  const std::string path = folder / "items.parquet";
  {
    objects::NewObject out(objects::parse_location(path));
    const FileSizeLimit limit(100);
    try {
      write_geoparquet(store, GeoParquetOptions(), out);
      FAIL() << "it was written";
    } catch (const base::TransientError& e) {
      EXPECT_NE(std::string(e.what()).find(path), std::string::npos) << e.what();
    }
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    EXPECT_EQ(entry.path().filename(), "spool");
}

}  // namespace
}  // namespace millrace::stac
