// CSV read piece by piece (RFC 4180 with what spreadsheets and people add to it).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::workloads {

struct CsvRecord {
  uint64_t line = 0;  // where it begins, from 1
  std::vector<std::string> fields;
};

// A byte order mark, CRLF or LF, quoted fields with "" and line breaks, blank lines and lines that begin with
// '#' (both passed over), blanks around fields (dropped; kept inside quotes). A quote inside an unquoted
// field is a quote. Memory: one record, at most kRecordBytesMax.
//
// A record that makes no sense is told to `on_bad` with the line it begins on, and reading goes on with the
// next line: a quote that is never closed costs one line and not the rest of the file.
class CsvReader {
 public:
  static constexpr size_t kRecordBytesMax = 32 * 1024;
  using OnRecord = std::function<void(CsvRecord)>;
  using OnBad = std::function<void(uint64_t line, const std::string& why)>;

  CsvReader(OnRecord on_record, OnBad on_bad)
      : on_record_(std::move(on_record)), on_bad_(std::move(on_bad)) {}
  // Throws CorruptError for UTF-16, which is no text that can be read here.
  void feed(std::string_view bytes);
  void finish();

 private:
  enum class State { kStart, kPlain, kQuoted, kQuoteInQuoted, kAfterQuoted, kComment };
  void take_all(std::string_view bytes);
  void take(char c);
  void end_field();
  void end_record();
  void bad(const std::string& why);

  OnRecord on_record_;
  OnBad on_bad_;
  std::string head_;  // the first bytes of the file, until it is known whether they are a mark
  bool head_done_ = false;
  State state_ = State::kStart;
  CsvRecord record_;
  std::string field_;
  std::string raw_;    // of the record so far: read again from its second line when it turns out bad
  std::string again_;  // to be read once more, before anything else
  uint64_t line_ = 1;
};

}  // namespace millrace::workloads
