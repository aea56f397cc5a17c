#include "workloads/copy/manifest.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"

namespace millrace::copy {
namespace {

using workloads::CsvReader;
using workloads::CsvRecord;

struct Read {
  std::vector<CsvRecord> records;
  std::vector<std::pair<uint64_t, std::string>> bad;
};

Read read_csv(std::string_view text, size_t piece) {
  Read read;
  CsvReader reader([&](CsvRecord record) { read.records.push_back(std::move(record)); },
                   [&](uint64_t line, const std::string& why) { read.bad.emplace_back(line, why); });
  for (size_t at = 0; at < text.size(); at += piece) reader.feed(text.substr(at, piece));
  reader.finish();
  return read;
}

std::vector<std::vector<std::string>> fields(const Read& read) {
  std::vector<std::vector<std::string>> all;
  for (const CsvRecord& record : read.records) all.push_back(record.fields);
  return all;
}

TEST(CopyCsv, ReadsWhatSpreadsheetsAndPeopleWrite) {
  // Without this a byte order mark becomes part of a bucket's name, and a blank line ends the job.
  Read read = read_csv(
      "\xef\xbb\xbfs3://a/x/ , s3://b/y/ \r\n"
      "\r\n"
      "  # a comment, with a comma\n"
      "\"s3://a/with,comma \", \"a \"\"quote\"\"\" ,x\n"
      "   \n"
      "\"two\nlines\",b\n"
      "in\"side,\"\"\n"
      "last,one",
      3);
  EXPECT_EQ(fields(read), (std::vector<std::vector<std::string>>{{"s3://a/x/", "s3://b/y/"},
                                                                 {"s3://a/with,comma ", "a \"quote\"", "x"},
                                                                 {"two\nlines", "b"},
                                                                 {"in\"side", ""},
                                                                 {"last", "one"}}));
  std::vector<uint64_t> lines;
  for (const CsvRecord& record : read.records) lines.push_back(record.line);
  EXPECT_EQ(lines, (std::vector<uint64_t>{1, 4, 6, 8, 9}));
  EXPECT_TRUE(read.bad.empty());
}

TEST(CopyCsv, AQuoteThatIsNeverClosedCostsItsLineAndNotTheRest) {
  // Without this one typing mistake in line 1 silently swallows ten thousand rows.
  std::string text = "a,b\n\"open,c\n";
  for (int i = 0; i < 5000; ++i) text += "x" + std::to_string(i) + ",y\n";
  Read read = read_csv(text, 1000);
  EXPECT_EQ(read.records.size(), 5001u);
  EXPECT_EQ(read.records.back().fields[0], "x4999");
  EXPECT_EQ(read.records.back().line, 5002u);
  ASSERT_EQ(read.bad.size(), 1u);
  EXPECT_EQ(read.bad[0].first, 2u);
  read = read_csv("\"open,c\n1,\"2\"\n\"open again\n3,4", 1);
  EXPECT_EQ(fields(read), (std::vector<std::vector<std::string>>{{"1", "2"}, {"3", "4"}}));
  EXPECT_EQ(read.bad.size(), 2u);
  read = read_csv("\"a\"b,c\nd,e\n", 100);
  EXPECT_EQ(fields(read), (std::vector<std::vector<std::string>>{{"d", "e"}}));
  read = read_csv(std::string(100'000, 'x') + ",b\nc,d\n", 4096);
  EXPECT_EQ(fields(read), (std::vector<std::vector<std::string>>{{"c", "d"}})) << "a row of 100 kB";
  EXPECT_EQ(read.bad.at(0).first, 1u);
  EXPECT_THROW(read_csv(std::string("\xff\xfes\0", 4), 4), base::CorruptError) << "UTF-16";
}

TEST(CopyCsv, AnyTextSurvivesQuotingWhateverThePieces) {
  // Without this keys with quotes, commas or line breaks are copied under other names.
  for (uint32_t seed = 1; seed <= 2000; ++seed) {
    std::mt19937 random(seed);
    std::vector<std::vector<std::string>> rows(1 + random() % 5);
    std::string text;
    for (auto& row : rows) {
      row.resize(1 + random() % 4);
      for (size_t i = 0; i < row.size(); ++i) {
        for (size_t n = random() % 6; n > 0; --n) row[i] += "ab,\"\n\r #\xc3\xa9"[random() % 10];
        std::string quoted;
        for (char c : row[i]) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
        text += (i > 0 ? ",\"" : "\"") + quoted + "\"";
      }
      text += random() % 2 ? "\n" : "\r\n";
    }
    Read read = read_csv(text, 1 + random() % 7);
    ASSERT_EQ(fields(read), rows) << "seed " << seed << "\n" << text;
    ASSERT_TRUE(read.bad.empty());
  }
}

struct Rows {
  std::vector<Row> rows;
  std::vector<std::pair<uint64_t, std::string>> bad;
};

Rows read_rows(std::string_view text, Header header, RowOptions defaults = {}, bool own = true) {
  Rows read;
  ManifestReader reader(
      header, std::move(defaults), own, [&](Row row) { read.rows.push_back(std::move(row)); },
      [&](uint64_t line, const std::string& why) { read.bad.emplace_back(line, why); });
  reader.feed(text);
  reader.finish();
  return read;
}

TEST(CopyManifest, KeysAreTakenLiterally) {
  // Without this '#', '?' and '//' in keys lead to other objects than those that were named.
  Rows read =
      read_rows("s3://b/a//b.txt,s3://c/a#1.txt\ns3://b/q?x=1/y.txt,s3://c/%20/../x\n", Header::kAuto);
  ASSERT_EQ(read.rows.size(), 2u);
  EXPECT_EQ(read.rows[0].from.path, "a//b.txt");
  EXPECT_EQ(read.rows[0].to.path, "a#1.txt");
  EXPECT_EQ(read.rows[1].from.path, "q?x=1/y.txt");
  EXPECT_EQ(read.rows[1].to.path, "%20/../x");
}

TEST(CopyManifest, HeadersNameColumnsAndRowsTheirOptions) {
  // Without this the first row is lost, or a header is taken for a row; and one row's --delete is
  // everybody's.
  Rows read = read_rows(
      "Destination,Source,Comment,Delete,Exclude,Include,Storage-Class,ACL\n"
      "s3://b/,s3://a/,hello,TRUE,*,*.jpg;*.png,GLACIER_IR,none\n"
      "s3://d/,s3://c/\n",
      Header::kAuto, {false, {{false, "tmp/*"}}, "private", ""});
  ASSERT_EQ(read.rows.size(), 2u);
  EXPECT_EQ(read.rows[0].source, "s3://a/");
  EXPECT_EQ(read.rows[0].line, 2u);
  EXPECT_TRUE(read.rows[0].options.remove_extra);
  EXPECT_EQ(read.rows[0].options.filters,
            (std::vector<FilterRule>{{false, "tmp/*"}, {false, "*"}, {true, "*.jpg"}, {true, "*.png"}}));
  EXPECT_EQ(read.rows[0].options.storage_class, "GLACIER_IR");
  EXPECT_EQ(read.rows[0].options.acl, "");
  EXPECT_FALSE(read.rows[1].options.remove_extra);
  EXPECT_EQ(read.rows[1].options.acl, "private");
  read = read_rows("s3://a/,s3://b/,delete=true,what=ever\n", Header::kAuto);
  EXPECT_TRUE(read.rows.at(0).options.remove_extra);
  read = read_rows("s3://a/,s3://b/,delete=true\n", Header::kNo, {}, false);
  EXPECT_FALSE(read.rows.at(0).options.remove_extra) << "the original passes further columns over";
  EXPECT_EQ(read_rows("s3://a/,s3://b/\ns3://c/,s3://d/\n", Header::kYes).rows.size(), 1u);
  EXPECT_TRUE(read_rows("", Header::kYes).rows.empty());
}

TEST(CopyManifest, BadRowsAreNamedAndTheOthersGoOn) {
  // Without this one bad row stops the job, or is passed over in silence.
  Rows read = read_rows(
      "s3://a/,s3://b/\n"
      "s3://a/\n"
      "http://a/,s3://b/\n"
      "s3:///x,s3://b/\n"
      ",s3://b/\n"
      "s3://a?x/,s3://b/\n"
      "s3://a/,s3://b/,delete=perhaps\n"
      "s3://a/" +
          std::string(1025, 'k') +
          ",s3://b/\n"
          "s3://a/\xff,s3://b/\n"
          "s3://c/,s3://d/\n",
      Header::kNo);
  EXPECT_EQ(read.rows.size(), 2u);
  std::vector<uint64_t> lines;
  for (const auto& [line, why] : read.bad) lines.push_back(line);
  EXPECT_EQ(lines, (std::vector<uint64_t>{2, 3, 4, 5, 6, 7, 8, 9}));
}

}  // namespace
}  // namespace millrace::copy
