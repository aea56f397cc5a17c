#include "exec/line_splitter.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace millrace::exec {
namespace {

std::vector<std::string> split(const std::string& text, size_t step) {
  LineSplitter splitter;
  std::vector<std::string> lines;
  auto emit = [&](std::string_view line) { lines.emplace_back(line); };
  for (size_t at = 0; at < text.size(); at += step)
    splitter.feed(std::string_view(text).substr(at, step), emit);
  splitter.finish(emit);
  return lines;
}

TEST(LineSplitter, KeepsEveryLineWhateverThePieces) {
  // Breaks when a line that came in several reads is lost, doubled or joined with its neighbour.
  std::string text = "one\ntwo\r\n\n\nthree \xff\xfe\nlast without end";
  std::vector<std::string> expected = {"one", "two\r", "three \xff\xfe", "last without end"};
  for (size_t step = 1; step <= text.size(); ++step) EXPECT_EQ(split(text, step), expected) << step;
}

TEST(LineSplitter, CutsLongLinesBetweenCharacters) {
  // Breaks when an event gets larger than CloudWatch takes, or a character is torn in two.
  std::string text = "x";
  while (text.size() < 3 * kEventBytesMax) text += "\u20ac";
  for (size_t step : {size_t{65536}, size_t{1000}, text.size()}) {
    std::string joined;
    auto lines = split(text + "\nnext\n", step);
    ASSERT_GE(lines.size(), 4u);
    EXPECT_EQ(lines.back(), "next");
    lines.pop_back();
    for (const std::string& line : lines) {
      EXPECT_LE(line.size(), kEventBytesMax);
      EXPECT_NE(static_cast<unsigned char>(line[0]) & 0xC0, 0x80);
      joined += line;
    }
    EXPECT_EQ(joined, text);
  }
}

TEST(LineSplitter, PassesBytesThatAreNotTextThrough) {
  // Breaks when binary output is changed or an endless line of continuation bytes never cut.
  std::string text(2 * kEventBytesMax + 5, '\x80');
  std::string joined;
  for (const std::string& line : split(text, 4096)) joined += line;
  EXPECT_EQ(joined, text);
}

}  // namespace
}  // namespace millrace::exec
