#include "workloads/load/file_shape.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "workloads/load/json_reader.h"
#include "workloads/load/parquet_reader.h"
#include "workloads/text.h"

namespace millrace::load {
namespace {

constexpr size_t kFrontBytes = 1 << 20;  // for format, dialect and header

// Hashes what goes through it.
class ChecksumStream final : public ByteStream {
 public:
  ChecksumStream(std::unique_ptr<ByteStream> stream, OnChecksum done)
      : stream_(std::move(stream)), done_(std::move(done)), state_(XXH3_createState()) {
    if (!state_) throw base::TransientError("out of memory");
    XXH3_128bits_reset(state_.get());
  }
  size_t read(char* out, size_t size) override {
    const size_t got = stream_->read(out, size);
    if (got > 0) {
      XXH3_128bits_update(state_.get(), out, got);
    } else if (done_) {
      XXH128_canonical_t canonical;
      XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
      done_("xxh128:" +
            base::hex({reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest}));
      done_ = nullptr;
    }
    return got;
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<ByteStream> stream_;
  OnChecksum done_;
  std::unique_ptr<XXH3_state_t, Free> state_;
};

// The text of the file: decompressed, as UTF-8.
std::unique_ptr<ByteStream> open_text(Source& source, Compression compression, const ReadOptions& options,
                                      const OnChecksum& on_checksum) {
  std::unique_ptr<ByteStream> stream = source.open();
  if (on_checksum) stream = std::make_unique<ChecksumStream>(std::move(stream), on_checksum);
  stream = decompress(std::move(stream), compression);
  if (!options.encoding.empty()) stream = decode_text(std::move(stream), options.encoding);
  return stream;
}

bool is_known(const std::string& name, const std::vector<std::string>& names) {
  const std::string plain = plain_name(name);
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& other) { return plain_name(other) == plain; });
}

std::optional<bool> has_header_by_types(const std::vector<std::vector<std::string>>& rows) {
  const std::vector<std::string>& first = rows[0];
  std::set<std::string> distinct;
  for (const std::string& cell : first) {
    TypeGuess guess;
    guess.add({cell, false, false}, false);
    if (cell.empty() || guess.type() != Type::kText || !distinct.insert(plain_name(cell)).second)
      return false;
    // "0123" is text, but no name.
    if (plain_name(cell).empty() || (cell[0] >= '0' && cell[0] <= '9') || cell[0] == '+') return false;
  }
  for (size_t column = 0; column < first.size(); ++column) {
    TypeGuess guess;
    for (size_t row = 1; row < rows.size(); ++row)
      if (column < rows[row].size() && !rows[row][column].empty())
        guess.add({rows[row][column], false, false}, false);
    if (guess.values() > 0 && guess.type() != Type::kText) return true;
  }
  return std::nullopt;
}

// Is the first row a header? Nothing when that cannot be told.
std::optional<bool> has_header(const std::vector<std::vector<std::string>>& rows,
                               const std::vector<std::string>& table_names) {
  if (rows.empty()) return false;
  const std::vector<std::string>& first = rows[0];
  const auto known = std::count_if(first.begin(), first.end(),
                                   [&](const std::string& name) { return is_known(name, table_names); });
  if (known > 0 && known * 2 >= static_cast<ptrdiff_t>(first.size())) return true;
  // A header of other names is one all the same: it must not become a row.
  const std::optional<bool> by_types = has_header_by_types(rows);
  if (table_names.empty() || by_types) return by_types;
  return known > 0 ? std::nullopt : std::optional(false);
}

// Ends with the first `bytes_max` bytes; `cut` tells that there was more.
class FrontStream final : public ByteStream {
 public:
  FrontStream(std::unique_ptr<ByteStream> stream, uint64_t bytes_max, bool& cut)
      : stream_(std::move(stream)), left_(bytes_max), cut_(cut) {}
  size_t read(char* out, size_t size) override {
    if (left_ == 0) {
      char next = 0;
      cut_ = stream_->read(&next, 1) > 0;
      return 0;
    }
    const size_t got = stream_->read(out, static_cast<size_t>(std::min<uint64_t>(size, left_)));
    left_ -= got;
    return got;
  }

 private:
  std::unique_ptr<ByteStream> stream_;
  uint64_t left_;
  bool& cut_;
};

std::unique_ptr<RowReader> rows_of(std::unique_ptr<ByteStream> text, const FileShape& shape,
                                   bool unknown_fine) {
  if (shape.format == Format::kJson) return read_json(std::move(text), shape.names, unknown_fine);
  return read_delimited(std::move(text), shape.delimited, {});
}

void guess_types_of(Source& source, const ReadOptions& options, FileShape& shape) {
  bool cut = false;
  auto text = std::make_unique<FrontStream>(open_text(source, shape.compression, options, {}),
                                            options.sample_bytes, cut);
  auto rows = rows_of(std::move(text), shape, true);
  shape.guesses.resize(shape.width);
  Row row;
  try {
    // The row that the sample ends in may be half of one: what is behind the last read is not looked at.
    while (rows->next(row) && !cut) {
      if (!row.problem.empty()) continue;
      ++shape.sampled_rows;
      for (size_t i = 0; i < shape.width; ++i)
        shape.guesses[i].add(row.cells[i], shape.format == Format::kJson);
    }
  } catch (const base::CorruptError&) {
    if (!cut) throw;  // else: an array that the sample does not close
  }
  shape.sampled_all = !cut;
}

std::string delimiter_shown(char delimiter) {
  if (delimiter == '\t') return "tabs";
  return std::string("'") + workloads::printable(std::string_view(&delimiter, 1)) + "'";
}

}  // namespace

std::string FileShape::shown() const {
  std::string text = format == Format::kJson ? "JSON" : format == Format::kParquet ? "Parquet" : "text";
  if (format == Format::kDelimited) {
    text += " with " + delimiter_shown(delimited.delimiter);
    text += delimited.header ? ", header" : ", no header";
    if (delimited.escape == '\\') text += ", backslash before quotes";
  }
  if (compression != Compression::kNone) text += std::string(", ") + compression_name(compression);
  return text;
}

FileShape examine(Source& source, const ReadOptions& options, const std::vector<std::string>& table_names,
                  bool guess_types) {
  FileShape shape;
  {
    auto raw = source.open();
    const std::string front = read_front(*raw, 8);
    shape.compression = compression_of(front);
    if (options.format == Format::kParquet ||
        (options.format == Format::kAuto && front.starts_with("PAR1"))) {
      shape.format = Format::kParquet;
      describe_parquet(source, shape);
      return shape;
    }
  }
  auto text = open_text(source, shape.compression, options, {});
  const std::string front = read_front(*text, kFrontBytes);
  const bool whole = front.size() < kFrontBytes;
  const size_t content = front.find_first_not_of(" \t\r\n", front.starts_with("\xef\xbb\xbf") ? 3 : 0);
  const bool json_like = content != std::string::npos && (front[content] == '{' || front[content] == '[');
  if (options.format == Format::kJson || (options.format == Format::kAuto && json_like)) {
    shape.format = Format::kJson;
    shape.names = json_names(front);
    shape.width = shape.names.size();
    if (guess_types) {
      // A key may come late: all of the sample has a say.
      bool cut = false;
      auto sample = std::make_unique<FrontStream>(open_text(source, shape.compression, options, {}),
                                                  options.sample_bytes, cut);
      shape.names = json_names(*sample);
      shape.width = shape.names.size();
      guess_types_of(source, options, shape);
    }
    return shape;
  }
  shape.delimited = find_dialect(front, whole, options.delimiter, options.quote, table_names.size());
  shape.delimited.null_text = options.null_text;
  const auto rows = read_sample(front, whole, shape.delimited, 200);
  std::optional<bool> header = options.header == Header::kYes  ? true
                               : options.header == Header::kNo ? false
                                                               : has_header(rows, table_names);
  if (!header)
    throw base::UsageError(source.version().name +
                           ": all of it is text, so nobody can tell whether the first line is a header; say "
                           "--header yes or --header no");
  shape.delimited.header = *header && !rows.empty();
  if (!rows.empty()) shape.width = rows[0].size();
  if (shape.delimited.header)
    for (const std::string& name : rows[0]) shape.names.emplace_back(base::trim(name));
  if (guess_types) guess_types_of(source, options, shape);
  return shape;
}

std::unique_ptr<RowReader> read_rows(Source& source, const FileShape& shape, const ReadOptions& options,
                                     bool unknown_fine, const OnChecksum& on_checksum) {
  if (shape.format == Format::kParquet) {
    auto raw = std::make_unique<ChecksumStream>(source.open(), on_checksum);
    std::string block(1 << 20, '\0');
    while (raw->read(block.data(), block.size()) > 0) {
    }
    return read_parquet(source);
  }
  return rows_of(read_ahead(open_text(source, shape.compression, options, on_checksum)), shape, unknown_fine);
}

}  // namespace millrace::load
