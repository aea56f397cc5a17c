#include "workloads/csv_reader.h"

#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::workloads {

void CsvReader::feed(std::string_view bytes) {
  if (!head_done_) {
    head_ += bytes;
    if (head_.size() < 3) return;
    bytes = head_;
    head_done_ = true;
    if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff"))
      throw base::CorruptError("the list is UTF-16; save it as UTF-8");
    if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
    take_all(std::string(bytes));
    head_.clear();
    return;
  }
  take_all(bytes);
}

void CsvReader::take_all(std::string_view bytes) {
  for (char c : bytes) {
    take(c);
    while (!again_.empty()) {
      std::string text = std::exchange(again_, {});
      for (size_t i = 0; i < text.size(); ++i) {
        take(text[i]);
        if (again_.empty()) continue;
        again_ += std::string_view(text).substr(i + 1);
        break;
      }
    }
  }
}

void CsvReader::finish() {
  if (!head_done_) {
    head_done_ = true;
    take_all(std::exchange(head_, {}));
  }
  // What a bad record held beside its first line may end in the middle of a quote again.
  while (state_ == State::kQuoted) {
    bad("a quote is never closed");
    take_all(std::exchange(again_, {}));
  }
  if (!raw_.empty()) end_record();
}

void CsvReader::take(char c) {
  if (raw_.empty()) record_.line = line_;
  if (state_ != State::kComment) raw_ += c;
  if (c == '\n') ++line_;
  if (raw_.size() > kRecordBytesMax && state_ != State::kComment)
    return bad(state_ == State::kQuoted ? "a quote is never closed" : "the row is too long");
  switch (state_) {
    case State::kComment:
      if (c == '\n') end_record();
      return;
    case State::kStart:
      if (c == ' ' || c == '\t') return;
      if (c == '"') {
        state_ = State::kQuoted;
        return;
      }
      if (c == '#' && record_.fields.empty()) {
        state_ = State::kComment;
        return;
      }
      state_ = State::kPlain;
      [[fallthrough]];
    case State::kPlain:
      if (c == '\n') return end_record();
      if (c == ',') {
        field_ = base::trim(field_);
        return end_field();
      }
      field_ += c;
      return;
    case State::kQuoted:
      if (c == '"')
        state_ = State::kQuoteInQuoted;
      else
        field_ += c;
      return;
    case State::kQuoteInQuoted:
      if (c == '"') {
        field_ += '"';
        state_ = State::kQuoted;
        return;
      }
      state_ = State::kAfterQuoted;
      [[fallthrough]];
    case State::kAfterQuoted:
      if (c == '\n') return end_record();
      if (c == ',') return end_field();
      if (c != ' ' && c != '\t' && c != '\r') return bad("text behind the closing quote of a field");
      return;
  }
}

void CsvReader::end_field() {
  record_.fields.push_back(std::move(field_));
  field_.clear();
  state_ = State::kStart;
}

void CsvReader::end_record() {
  bool comment = state_ == State::kComment,
       quoted = state_ == State::kQuoteInQuoted || state_ == State::kAfterQuoted;
  if (!quoted) field_ = base::trim(field_);
  bool blank = record_.fields.empty() && !quoted && field_.empty();
  CsvRecord record;
  if (!comment && !blank) {
    end_field();
    record = std::move(record_);
  }
  record_ = {};
  field_.clear();
  raw_.clear();
  state_ = State::kStart;
  if (!record.fields.empty()) on_record_(std::move(record));
}

void CsvReader::bad(const std::string& why) {
  std::string raw = std::move(raw_);
  uint64_t line = record_.line;
  record_ = {};
  field_.clear();
  raw_.clear();
  on_bad_(line, why);
  size_t end = raw.find('\n');
  if (end == std::string::npos) {
    state_ = State::kComment;  // the rest of this line is of no use either
    raw_ = " ";
    record_.line = line;
    return;
  }
  state_ = State::kStart;
  line_ = line + 1;
  again_ = raw.substr(end + 1);  // each turn leaves out a line, so this ends
}

}  // namespace millrace::workloads
