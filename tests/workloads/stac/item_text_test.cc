#include "workloads/stac/item_text.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <random>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "tests/workloads/stac/made_item.h"

namespace millrace::stac {
namespace {

using testing::text_of;

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(bytes.size() + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1));
  return out;
}

// In pieces of any length.
std::vector<base::json::value> read(const std::string& bytes, Compression compression, std::mt19937& random) {
  std::vector<base::json::value> items;
  ItemText text(compression,
                [&](std::string_view item, const std::string&) { items.push_back(base::parse_json(item)); });
  for (size_t at = 0; at < bytes.size();) {
    size_t n = std::min<size_t>(1 + random() % (random() % 2 ? 10 : 3000), bytes.size() - at);
    text.feed(std::string_view(bytes).substr(at, n));
    at += n;
  }
  text.finish();
  return items;
}

// Without this items of some file are lost, or glued together, depending on how it is written and read.
TEST(ItemText, AllFormsGiveTheSameItems) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 30; ++round) {
    std::vector<std::string> texts;
    std::vector<base::json::value> expected;
    for (size_t i = 0, count = random() % 8; i < count; ++i) {
      texts.push_back(text_of({.id = "item{[\\\"]}" + std::to_string(i), .more = ",\"n\":\"\\\\\""}));
      expected.push_back(base::parse_json(texts.back()));
    }
    std::string lines, sequence, joined = base::join(texts, " ,\n ");
    for (const std::string& text : texts) {
      lines += text + (random() % 4 ? "\n" : "\r\n\n");
      sequence += "\x1e" + text + "\n";
    }
    if (!lines.empty() && random() % 2) lines.pop_back();
    for (const std::string& form :
         {lines, "\xef\xbb\xbf" + lines, sequence, "[" + joined + "]\n", " [ " + joined + "]",
          R"({"type":"FeatureCollection","features":[)" + joined + "]}",
          "{\n\"numberMatched\":3,\n\"features\":[" + joined + "],\"type\":\"FeatureCollection\"}\n"}) {
      EXPECT_EQ(read(form, Compression::kNone, random), expected) << form;
      if (form.empty()) continue;
      EXPECT_EQ(read(gzip(form), Compression::kGzip, random), expected);
      EXPECT_EQ(read(gzip(form.substr(0, form.size() / 2)) + gzip(form.substr(form.size() / 2)),
                     Compression::kGzip, random),
                expected);
      EXPECT_EQ(read(zstd(form), Compression::kZstd, random), expected);
      for (auto [archive, compression] :
           {std::pair(gzip(form), Compression::kGzip), std::pair(zstd(form), Compression::kZstd)}) {
        archive.resize(archive.size() - 1 - random() % (archive.size() - 1));
        EXPECT_THROW(read(archive, compression, random), base::CorruptError);
      }
    }
    if (texts.empty()) continue;
    std::string collection = R"({"type":"FeatureCollection","features":[)" + joined + "]}";
    collection.resize(collection.size() - 1 - random() % (collection.size() - 45));
    EXPECT_THROW(read(collection, Compression::kNone, random), base::CorruptError) << collection;
    // A single item over several lines.
    std::string pretty = base::replace_all(texts[0], ",\"", "\n,\"");
    EXPECT_EQ(read(pretty, Compression::kNone, random).size(), 1U);
  }
}

// Without this what is no item stops a whole folder, or its names hide how it is compressed.
TEST(ItemText, WhatIsNoItemIsCounted) {
  ItemText text(Compression::kNone, [](std::string_view, const std::string&) { FAIL(); });
  text.feed(
      "{\"id\":\"c\",\"links\":[{\"type\":\"Feature\"}],\"type\":\"Catalog\"}\n{\"type\":\"Collection\"}\n");
  text.finish();
  EXPECT_EQ(text.others(), 2U);
  EXPECT_EQ(named_as("a/b.NDJSON.GZ").compression, Compression::kGzip);
  EXPECT_TRUE(named_as("a/b.geojson.zst").items);
  EXPECT_FALSE(named_as("a.json/readme.txt").items);
  EXPECT_FALSE(named_as("picture.gz").items);
}

}  // namespace
}  // namespace millrace::stac
