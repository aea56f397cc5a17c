#include "workloads/stac/item_text.h"

#include <simdjson.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::stac {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr size_t kPieceBytes = 256 * 1024;
constexpr char kRecordSeparator = '\x1e';

// Bytes in, bytes out.
class Decompressor {
 public:
  using Sink = std::function<void(std::string_view)>;
  virtual ~Decompressor() = default;
  virtual void feed(std::string_view bytes, const Sink& sink) = 0;
  virtual void finish() = 0;  // throws when it ended in the middle
};

class Gunzip final : public Decompressor {
 public:
  Gunzip() : out_(kPieceBytes, '\0') {
    if (inflateInit2(&stream_, 15 + 16) != Z_OK) throw base::TransientError("no memory for zlib");
  }
  ~Gunzip() override { inflateEnd(&stream_); }
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;

  void feed(std::string_view bytes, const Sink& sink) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      if (ended_) {  // several members behind each other are one file (RFC 1952 section 2.2)
        if (stream_.avail_in == 0) return;
        inflateReset(&stream_);
        ended_ = false;
      }
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END)
        ended_ = true;
      else if (result != Z_OK && result != Z_BUF_ERROR)
        throw base::CorruptError(std::string("broken gzip: ") + (stream_.msg ? stream_.msg : "?"),
                                 "BrokenArchive");
      sink({out_.data(), out_.size() - stream_.avail_out});
    } while (stream_.avail_in > 0 || stream_.avail_out == 0);
  }
  void finish() override {
    if (!ended_) throw base::CorruptError("the gzip file ends in the middle", "BrokenArchive");
  }

 private:
  z_stream stream_{};
  std::string out_;
  bool ended_ = false;
};

class Unzstd final : public Decompressor {
 public:
  Unzstd() : stream_(ZSTD_createDStream(), ZSTD_freeDStream), out_(kPieceBytes, '\0') {
    if (!stream_) throw base::TransientError("no memory for zstd");
  }
  void feed(std::string_view bytes, const Sink& sink) override {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    for (;;) {
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      size_t left = ZSTD_decompressStream(stream_.get(), &out, &in);
      if (ZSTD_isError(left))
        throw base::CorruptError(std::string("broken zstd: ") + ZSTD_getErrorName(left), "BrokenArchive");
      complete_ = left == 0;
      sink({out_.data(), out.pos});
      if (in.pos == in.size && out.pos < out.size) return;
    }
  }
  void finish() override {
    if (!complete_) throw base::CorruptError("the zstd file ends in the middle", "BrokenArchive");
  }

 private:
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  std::string out_;
  bool complete_ = false;
};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == kRecordSeparator; }

std::string_view without_blanks(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// The text of the member `type` of an object that need not be valid; empty when there is none. Usually it is
// the first member.
std::string_view type_of(std::string_view text) {
  int depth = 0;
  bool key = false, is_type = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      size_t begin = ++i;
      while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
      if (i >= text.size()) return {};
      std::string_view word = text.substr(begin, i - begin);
      if (depth == 1 && is_type) return word;
      is_type = depth == 1 && key && word == "type";
      key = false;
    } else if (c == '{' || c == '[') {
      if (depth == 0 && c == '[') return {};
      key = ++depth == 1;
      is_type = false;
    } else if (c == '}' || c == ']') {
      if (--depth == 0) return {};
    } else if (c == ',') {
      key = depth == 1;
      is_type = false;
    }
  }
  return {};
}

// True when the text is one whole object or array by its brackets.
bool is_whole(std::string_view text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      ++i;
      while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (--depth == 0) return i + 1 == text.size();
    }
  }
  return false;
}

}  // namespace

NamedAs named_as(std::string_view key) {
  NamedAs as;
  std::string name = base::to_lower(key.substr(key.rfind('/') + 1));
  auto drop = [&](std::string_view suffix) {
    if (!name.ends_with(suffix)) return false;
    name.resize(name.size() - suffix.size());
    return true;
  };
  if (drop(".gz"))
    as.compression = Compression::kGzip;
  else if (drop(".zst") || drop(".zstd"))
    as.compression = Compression::kZstd;
  for (std::string_view suffix : {".json", ".geojson", ".ndjson", ".jsonl", ".geojsonl", ".geojsons"})
    as.items |= name.ends_with(suffix);
  return as;
}

struct ItemText::Impl {
  Visit visit;
  std::unique_ptr<Decompressor> decompressor;
  std::string buffer;
  size_t searched = 0;  // of the buffer: there is no line break before
  enum class Kind { kUnknown, kLines, kDocument } kind = Kind::kUnknown;
  uint64_t line = 0, others = 0;

  void add(std::string_view bytes) {
    buffer.append(bytes);
    size_t begin = 0;
    while (kind != Kind::kDocument) {
      size_t end = buffer.find('\n', std::max(begin, searched));
      if (end == std::string::npos) break;
      std::string_view text = without_blanks(std::string_view(buffer).substr(begin, end - begin));
      if (kind == Kind::kUnknown && !text.empty()) {
        kind = is_whole(text) ? Kind::kLines : Kind::kDocument;
        if (kind == Kind::kDocument) break;
      }
      ++line;
      if (!text.empty()) take(text, "line " + std::to_string(line));
      begin = end + 1;
    }
    buffer.erase(0, begin);
    searched = buffer.size();
    if (buffer.size() > kDocumentMax)
      throw base::CorruptError(
          "more than " + base::human_bytes(kDocumentMax) + " in one document or line; write one item a line",
          "TooLarge");
  }

  void take(std::string_view text, const std::string& where) {
    if (text.front() != '[') {
      std::string_view type = type_of(text);
      if (type == "Catalog" || type == "Collection") {
        ++others;
        return;
      }
      if (type != "FeatureCollection" && type != "ItemCollection") return visit(text, where);
    }
    take_collection(text, where);
  }

  void take_collection(std::string_view text, const std::string& where) {
    uint64_t number = 0;
    auto each = [&](ondemand::array features) {
      for (ondemand::object feature : features) {
        std::string_view raw = feature.raw_json();
        visit(raw, (where.empty() ? "" : where + ", ") + "feature " + std::to_string(++number));
      }
    };
    try {
      simdjson::padded_string padded(text);
      ondemand::parser parser;
      ondemand::document document = parser.iterate(padded);
      if (text.front() == '[')
        each(document.get_array());
      else
        each(document["features"].get_array());
    } catch (const simdjson::simdjson_error& error) {
      throw base::CorruptError(
          std::string("broken behind feature ") + std::to_string(number) + ": " + error.what(), "BrokenJson");
    }
    // The features may be whole and what stands around them not.
    if (!is_whole(text)) throw base::CorruptError("it ends in the middle, or more follows", "BrokenJson");
  }
};

ItemText::ItemText(Compression compression, Visit visit) : impl_(std::make_unique<Impl>()) {
  impl_->visit = std::move(visit);
  if (compression == Compression::kGzip) impl_->decompressor = std::make_unique<Gunzip>();
  if (compression == Compression::kZstd) impl_->decompressor = std::make_unique<Unzstd>();
}
ItemText::~ItemText() = default;

void ItemText::feed(std::string_view bytes) {
  if (!impl_->decompressor) return impl_->add(bytes);
  impl_->decompressor->feed(bytes, [&](std::string_view piece) { impl_->add(piece); });
}

void ItemText::finish() {
  if (impl_->decompressor) impl_->decompressor->finish();
  std::string_view text = without_blanks(impl_->buffer);
  if (text.empty()) return;
  bool lines = impl_->kind == Impl::Kind::kLines;
  impl_->take(text, lines ? "line " + std::to_string(impl_->line + 1) : "");
}

uint64_t ItemText::others() const { return impl_->others; }

}  // namespace millrace::stac
