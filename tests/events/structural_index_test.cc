#include "events/structural_index.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/error.h"

namespace millrace::events {
namespace {

using Way = StructuralIndex::Way;

// Byte by byte, as one would explain it.
std::vector<uint32_t> expected(std::string_view text, bool* open) {
  std::vector<uint32_t> out;
  bool in_string = false, escape = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escaped = i > 0 && escape;
    escape = text[i] == '\\' && !escaped;
    if (text[i] == '"' && !escaped) {
      in_string = !in_string;
    } else if (!in_string && std::string_view("{}[]:,").find(text[i]) != std::string_view::npos) {
      out.push_back(static_cast<uint32_t>(i));
    }
  }
  *open = in_string;
  return out;
}

class StructuralIndexWays : public ::testing::TestWithParam<Way> {};

TEST_P(StructuralIndexWays, AgreeWithReadingByteByByte) {
  // Without this events are torn apart differently on processors that the build machine is not.
  if (!StructuralIndex::can(GetParam())) GTEST_SKIP() << "this processor cannot";
  StructuralIndex index(GetParam());
  std::mt19937_64 random(9);
  for (int round = 0; round < 20000; ++round) {
    std::vector<char> text(random() % 300);
    const std::string_view bytes = random() % 2 ? "{}[]:,\"\\ aZ[{;<" : "\\\\\\\"\"a{}x,";
    for (char& c : text) c = bytes[random() % bytes.size()];
    const std::string_view view(text.data(), text.size());
    bool open = false;
    const auto wanted = expected(view, &open);
    try {
      index.build(view);
      ASSERT_FALSE(open) << view;
      ASSERT_EQ(std::vector<uint32_t>(index.positions(), index.positions() + index.size()), wanted) << view;
      ASSERT_EQ(index.has_backslash(), view.find('\\') != std::string_view::npos);
    } catch (const base::CorruptError&) {
      ASSERT_TRUE(open) << view;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, StructuralIndexWays,
                         ::testing::Values(Way::kPortable, Way::kAvx2, Way::kAvx512));

}  // namespace
}  // namespace millrace::events
