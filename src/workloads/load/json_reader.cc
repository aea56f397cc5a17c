#include "workloads/load/json_reader.h"

#include <simdjson.h>

#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::load {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kDocumentBytesMax = 16ull << 20;

struct Document {
  char* begin = nullptr;
  size_t size = 0;
  uint64_t line = 0, offset = 0;
};

// Cuts the stream into its top-level objects (or whatever stands in their place), one a line or the elements
// of one array.
class DocumentSplitter {
 public:
  explicit DocumentSplitter(std::unique_ptr<ByteStream> stream)
      : owned_(std::move(stream)), stream_(*owned_) {
    begin();
  }
  explicit DocumentSplitter(ByteStream& stream) : stream_(stream) { begin(); }

  // False at the end. There are SIMDJSON_PADDING readable bytes behind the document.
  bool next(Document& document) {
    for (;;) {
      if (!skip_blanks()) return end();
      char c = buffer_[at_];
      if (array_ && c == ']') {
        ended_array_ = true;
        array_ = false;
        advance(1);
        continue;
      }
      if (array_ && c == ',') {
        advance(1);
        continue;
      }
      break;
    }
    if (ended_array_) throw base::CorruptError(where() + ": text behind the end of the JSON array");
    const size_t size = array_ || (by_braces_ && buffer_[at_] == '{') ? element_size() : line_size();
    document.begin = buffer_.data() + at_;
    document.size = size;
    document.line = line_;
    document.offset = offset_;
    advance(size);
    return true;
  }

 private:
  void begin() {
    buffer_.resize(2 * kReadBytes);
    fill();
    if (end_ >= 3 && std::memcmp(buffer_.data(), "\xef\xbb\xbf", 3) == 0) advance(3);
    if (!skip_blanks()) return;
    if (buffer_[at_] == '[') {
      array_ = true;
      advance(1);
      return;
    }
    // Objects over several lines, or one a line? The first line tells.
    const size_t line = line_size();
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    by_braces_ = parser.parse(buffer_.data() + at_, line).get(root) != simdjson::SUCCESS;
  }
  std::string where() const { return "line " + std::to_string(line_); }
  bool end() {
    if (array_) throw base::CorruptError(where() + ": the JSON array is not closed; the file was cut off");
    return false;
  }
  void advance(size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) line_ += buffer_[at_ + i] == '\n';
    at_ += bytes;
    offset_ += bytes;
  }
  bool skip_blanks() {
    for (;;) {
      while (at_ < end_ &&
             (buffer_[at_] == ' ' || buffer_[at_] == '\t' || buffer_[at_] == '\n' || buffer_[at_] == '\r'))
        advance(1);
      if (at_ < end_) return true;
      if (!fill()) return false;
    }
  }
  bool fill() {
    if (at_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + at_, end_ - at_);
      end_ -= at_;
      at_ = 0;
    }
    if (buffer_.size() < end_ + kReadBytes + simdjson::SIMDJSON_PADDING)
      buffer_.resize(2 * (end_ + kReadBytes) + simdjson::SIMDJSON_PADDING);
    const size_t got =
        stream_.read(buffer_.data() + end_, buffer_.size() - simdjson::SIMDJSON_PADDING - end_);
    end_ += got;
    return got > 0;
  }
  void check_size(size_t size) const {
    if (size > kDocumentBytesMax) throw base::CorruptError(where() + ": a JSON value of more than 16 MiB");
  }
  size_t line_size() {
    for (size_t size = 0;; check_size(size)) {
      const void* stop = std::memchr(buffer_.data() + at_ + size, '\n', end_ - at_ - size);
      if (stop) return static_cast<size_t>(static_cast<const char*>(stop) - (buffer_.data() + at_));
      size = end_ - at_;
      if (!fill()) return size;
    }
  }
  // Up to where its braces are closed, or up to the comma or end of the array.
  size_t element_size() {
    int64_t depth = 0;
    bool text = false, escaped = false;
    for (size_t size = 0;; ++size) {
      if (at_ + size == end_) {
        check_size(size);
        if (!fill()) {
          if (array_)
            throw base::CorruptError(where() + ": the JSON array is not closed; the file was cut off");
          return size;
        }
      }
      const char c = buffer_[at_ + size];
      if (text) {
        if (escaped) {
          escaped = false;
        } else if (c == '\\') {
          escaped = true;
        } else if (c == '"') {
          text = false;
        }
        continue;
      }
      if (c == '"') text = true;
      if (c == '{' || c == '[') ++depth;
      if (depth == 0 && (c == ',' || c == ']')) return size;
      if ((c == '}' || c == ']') && --depth <= 0) return size + 1;
    }
  }

  std::unique_ptr<ByteStream> owned_;
  ByteStream& stream_;
  std::string buffer_;
  size_t at_ = 0, end_ = 0;
  uint64_t line_ = 1, offset_ = 0;
  bool array_ = false, ended_array_ = false, by_braces_ = false;
};

class JsonReader final : public RowReader {
 public:
  JsonReader(std::unique_ptr<ByteStream> stream, std::vector<std::string> names, bool unknown_fine)
      : documents_(std::move(stream)), names_(std::move(names)), unknown_fine_(unknown_fine) {
    for (size_t i = 0; i < names_.size(); ++i) index_.emplace(names_[i], i);
    given_in_.resize(names_.size());
  }
  const std::vector<std::string>& names() const override { return names_; }
  size_t width() const override { return names_.size(); }

  bool next(Row& row) override {
    Document document;
    if (!documents_.next(document)) return false;
    row.line = document.line;
    row.offset = document.offset;
    row.problem.clear();
    row.cells.assign(names_.size(), Cell{{}, true, false});
    // On-demand parsing passes over what is wrong behind the value it looks at, so all of it is checked
    // first.
    simdjson::dom::element root;
    const std::string_view text = base::trim({document.begin, document.size});
    if (const auto error = checker_.parse(document.begin, document.size, false).get(root)) {
      fail(row, text, std::string("not JSON: ") + simdjson::error_message(error));
      return true;
    }
    if (!root.is_object()) {
      fail(row, text, "not a JSON object");
      return true;
    }
    try {
      read_object(document, row, text);
    } catch (const simdjson::simdjson_error& error) {
      fail(row, text, std::string("not JSON: ") + error.what());
    }
    return true;
  }

 private:
  static void fail(Row& row, std::string_view text, std::string problem) {
    row.problem = std::move(problem);
    row.cells.assign(1, Cell{text, false, false});
  }
  void read_object(const Document& document, Row& row, std::string_view text) {
    namespace ondemand = simdjson::ondemand;
    ++documents_read_;
    ondemand::document parsed =
        parser_.iterate(document.begin, document.size, document.size + simdjson::SIMDJSON_PADDING);
    for (ondemand::field member : parsed.get_object()) {
      const std::string_view name = member.unescaped_key();
      const auto found = index_.find(name);
      if (found == index_.end()) {
        if (unknown_fine_) continue;
        fail(row, text, "has a member that the table does not: " + std::string(name));
        return;
      }
      // Which of both was meant nobody knows (RFC 8259 section 4).
      if (std::exchange(given_in_[found->second], documents_read_) == documents_read_) {
        fail(row, text, "has the member " + std::string(name) + " twice");
        return;
      }
      Cell& cell = row.cells[found->second];
      ondemand::value value = member.value();
      cell = {};
      switch (ondemand::json_type(value.type())) {
        case ondemand::json_type::null:
          cell.null = true;
          break;
        case ondemand::json_type::string:
          cell.text = value.get_string();
          cell.quoted = true;
          break;
        case ondemand::json_type::object:
          cell.text = ondemand::object(value.get_object()).raw_json();
          break;
        case ondemand::json_type::array:
          cell.text = ondemand::array(value.get_array()).raw_json();
          break;
        case ondemand::json_type::number:
        case ondemand::json_type::boolean:
          cell.text = base::trim(value.raw_json_token());
          break;
      }
    }
  }

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  DocumentSplitter documents_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, size_t, Hash, std::equal_to<>> index_;
  std::vector<uint64_t> given_in_;  // by column: the last document that had it
  uint64_t documents_read_ = 0;
  const bool unknown_fine_;
  simdjson::dom::parser checker_;
  simdjson::ondemand::parser parser_;
};

class TextStream final : public ByteStream {
 public:
  explicit TextStream(std::string_view text) : text_(text) {}
  size_t read(char* out, size_t size) override {
    const size_t taken = text_.copy(out, size);
    text_.remove_prefix(taken);
    return taken;
  }

 private:
  std::string_view text_;
};

}  // namespace

std::unique_ptr<RowReader> read_json(std::unique_ptr<ByteStream> stream, std::vector<std::string> names,
                                     bool unknown_fine) {
  return std::make_unique<JsonReader>(std::move(stream), std::move(names), unknown_fine);
}

std::vector<std::string> json_names(ByteStream& stream) {
  std::vector<std::string> names;
  std::unordered_map<std::string, bool> known;
  try {
    DocumentSplitter documents(stream);
    simdjson::dom::parser parser;
    Document document;
    while (documents.next(document)) {
      simdjson::dom::object object;
      if (parser.parse(document.begin, document.size, false).get(object) != simdjson::SUCCESS) continue;
      for (const auto member : object)
        if (known.emplace(member.key, true).second) names.emplace_back(member.key);
    }
  } catch (const base::CorruptError&) {
    // Cut off, as samples are; reading the rows will say it if the file itself is.
  }
  return names;
}

std::vector<std::string> json_names(std::string_view front) {
  TextStream stream(front);
  return json_names(stream);
}

}  // namespace millrace::load
