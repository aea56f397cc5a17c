#include "workloads/load/delimited_reader.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::load {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kSlack = 16;  // readable bytes behind the end, for reads of 16 at once
constexpr size_t kFieldsMax = 10'000;

// The first byte at or behind `at` that is one of both; `end` when there is none. 16 bytes behind `end` may
// be read.
inline const char* find_either(const char* at, const char* end, char a, char b) {
#ifdef __SSE2__
  const __m128i first = _mm_set1_epi8(a), second = _mm_set1_epi8(b);
  for (; at < end; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const auto mask = static_cast<unsigned>(
        _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, first), _mm_cmpeq_epi8(bytes, second))));
    if (mask) return std::min(at + std::countr_zero(mask), end);
  }
  return end;
#else
  while (at < end && *at != a && *at != b) ++at;
  return at;
#endif
}

enum class Parsed { kRecord, kMore, kBad };

// One record. Unescapes in place, so what was parsed cannot be parsed again.
class RecordParser {
 public:
  explicit RecordParser(const Delimited& format) : format_(format) {}

  // Parses the record at `begin`. kMore: it may go on behind `end` (never when `last`). kBad: `problem` says
  // why and `next` is the line behind the record's first. `lines`: line ends in it.
  Parsed parse(char* begin, char* end, bool last, std::vector<Cell>& cells) {
    const char delimiter = format_.delimiter, newline = format_.newline, quote = format_.quote;
    cells.clear();
    pending_.clear();
    lines = 1;
    problem = nullptr;
    char* at = begin;
    for (;;) {
      Cell cell;
      if (quote && at < end && *at == quote) {
        if (!find_closing(at, end, cell)) {
          if (!last && static_cast<size_t>(end - begin) < kRecordBytesMax) return Parsed::kMore;
          return bad(begin, end, last, "a quote is never closed", cells);
        }
        at = closing_ + 1;
        // CR before LF, also when what follows is not there yet.
        if (newline == '\n' && at < end && *at == '\r' && (at + 1 < end ? at[1] == '\n' : last)) ++at;
        if (at >= end) {
          if (!last) return Parsed::kMore;
        } else if (*at != delimiter && *at != newline) {
          if (*at == '\r' && at + 1 == end) return Parsed::kMore;
          return bad(begin, end, last, "text behind a closing quote", cells);
        }
        pending_.push_back(cell);
      } else {
        char* stop = const_cast<char*>(find_either(at, end, delimiter, newline));
        if (stop == end && !last) {
          if (static_cast<size_t>(end - begin) < kRecordBytesMax) return Parsed::kMore;
          return bad(begin, end, last, "a line longer than 16 MiB", cells);
        }
        size_t size = static_cast<size_t>(stop - at);
        if (newline == '\n' && size > 0 && stop[-1] == '\r' && (stop == end || *stop == newline)) --size;
        cell.text = {at, size};
        cell.null = size == 0 || (!format_.null_text.empty() && cell.text == format_.null_text);
        pending_.push_back(cell);
        at = stop;
      }
      if (pending_.size() > kFieldsMax) return bad(begin, end, last, "more than 10,000 columns", cells);
      if (at >= end || *at == newline) break;
      ++at;
    }
    // Only now that it is whole may escapes be taken out.
    for (Cell& cell : pending_)
      if (cell.quoted) unescape(cell);
    cells.swap(pending_);
    next = at < end ? at + 1 : end;
    return Parsed::kRecord;
  }

  const char* problem = nullptr;
  char* next = nullptr;
  uint64_t lines = 1;

 private:
  bool find_closing(char* opening, char* end, Cell& cell) {
    char* at = opening + 1;
    for (;;) {
      at = const_cast<char*>(find_either(at, end, format_.quote, format_.newline));
      if (at == end) return false;
      if (*at == format_.newline) {
        ++lines;
        ++at;
        continue;
      }
      if (format_.escape == format_.quote) {
        if (at + 1 == end || at[1] != format_.quote) break;  // at the very end: more may follow, see kMore
        at += 2;
        continue;
      }
      size_t escapes = 0;
      while (at - escapes > opening + 1 && at[-1 - static_cast<ptrdiff_t>(escapes)] == format_.escape)
        ++escapes;
      if (escapes % 2 == 0) break;
      ++at;
    }
    closing_ = at;
    cell.text = {opening + 1, static_cast<size_t>(at - opening - 1)};
    cell.quoted = true;
    return true;
  }

  void unescape(Cell& cell) {
    char* const begin = const_cast<char*>(cell.text.data());
    char* const end = begin + cell.text.size();
    char* from = static_cast<char*>(std::memchr(begin, format_.escape, cell.text.size()));
    if (!from) return;
    char* to = from;
    while (from < end) {
      if (*from == format_.escape && from + 1 < end &&
          (from[1] == format_.quote || from[1] == format_.escape))
        ++from;
      *to++ = *from++;
    }
    cell.text = {begin, static_cast<size_t>(to - begin)};
  }

  Parsed bad(char* begin, char* end, bool last, const char* why, std::vector<Cell>& cells) {
    problem = why;
    char* stop = static_cast<char*>(std::memchr(begin, format_.newline, static_cast<size_t>(end - begin)));
    // The rest of the line has to go with it.
    if (!stop && !last && static_cast<size_t>(end - begin) < kRecordBytesMax) return Parsed::kMore;
    next = stop ? stop + 1 : end;
    lines = 1;
    Cell cell;
    cell.text = base::trim(std::string_view(begin, static_cast<size_t>((stop ? stop : end) - begin)));
    cells.assign(1, cell);
    return Parsed::kBad;
  }

  const Delimited format_;
  std::vector<Cell> pending_;
  char* closing_ = nullptr;
};

class DelimitedReader final : public RowReader {
 public:
  DelimitedReader(std::unique_ptr<ByteStream> stream, const Delimited& format, std::vector<std::string> names)
      : stream_(std::move(stream)), parser_(format), names_(std::move(names)) {
    buffer_.resize(2 * kReadBytes);
    while (end_ < 3 && fill()) {
    }
    if (end_ - begin_ >= 3 && std::memcmp(buffer_.data(), "\xef\xbb\xbf", 3) == 0) begin_ = 3;
    offset_ = begin_;
    if (format.header) read_header();
    width_ = names_.size();
    Row row;
    if (width_ == 0 && read(row)) {
      width_ = row.problem.empty() ? row.cells.size() : 1;
      // Given again by next(): what was unescaped in place stays.
      first_ = std::move(row);
    }
  }

  const std::vector<std::string>& names() const override { return names_; }
  size_t width() const override { return width_; }

  bool next(Row& row) override {
    do {
      if (first_) {
        row = std::move(*first_);
        first_.reset();
      } else if (!read(row)) {
        return false;
      }
    } while (width_ > 1 && row.cells.size() == 1 && row.cells[0].text.empty() && !row.cells[0].quoted);
    if (row.problem.empty() && row.cells.size() != width_)
      row.problem = std::to_string(row.cells.size()) + " cells instead of " + std::to_string(width_);
    return true;
  }

 private:
  bool read(Row& row) {
    row.problem.clear();
    for (;;) {
      if (begin_ == end_ && (ended_ || !fill())) return false;
      char* const begin = buffer_.data() + begin_;
      const Parsed parsed = parser_.parse(begin, buffer_.data() + end_, ended_, row.cells);
      if (parsed == Parsed::kMore) {
        fill();
        continue;
      }
      row.line = line_;
      row.offset = offset_;
      if (parsed == Parsed::kBad) row.problem = parser_.problem;
      const auto used = static_cast<size_t>(parser_.next - begin);
      begin_ += used;
      offset_ += used;
      line_ += parser_.lines;
      return true;
    }
  }

  // Reads more behind what is kept; false at the end.
  bool fill() {
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    if (buffer_.size() < end_ + kReadBytes + kSlack) buffer_.resize(2 * (end_ + kReadBytes) + kSlack);
    const size_t got = stream_->read(buffer_.data() + end_, buffer_.size() - kSlack - end_);
    ended_ = got == 0;
    end_ += got;
    return got > 0;
  }

  void read_header() {
    Row row;
    while (read(row)) {
      if (row.cells.size() == 1 && row.cells[0].text.empty() && !row.cells[0].quoted) continue;
      if (!row.problem.empty()) throw base::CorruptError("the header cannot be read: " + row.problem);
      names_.clear();
      for (const Cell& cell : row.cells) names_.emplace_back(base::trim(cell.text));
      return;
    }
  }

  std::unique_ptr<ByteStream> stream_;
  RecordParser parser_;
  std::vector<std::string> names_;
  size_t width_ = 0;
  std::string buffer_;
  size_t begin_ = 0, end_ = 0;
  bool ended_ = false;
  uint64_t line_ = 1, offset_ = 0;
  std::optional<Row> first_;
};

}  // namespace

std::vector<std::vector<std::string>> read_sample(std::string_view sample, bool whole,
                                                  const Delimited& format, size_t rows_max) {
  Delimited plain = format;
  plain.header = false;
  std::string text(sample);
  const size_t size = text.size();
  text.resize(size + kSlack);
  RecordParser parser(plain);
  std::vector<std::vector<std::string>> rows;
  std::vector<Cell> cells;
  char* at = text.data() + (sample.starts_with("\xef\xbb\xbf") ? 3 : 0);
  char* const end = text.data() + size;
  while (at < end && rows.size() < rows_max) {
    const Parsed parsed = parser.parse(at, end, whole, cells);
    if (parsed == Parsed::kMore) break;
    at = parser.next;
    if (parsed == Parsed::kBad || (cells.size() == 1 && cells[0].text.empty())) continue;
    auto& row = rows.emplace_back();
    for (const Cell& cell : cells) row.emplace_back(cell.text);
  }
  return rows;
}

Delimited find_dialect(std::string_view sample, bool whole, char delimiter, char quote, size_t columns) {
  constexpr size_t kRows = 200;
  Delimited format;
  format.quote = format.escape = quote;
  if (sample.find('\n') == std::string_view::npos && sample.find('\r') != std::string_view::npos)
    format.newline = '\r';
  // Backslashes before quotes, where that makes more rows of it than doubled quotes do.
  const auto with_escape = [&] {
    if (!quote || sample.find(std::string("\\") + quote) == std::string_view::npos) return format;
    Delimited backslash = format;
    backslash.escape = '\\';
    const bool better = read_sample(sample, whole, backslash, kRows).size() >
                        read_sample(sample, whole, format, kRows).size();
    return better ? backslash : format;
  };
  if (delimiter) {
    format.delimiter = delimiter;
    return with_escape();
  }
  double best = 0;
  char found = ',';
  for (const char candidate : {',', '\t', '|', ';', '\x1f', ':'}) {
    format.delimiter = candidate;
    const auto rows = read_sample(sample, whole, format, kRows);
    if (rows.empty()) continue;
    std::array<size_t, 2> most{};  // width, and how many rows have it
    for (const auto& row : rows) {
      const auto same = static_cast<size_t>(std::count_if(
          rows.begin(), rows.end(), [&](const auto& other) { return other.size() == row.size(); }));
      if (same > most[1]) most = {row.size(), same};
    }
    if (most[0] < 2) continue;
    // How many rows agree counts most, then the width the table has, then the number of columns.
    const double score = static_cast<double>(most[1]) / static_cast<double>(rows.size()) +
                         (columns && most[0] == columns ? 0.5 : 0) +
                         static_cast<double>(std::min<size_t>(most[0], 100)) / 1000;
    if (score > best) {
      best = score;
      found = candidate;
    }
  }
  format.delimiter = found;
  return with_escape();
}

std::unique_ptr<RowReader> read_delimited(std::unique_ptr<ByteStream> stream, const Delimited& format,
                                          std::vector<std::string> names) {
  return std::make_unique<DelimitedReader>(std::move(stream), format, std::move(names));
}

}  // namespace millrace::load
