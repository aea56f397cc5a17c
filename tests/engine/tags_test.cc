#include "engine/tags.h"

#include <gtest/gtest.h>

#include "engine/reject.h"

namespace millrace::engine {
namespace {

std::string repeat(const std::string& text, size_t times) {
  std::string out;
  while (times-- > 0) out += text;
  return out;
}

TEST(Tags, LengthsCountCharacters) {
  // AWS takes 128 and 256 characters; names in other scripts take two to four bytes for each.
  json::object tags;
  merge_tags(tags, {{repeat("日", 128), repeat("😀", 256)}});
  EXPECT_EQ(tags.size(), 1u);
  EXPECT_THROW(merge_tags(tags, {{repeat("日", 129), ""}}), Reject);
  EXPECT_THROW(merge_tags(tags, {{"k", repeat("é", 257)}}), Reject);
  EXPECT_THROW(merge_tags(tags, {{"", "v"}}), Reject);
  EXPECT_THROW(merge_tags(tags, {{"aws:k", "v"}}), Reject);
  EXPECT_EQ(tags.size(), 1u);
}

TEST(Tags, AtMostFiftyAndARefusalLeavesThemAlone) {
  json::object tags, fifty;
  for (int i = 0; i < 50; ++i) fifty["k" + std::to_string(i)] = "v";
  merge_tags(tags, fifty);
  EXPECT_THROW(merge_tags(tags, {{"k0", "new"}, {"k50", "v"}}), Reject);
  EXPECT_EQ(tags.at("k0"), "v");
  merge_tags(tags, {{"k0", "new"}});
  EXPECT_EQ(tags.at("k0"), "new");
}

}  // namespace
}  // namespace millrace::engine
