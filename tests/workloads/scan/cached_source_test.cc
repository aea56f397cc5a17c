#include "workloads/scan/cached_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "base/error.h"

namespace millrace::scan {
namespace {

// One object in memory; notes what is asked for.
class OneObject final : public objects::ObjectReader {
 public:
  OneObject(std::string bytes, std::string etag) : bytes_(std::move(bytes)), etag_(std::move(etag)) {}
  objects::ObjectInfo info() const {
    objects::ObjectInfo info;
    info.key = "k";
    info.size = bytes_.size();
    info.etag = etag_;
    return info;
  }
  void list(std::string_view, const std::function<bool(const objects::ObjectInfo&)>&) override {}
  objects::ObjectInfo head(std::string_view) override { return info(); }
  size_t read(std::string_view, uint64_t offset, char* out, size_t length, std::string_view etag) override {
    EXPECT_EQ(etag, etag_);
    asked.emplace_back(offset, length);
    if (offset >= bytes_.size()) return 0;
    length = std::min(length, bytes_.size() - static_cast<size_t>(offset));
    std::memcpy(out, bytes_.data() + offset, length);
    return length;
  }
  std::string url() const override { return "memory"; }

  void shrink(size_t size) { bytes_.resize(size); }

  std::vector<std::pair<uint64_t, size_t>> asked;

 private:
  std::string bytes_, etag_;
};

std::string some_bytes(size_t size, std::mt19937& random) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

// Without it, readers would see bytes of another place wherever blocks, tails and growing heads meet.
TEST(CachedSource, GivesTheBytesOfTheFileWhateverIsAsked) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const std::string bytes = some_bytes(random() % 3 == 0 ? random() % 9000 : random() % 400'000, random);
    OneObject object(bytes, seed % 2 == 0 ? "etag" : "");
    CachedSource source(object);
    source.open(object.info(), {.bytes_max = 1 << 30, .requests_max = 100'000, .block_bytes = 32 << 10});
    for (int i = 0; i < 400; ++i) {
      if (i == 200)
        source.set_budget({.bytes_max = 1 << 30, .requests_max = 100'000, .block_bytes = 64 << 10});
      uint64_t offset = random() % (bytes.size() + 10);
      if (random() % 4 == 0) offset = bytes.size() - std::min<size_t>(bytes.size(), random() % 5000);
      size_t length = random() % 3 == 0 ? random() % 100'000 : random() % 64;
      const std::string_view wanted =
          offset < bytes.size() ? std::string_view(bytes).substr(offset, length) : std::string_view();
      switch (random() % 3) {
        case 0:
          EXPECT_EQ(source.read_some(offset, length), wanted);
          break;
        case 1: {
          std::string_view window = source.window(offset, length);
          ASSERT_GE(window.size(), wanted.size());
          EXPECT_EQ(window, std::string_view(bytes).substr(std::min(offset, bytes.size()), window.size()));
          break;
        }
        default:
          if (wanted.size() == length && offset <= bytes.size())
            EXPECT_EQ(source.read(offset, length), wanted);
          else
            EXPECT_THROW(source.read(offset, length), base::CorruptError);
      }
    }
    uint64_t read = 0;
    for (auto [offset, length] : object.asked) read += length;
    EXPECT_EQ(source.bytes_read(), read);
    EXPECT_EQ(source.requests(), object.asked.size());
  }
}

// Without it, every picture of a local tree would cost a copy of 32 KiB, or a second look at its first bytes.
TEST(CachedSource, AsksLittleOfPlainFilesAtFirstAndForTheRestOnce) {
  std::mt19937 random(1);
  const std::string bytes = some_bytes(100'000, random);
  OneObject plain(bytes, ""), stored(bytes, "etag");
  CachedSource of_file(plain), of_bucket(stored);
  of_file.open(plain.info(), kMediaBudget);
  of_bucket.open(stored.info(), kMediaBudget);
  EXPECT_EQ(of_file.bytes_read(), 8192u);
  EXPECT_EQ(of_bucket.bytes_read(), 32768u);
  EXPECT_EQ(of_file.read(8190, 10), std::string_view(bytes).substr(8190, 10));
  EXPECT_EQ(of_file.bytes_read(), 32768u);
  EXPECT_EQ(of_file.requests(), 2u);
  of_file.read(0, 32768);
  of_file.window(20'000, 5);
  EXPECT_EQ(of_file.requests(), 2u);
}

// Without it, a reader that wants all of a hostile file would get it.
TEST(CachedSource, KeepsToItsBudget) {
  std::mt19937 random(1);
  OneObject object(some_bytes(1 << 20, random), "etag");
  CachedSource source(object);
  source.open(object.info(), {.bytes_max = 100'000, .requests_max = 100, .block_bytes = 32 << 10});
  source.read(40'000, 4);
  source.read(70'000, 4);
  EXPECT_THROW(source.read(200'000, 4), BudgetError);
  source.open(object.info(), {.bytes_max = 1 << 30, .requests_max = 2, .block_bytes = 32 << 10});
  source.read(40'000, 4);
  EXPECT_THROW(source.read(200'000, 4), BudgetError);
  // One that is smaller than what was read is used up; it is not one without an end.
  source.set_budget({.bytes_max = 10'000, .requests_max = 100, .block_bytes = 32 << 10});
  EXPECT_THROW(source.read(300'000, 4), BudgetError);
}

// Without it, of a file that gets shorter while it is read old bytes of the buffer would be taken for its
// own.
TEST(CachedSource, AFileThatShrinksHasChanged) {
  std::mt19937 random(1);
  const std::string bytes = some_bytes(100'000, random);
  OneObject object(bytes, "");
  CachedSource source(object);
  source.open(object.info(), kMediaBudget);
  object.shrink(10'000);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(source.read(8190, 10), ChangedError);
    EXPECT_THROW(source.window(9'000, 2), ChangedError);
    EXPECT_THROW(source.read(99'990, 10), ChangedError);
    EXPECT_EQ(source.read(100, 8000), std::string_view(bytes).substr(100, 8000)) << "that was read before";
  }
}

}  // namespace
}  // namespace millrace::scan
