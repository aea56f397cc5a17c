#include "workloads/copy/overlap.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace millrace::copy {
namespace {

Row row(const std::string& source, const std::string& destination, bool remove = false) {
  Row row{1, source, destination, {}, {}, {}};
  row.options.remove_extra = remove;
  parse_locations(row);
  return row;
}

TEST(CopyOverlap, FindsRowsThatGetInEachOthersWay) {
  // Without this a copy into its own source never ends, and one row deletes what another has just written.
  auto overlapping = [](std::vector<Row> rows) { return !find_overlaps(rows, true).empty(); };
  EXPECT_TRUE(overlapping({row("s3://a/x/", "s3://a/x/y/")}));
  EXPECT_TRUE(overlapping({row("s3://a/x/y/", "s3://a/x/")}));
  EXPECT_TRUE(overlapping({row("s3://a/x", "s3://a/x/")}));
  EXPECT_TRUE(overlapping({row("s3://a", "s3://a/x/")}));
  EXPECT_TRUE(overlapping({row("s3://a/k", "s3://a/k")}));
  EXPECT_FALSE(overlapping({row("s3://a/x/", "s3://a/xy/")})) << "x/ is not xy/";
  EXPECT_FALSE(overlapping({row("s3://a/x/1", "s3://a/x/2")}));
  EXPECT_TRUE(overlapping({row("s3://a/", "s3://b/"), row("s3://b/x/", "s3://c/")}));
  EXPECT_FALSE(overlapping({row("s3://a/", "s3://c/1/"), row("s3://a/x/", "s3://c/2/")})) << "both only read";
  EXPECT_FALSE(overlapping({row("s3://a/", "s3://c/"), row("s3://b/", "s3://c/")}))
      << "two sources in one place";
  EXPECT_TRUE(overlapping({row("s3://a/", "s3://c/", true), row("s3://b/", "s3://c/x/")}));
  EXPECT_FALSE(overlapping({row("s3://a/", "s3://c/"), row("s3://b/", "s3://c/x/", true)}));
  EXPECT_TRUE(overlapping({row("s3://a/1", "s3://c/k"), row("s3://a/2", "s3://c/k")}))
      << "one key, two writers";
  auto object = [](Row one) {
    one.single = true;
    return one;
  };
  EXPECT_TRUE(overlapping({row("s3://a/1/", "s3://c/1/", true), row("s3://a/k", "s3://c/", true)}));
  EXPECT_FALSE(overlapping({row("s3://a/1/", "s3://c/1/", true), object(row("s3://a/k", "s3://c/", true))}));
  EXPECT_TRUE(overlapping({row("s3://a/1/", "s3://c/1/", true), object(row("s3://a/k", "s3://c/1/"))}));
  EXPECT_FALSE(overlapping({object(row("s3://a/x", "s3://a/x/y"))})) << "an object has nothing below it";
  EXPECT_TRUE(overlapping({object(row("s3://a/x", "s3://b/")), object(row("s3://b/x", "s3://c/"))}));
  EXPECT_TRUE(overlapping({row("/tmp/x", "/tmp/x/y")}));
  EXPECT_TRUE(overlapping({row("/tmp/x/../x", "file:///tmp/x")}));
  EXPECT_TRUE(find_overlaps({row("s3://a/", "s3://a/")}, false).empty()) << "not the same servers";
}

TEST(CopyOverlap, EveryPairThatCollidesHasARowThatIsRefused) {
  // Without this a list of thousands hides the one pair that loses data.
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    std::mt19937 random(seed);
    auto place = [&] {
      std::string path = "s3://";
      path += "ab"[random() % 2];
      for (size_t depth = random() % 4; depth > 0; --depth) (path += '/') += "xy"[random() % 2];
      return path + (random() % 2 ? "/" : "");
    };
    std::vector<Row> rows;
    for (size_t n = 1 + random() % 8; n > 0; --n) rows.push_back(row(place(), place(), random() % 3 == 0));
    std::set<size_t> refused;
    for (const Overlap& overlap : find_overlaps(rows, true)) refused.insert(overlap.row);
    auto text = [](const objects::Location& l) {
      std::string t = l.bucket + "/" + l.path;
      return t.ends_with('/') ? t : t + "/";
    };
    auto holds = [&](const objects::Location& a, const objects::Location& b) {
      return text(b).starts_with(text(a));
    };
    for (size_t i = 0; i < rows.size(); ++i)
      for (size_t j = 0; j < rows.size(); ++j) {
        bool meet = holds(rows[i].from, rows[j].to) || holds(rows[j].to, rows[i].from);
        bool deletes = i != j && rows[i].options.remove_extra && holds(rows[i].to, rows[j].to);
        if (meet || deletes) {
          ASSERT_TRUE(refused.contains(i) || refused.contains(j))
              << "seed " << seed << ": " << rows[i].source << " " << rows[i].destination << " and "
              << rows[j].source << " " << rows[j].destination;
        }
      }
    // And none without a reason.
    for (size_t i : refused) {
      bool reason = false;
      for (size_t j = 0; j < rows.size(); ++j)
        reason |= holds(rows[i].from, rows[j].to) || holds(rows[j].to, rows[i].from) ||
                  holds(rows[j].from, rows[i].to) || holds(rows[i].to, rows[j].from) ||
                  (i != j && (holds(rows[i].to, rows[j].to) || holds(rows[j].to, rows[i].to)));
      ASSERT_TRUE(reason) << "seed " << seed << ": " << rows[i].source << " " << rows[i].destination;
    }
  }
}

}  // namespace
}  // namespace millrace::copy
