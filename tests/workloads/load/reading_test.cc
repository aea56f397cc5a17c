// What files say must be what is loaded: dialects, quotes, types, encodings, and the place of what is wrong.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "workloads/load/byte_stream.h"
#include "workloads/load/delimited_reader.h"
#include "workloads/load/inference.h"
#include "workloads/load/json_reader.h"
#include "workloads/load/value.h"

namespace millrace::load {
namespace {

// Gives the text in pieces of `piece` bytes: readers must not care where they end.
class Pieces final : public ByteStream {
 public:
  Pieces(std::string text, size_t piece) : text_(std::move(text)), piece_(piece) {}
  size_t read(char* out, size_t size) override {
    const size_t taken = text_.copy(out, std::min(size, piece_), at_);
    at_ += taken;
    return taken;
  }

 private:
  std::string text_;
  size_t piece_, at_ = 0;
};

std::vector<std::vector<std::string>> all_rows(RowReader& reader) {
  std::vector<std::vector<std::string>> rows;
  Row row;
  while (reader.next(row)) {
    auto& cells = rows.emplace_back();
    if (!row.problem.empty()) cells.push_back("line " + std::to_string(row.line) + ": " + row.problem);
    for (const Cell& cell : row.cells)
      cells.push_back(cell.null ? "NULL" : (cell.quoted ? "q:" : "") + std::string(cell.text));
  }
  return rows;
}

using Rows = std::vector<std::vector<std::string>>;

// Would break: quotes, empty cells against empty texts, CRLF and line breaks in cells would be misread, at
// some block boundary if not everywhere.
TEST(DelimitedReader, ReadsTheSameWhereverBlocksEnd) {
  const std::string text =
      "\xef\xbb\xbf"
      "a,b,c\r\n1,\"x, \"\"y\"\"\",\r\n\r\n2,\"two\nlines\",\"\"\n3,plain \"quote\",z";
  const Rows expected = {
      {"1", "q:x, \"y\"", "NULL"}, {"2", "q:two\nlines", "q:"}, {"3", "plain \"quote\"", "z"}};
  Delimited format;
  format.header = true;
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    auto reader = read_delimited(std::make_unique<Pieces>(text, piece), format, {});
    EXPECT_EQ(reader->names(), (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(all_rows(*reader), expected) << "pieces of " << piece;
  }
}

// Would break: a broken row would take others with it, or be blamed on another line or byte.
TEST(DelimitedReader, TellsWhereABadRowIs) {
  Delimited format;
  auto reader = read_delimited(
      std::make_unique<Pieces>("1,2\n\"a\nb\",2\n3\n\"x\"y,4\n5,6\n\"open,7\n8,9\n", 5), format, {});
  Row row;
  std::vector<std::string> seen;
  while (reader->next(row))
    seen.push_back(std::to_string(row.line) + "@" + std::to_string(row.offset) + " " + row.problem);
  EXPECT_EQ(seen, (std::vector<std::string>{"1@0 ", "2@4 ", "4@12 1 cells instead of 2",
                                            "5@14 text behind a closing quote", "6@21 ",
                                            "7@25 a quote is never closed", "8@33 "}));
}

// Would break: random cells would not come back as they were written.
TEST(DelimitedReader, GivesBackWhatAWriterWrote) {
  const unsigned seed = std::random_device()();
  std::mt19937 random(seed);
  const std::string letters = "ab,\"\n\r;\t 0\xc3\xa9";
  for (int round = 0; round < 200; ++round) {
    std::string text;
    Rows expected;
    for (int line = 0; line < 5; ++line) {
      std::vector<std::string> cells;
      for (int column = 0; column < 3; ++column) {
        std::string cell;
        for (unsigned i = random() % 6; i > 0; --i) cell += letters[random() % letters.size()];
        std::string quoted = "\"";
        for (const char c : cell) quoted += c == '"' ? "\"\"" : std::string(1, c);
        text += (column ? "," : "") + quoted + "\"";
        cells.push_back("q:" + cell);
      }
      text += random() % 2 ? "\r\n" : "\n";
      expected.push_back(cells);
    }
    auto reader = read_delimited(std::make_unique<Pieces>(text, 1 + random() % 20), {}, {});
    ASSERT_EQ(all_rows(*reader), expected) << "seed " << seed << "\n" << text;
  }
}

// Would break: files with other delimiters would become one column.
TEST(Dialect, IsFound) {
  EXPECT_EQ(find_dialect("a;b;c\n1,5;2;3\n", true, 0, '"', 0).delimiter, ';');
  EXPECT_EQ(find_dialect("a\tb\n1\t2, 3\n", true, 0, '"', 0).delimiter, '\t');
  EXPECT_EQ(find_dialect("a|b\n\"1,2\"|3\n", true, 0, '"', 0).delimiter, '|');
  EXPECT_EQ(find_dialect("x\ny\n", true, 0, '"', 0).delimiter, ',');
  EXPECT_EQ(find_dialect("a,b\r1,2\r", true, 0, '"', 0).newline, '\r');
  EXPECT_EQ(find_dialect("\"a \\\"b\\\"\",2\n", true, 0, '"', 0).escape, '\\');
}

Type guess(std::initializer_list<const char*> texts) {
  TypeGuess guess;
  for (const char* text : texts) guess.add({text, *text == 0, false}, false);
  return guess.type();
}

// Would break: postal codes would lose their zeros, amounts their cents, identifiers their last digits.
TEST(Inference, TakesTheNarrowestTypeThatLosesNothing) {
  EXPECT_EQ(guess({"1", "-2", ""}), Type::kInt64);
  EXPECT_EQ(guess({"1", "01"}), Type::kText);
  EXPECT_EQ(guess({"+49", "1"}), Type::kText);
  EXPECT_EQ(guess({"123456789012345678"}), Type::kInt64);
  EXPECT_EQ(guess({"1234567890123456789"}), Type::kText);
  EXPECT_EQ(guess({"1", "2.50"}), Type::kNumeric);
  EXPECT_EQ(guess({"1.5", "2e3"}), Type::kDouble);
  EXPECT_EQ(guess({"true", "F"}), Type::kBool);
  EXPECT_EQ(guess({"1", "true"}), Type::kText);
  EXPECT_EQ(guess({"2024-02-29"}), Type::kDate);
  EXPECT_EQ(guess({"2023-02-29"}), Type::kText);
  EXPECT_EQ(guess({"2024-02-29", "2024-02-29 10:00"}), Type::kTimestamp);
  EXPECT_EQ(guess({"2024-02-29T10:00:00Z", "2024-02-29 10:00:00.5+02"}), Type::kTimestampTz);
  EXPECT_EQ(guess({"2024-02-29T10:00:00Z", "2024-02-29 10:00:00"}), Type::kText);
  EXPECT_EQ(guess({"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}), Type::kUuid);
  EXPECT_EQ(guess({"{\"a\": [1]}"}), Type::kJson);
  EXPECT_EQ(guess({"{not json}"}), Type::kText);
  EXPECT_EQ(guess({"", ""}), Type::kText);
}

std::string problem(const char* declared, std::string_view text) {
  Value value;
  const char* reason = parse_value(column_of("c", declared), text, value);
  return reason ? reason : "";
}

// Would break: values would be rounded, cut, or turned into something else without a word.
TEST(Value, IsRefusedRatherThanChanged) {
  EXPECT_EQ(problem("int", "2147483647"), "");
  EXPECT_NE(problem("int", "2147483648"), "");
  EXPECT_EQ(problem("int", " 5.00 "), "");
  EXPECT_NE(problem("int", "5.5"), "");
  EXPECT_NE(problem("int", "five"), "");
  EXPECT_EQ(problem("numeric(5,2)", "999.99"), "");
  EXPECT_NE(problem("numeric(5,2)", "1000"), "");
  EXPECT_NE(problem("numeric(5,2)", "1.005"), "");
  EXPECT_EQ(problem("numeric(5,2)", "1.50000"), "");
  EXPECT_EQ(problem("numeric(5,2)", "1e2"), "");
  EXPECT_EQ(problem("varchar(3)", "\xc3\xa9\xc3\xa9\xc3\xa9"), "");
  EXPECT_NE(problem("varchar(3)", "abcd"), "");
  EXPECT_NE(problem("text", std::string_view("a\0b", 3)), "");
  EXPECT_NE(problem("text", "\xff"), "");
  EXPECT_NE(problem("date", "2024-13-01"), "");
  EXPECT_NE(problem("date", "2024-01-01 10:00"), "");
  EXPECT_NE(problem("timestamp", "2024-01-01 10:00:00+02"), "");
  EXPECT_EQ(problem("timestamp", "2024-01-01T10:00:00Z"), "");
  EXPECT_NE(problem("timestamptz", "2024-01-01 25:00:00"), "");
  EXPECT_NE(problem("timestamptz", "2024-01-01 10:00:00.1234567"), "");
  EXPECT_NE(problem("bool", "maybe"), "");
  EXPECT_NE(problem("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1"), "");
  EXPECT_NE(problem("json", "{"), "");
  EXPECT_NE(problem("real", "1e39"), "");
}

// Would break: long numbers would lose digits, members would get mixed up, damaged lines would be taken.
TEST(JsonReader, ReadsLinesArraysAndObjectsOverLines) {
  const Rows expected = {{"12345678901234567890.10", "q:x\"y\n", "NULL"},
                         {"2", "NULL", "{\"k\": [1, \"}\"]}"}};
  for (const char* text :
       {"{\"a\": 12345678901234567890.10, \"b\": \"x\\\"y\\n\"}\n{\"c\": {\"k\": [1, \"}\"]}, \"a\": 2}\n",
        " [ {\"a\":12345678901234567890.10,\"b\":\"x\\\"y\\n\",\"c\":null} ,\n{\"c\": {\"k\": [1, \"}\"]}, "
        "\"a\": 2}]",
        "{\n\"a\": 12345678901234567890.10,\n\"b\": \"x\\\"y\\n\"}\n{\"c\": {\"k\": [1, \"}\"]}, \"a\": 2}"})
    for (const size_t piece : {1u, 7u, 1000u}) {
      auto reader = read_json(std::make_unique<Pieces>(text, piece), {"a", "b", "c"}, false);
      EXPECT_EQ(all_rows(*reader), expected) << text;
    }
  auto reader =
      read_json(std::make_unique<Pieces>("{\"a\":1}\n{\"a\":\n{\"z\":1}\n7\n{\"a\":2}", 100), {"a"}, false);
  const Rows rows = all_rows(*reader);
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0], std::vector<std::string>{"1"});
  EXPECT_TRUE(rows[1][0].starts_with("line 2: not JSON")) << rows[1][0];
  EXPECT_TRUE(rows[2][0].starts_with("line 3: has a member")) << rows[2][0];
  EXPECT_TRUE(rows[3][0].starts_with("line 4: not a JSON object")) << rows[3][0];
  EXPECT_EQ(rows[4], std::vector<std::string>{"2"});
  // Which of two values was meant nobody can tell, not even when they are the same; what is not loaded may be
  // there twice.
  auto twice = read_json(
      std::make_unique<Pieces>("{\"a\":1,\"a\":2}\n{\"a\":1,\"\\u0061\":1}\n{\"z\":1,\"a\":3,\"z\":2}", 100),
      {"a"}, true);
  EXPECT_EQ(all_rows(*twice), (Rows{{"line 1: has the member a twice", "{\"a\":1,\"a\":2}"},
                                    {"line 2: has the member a twice", "{\"a\":1,\"\\u0061\":1}"},
                                    {"3"}}));
  auto cut = read_json(std::make_unique<Pieces>("[{\"a\":1},", 100), {"a"}, false);
  EXPECT_THROW(all_rows(*cut), base::CorruptError);
}

// Would break: other encodings would be stored as mojibake, and what is none of them, too.
TEST(Encoding, IsDecodedAndChecked) {
  auto latin = decode_text(std::make_unique<Pieces>("caf\xe9", 1), "latin1");
  EXPECT_EQ(read_front(*latin, 100), "caf\xc3\xa9");
  auto broken = decode_text(std::make_unique<Pieces>(std::string("ab\xff\xfe"), 2), "utf-8");
  EXPECT_THROW(read_front(*broken, 100), base::CorruptError);
  EXPECT_THROW(decode_text(std::make_unique<Pieces>("", 1), "klingon"), base::UsageError);
}

}  // namespace
}  // namespace millrace::load
