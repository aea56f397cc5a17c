#include <gtest/gtest.h>
#include <zstd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "base/error.h"
#include "tests/workloads/stac/round_trip.h"

namespace millrace::stac {
namespace {

std::string unpacked(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string packed{std::istreambuf_iterator<char>(file), {}};
  std::string out(ZSTD_getFrameContentSize(packed.data(), packed.size()), '\0');
  const size_t size = ZSTD_decompress(out.data(), out.size(), packed.data(), packed.size());
  out.resize(ZSTD_isError(size) ? 0 : size);
  return out;
}

// Real items of many catalogues: MILLRACE_CORPUS/stac/items.ndjson.zst.
class RoundTripOfRealItems : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* corpus = std::getenv("MILLRACE_CORPUS");
    if (!corpus) GTEST_SKIP() << "MILLRACE_CORPUS is not set";
    const std::string text = unpacked(std::string(corpus) + "/stac/items.ndjson.zst");
    ASSERT_FALSE(text.empty());
    ItemChecker checker;
    std::map<std::string, int> ids;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      std::string line = text.substr(begin, end - begin);
      begin = end + 1;
      try {
        const auto& item = checker.check(line, "made");
        // The same item from two places, with differences: both must come through.
        base::json::object object = base::parse_json(item.line, 128).get_object();
        const std::string id(*base::find_string(object, "id"));
        if (int n = ids[id]++) object["id"] = id + " #" + std::to_string(n);
        collections_[item.collection].push_back(base::json::serialize(object));
      } catch (const base::CorruptError&) {
        ++refused_;
      }
    }
  }

  void expect_all_back(const std::vector<std::string>& items, const std::string& name) {
    millrace::testing::TemporaryFolder folder;
    const Written written = write_items(folder, items);
    auto back = read_back(written.path);
    EXPECT_EQ(written.report.rows, items.size()) << name;
    for (const auto& text : items) {
      base::json::value item = base::parse_json(text, 128);
      auto& other = back[std::string(*base::find_string(item.get_object(), "id"))];
      if (!other.is_object()) {
        ADD_FAILURE() << name << " lost " << text.substr(0, 200);
        continue;
      }
      if (!item.get_object().contains("bbox")) other.get_object().erase("bbox");
      const std::string found = difference(item, other, "", true);
      EXPECT_EQ(found, "") << name << " " << *base::find_string(item.get_object(), "id");
    }
  }

  std::map<std::string, std::vector<std::string>> collections_;
  size_t refused_ = 0;
};

TEST_F(RoundTripOfRealItems, EachCollectionInAFileOfItsOwn) {
  // Without this members of items that really exist vanish or change.
  size_t items = 0;
  for (const auto& [name, texts] : collections_) {
    expect_all_back(texts, name);
    items += texts.size();
  }
  EXPECT_GT(items, 3300u);
  EXPECT_LT(refused_, 60u);
}

TEST_F(RoundTripOfRealItems, AllCollectionsInOneFile) {
  // Without this catalogues that name and type things differently cannot be in one file.
  std::vector<std::string> all;
  std::set<std::string> ids;
  for (const auto& [name, texts] : collections_) {
    for (const auto& text : texts) {
      const base::json::value item = base::parse_json(text, 128);
      if (ids.insert(std::string(*base::find_string(item.get_object(), "id"))).second) all.push_back(text);
    }
  }
  expect_all_back(all, "all");
}

}  // namespace
}  // namespace millrace::stac
