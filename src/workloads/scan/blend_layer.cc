#include "workloads/scan/blend_layer.h"

#include <zstd.h>

#include <algorithm>
#include <list>
#include <vector>

#include "base/hash.h"
#include "workloads/scan/blend_streams.h"

namespace millrace::scan {
namespace {

// Blender writes about 1 MiB of content per frame; a table that promises much more is read as a stream
// instead.
constexpr uint64_t kFrameBytesMax = uint64_t{32} << 20;
constexpr size_t kCachedBytesMax = size_t{32} << 20;
constexpr uint64_t kFramesMax = 1'000'000;
constexpr int kNestedLayersMax = 3;

uint32_t little32(std::string_view bytes, size_t at) {
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + i])); };
  return byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
}

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }
bool is_zstd(std::string_view bytes) {
  if (bytes.size() < 4) return false;
  uint32_t magic = little32(bytes, 0);
  return magic == 0xFD2FB528 || (magic & 0xFFFFFFF0) == 0x184D2A50;  // a frame, or a skippable one before it
}
bool is_plain(std::string_view bytes) { return bytes.starts_with("BLENDER"); }

[[noreturn]] void throw_truncated(uint64_t offset, size_t wanted) {
  throw base::CorruptError("truncated: wanted " + std::to_string(wanted) + " bytes at offset " +
                           std::to_string(offset));
}

class PlainBytes final : public BlendBytes {
 public:
  explicit PlainBytes(Source& source) : source_(source) {}
  bool random_access() const override { return true; }
  std::optional<uint64_t> size() const override { return source_.size(); }
  std::string_view read(uint64_t offset, size_t length) override { return source_.read(offset, length); }

 private:
  Source& source_;
};

class StreamBytes final : public BlendBytes {
 public:
  StreamBytes(std::unique_ptr<InflateBudget> budget, std::unique_ptr<ByteStream> stream)
      : budget_(std::move(budget)), stream_(std::move(stream)) {}
  bool random_access() const override { return false; }
  std::optional<uint64_t> size() const override { return std::nullopt; }

  std::string_view read(uint64_t offset, size_t length) override {
    if (offset < piece_offset_) throw base::InternalError("a compressed .blend was read backwards");
    while (offset - piece_offset_ >= piece_.size() && length > 0) advance(offset, length);
    size_t start = offset - piece_offset_;
    if (piece_.size() - start >= length) return piece_.substr(start, length);
    joined_.assign(piece_.substr(start));
    while (joined_.size() < length) {
      advance(offset, length);
      joined_.append(piece_.substr(0, length - joined_.size()));
    }
    return joined_;
  }

 private:
  void advance(uint64_t offset, size_t wanted) {
    piece_offset_ += piece_.size();
    piece_ = {};
    piece_ = stream_->next();
    if (piece_.empty()) throw_truncated(offset, wanted);
  }

  std::unique_ptr<InflateBudget> budget_;
  std::unique_ptr<ByteStream> stream_;
  std::string_view piece_;
  uint64_t piece_offset_ = 0;
  std::string joined_;
};

struct ZstdFrame {
  uint64_t compressed_offset;
  uint64_t offset;  // of its content
  uint32_t compressed_size;
  uint32_t size;
};

// The frames by the seek table at the end (zstd's "seekable format"), nothing when there is none or it does
// not add up.
std::vector<ZstdFrame> read_seek_table(Source& source) {
  constexpr size_t kFooter = 9, kSkippableHeader = 8;
  uint64_t size = source.size();
  if (size < kFooter + kSkippableHeader) return {};
  std::string footer(source.read(size - kFooter, kFooter));
  if (little32(footer, 5) != 0x8F92EAB1) return {};
  uint64_t count = little32(footer, 0);
  uint64_t entry = footer[4] & 0x80 ? 12 : 8;  // with or without checksums
  uint64_t table = count * entry;
  if (count == 0 || count > kFramesMax || size < table + kFooter + kSkippableHeader) return {};
  uint64_t start = size - kFooter - table - kSkippableHeader;
  std::string header(source.read(start, kSkippableHeader));
  if (little32(header, 0) != 0x184D2A5E || little32(header, 4) != table + kFooter) return {};

  std::vector<ZstdFrame> frames;
  uint64_t compressed = 0, content = 0;
  uint64_t at_once = (1 << 20) / entry * entry;
  for (uint64_t done = 0; done < table; done += at_once) {
    std::string_view part = source.read(start + kSkippableHeader + done, std::min(at_once, table - done));
    for (size_t i = 0; i < part.size(); i += entry) {
      ZstdFrame frame{compressed, content, little32(part, i), little32(part, i + 4)};
      if (frame.size > kFrameBytesMax || frame.compressed_size > kFrameBytesMax) return {};
      compressed += frame.compressed_size;
      content += frame.size;
      if (frame.size > 0) frames.push_back(frame);
    }
  }
  if (compressed != start || frames.empty()) return {};
  return frames;
}

// Random access to a zstd file by its seek table: only the frames that are asked for are fetched and decoded.
class SeekableZstdBytes final : public BlendBytes {
 public:
  SeekableZstdBytes(Source& source, std::vector<ZstdFrame> frames, std::unique_ptr<InflateBudget> budget)
      : source_(source),
        frames_(std::move(frames)),
        budget_(std::move(budget)),
        context_(ZSTD_createDCtx(), ZSTD_freeDCtx) {
    if (!context_) throw base::InternalError("zstd: no memory for a decoder");
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax);
  }
  bool random_access() const override { return true; }
  std::optional<uint64_t> size() const override { return frames_.back().offset + frames_.back().size; }

  std::string_view read(uint64_t offset, size_t length) override {
    uint64_t total = *size();
    if (offset > total || total - offset < length) throw_truncated(offset, length);
    if (length == 0) return {};
    size_t index = std::upper_bound(frames_.begin(), frames_.end(), offset,
                                    [](uint64_t o, const ZstdFrame& frame) { return o < frame.offset; }) -
                   frames_.begin() - 1;
    std::string_view content = frame(index).substr(offset - frames_[index].offset);
    if (content.size() >= length) return content.substr(0, length);
    joined_.assign(content);
    while (joined_.size() < length) joined_.append(frame(++index).substr(0, length - joined_.size()));
    return joined_;
  }

 private:
  struct Cached {
    size_t index;
    std::string content;
  };

  std::string_view frame(size_t index) {
    for (auto it = cache_.begin(); it != cache_.end(); ++it) {
      if (it->index != index) continue;
      cache_.splice(cache_.begin(), cache_, it);
      return cache_.front().content;
    }
    std::string content = decode(frames_[index]);
    cached_bytes_ += content.size();
    while (!cache_.empty() && cached_bytes_ > kCachedBytesMax) {
      cached_bytes_ -= cache_.back().content.size();
      cache_.pop_back();
    }
    cache_.push_front({index, std::move(content)});
    return cache_.front().content;
  }

  std::string decode(const ZstdFrame& frame) {
    constexpr size_t kInputBytes = 1 << 20, kOutputBytes = 1 << 20;
    ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_only);
    std::string content;
    uint64_t fed = 0;
    size_t hint = 1;
    ZSTD_inBuffer in{nullptr, 0, 0};
    while (content.size() < frame.size) {
      if (in.pos == in.size) {
        if (fed == frame.compressed_size) break;
        std::string_view part = source_.read(frame.compressed_offset + fed,
                                             std::min<uint64_t>(kInputBytes, frame.compressed_size - fed));
        in = {part.data(), part.size(), 0};
        fed += part.size();
      }
      // The buffer grows with what really comes out, never to the size the table claims.
      size_t before = content.size();
      content.resize(std::min<size_t>(frame.size, before + kOutputBytes));
      ZSTD_outBuffer out{content.data() + before, content.size() - before, 0};
      do {
        hint = ZSTD_decompressStream(context_.get(), &out, &in);
        if (ZSTD_isError(hint))
          throw base::CorruptError("damaged zstd frame at compressed byte " +
                                   std::to_string(frame.compressed_offset) + ": " + ZSTD_getErrorName(hint));
      } while (out.pos < out.size && in.pos < in.size);
      content.resize(before + out.pos);
      budget_->take(out.pos);
    }
    if (content.size() != frame.size)
      throw base::CorruptError("zstd frame at compressed byte " + std::to_string(frame.compressed_offset) +
                               " is shorter than its seek table says");
    return content;
  }

  Source& source_;
  std::vector<ZstdFrame> frames_;
  std::unique_ptr<InflateBudget> budget_;
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context_;
  std::list<Cached> cache_;  // most recently used first
  size_t cached_bytes_ = 0;
  std::string joined_;
};

[[noreturn]] void throw_not_blend(std::string_view first) {
  throw base::CorruptError("not a .blend: begins with bytes " + base::hex(first.substr(0, 8)));
}

}  // namespace

void BlendClock::check() const {
  if (std::chrono::steady_clock::now() > end_)
    throw BudgetError("not read within " + std::to_string(time_max_.count()) + " ms");
}

bool looks_like_blend(std::string_view first) { return is_plain(first) || is_gzip(first) || is_zstd(first); }

BlendLayer open_blend_layer(Source& source, const BlendLimits& limits, const BlendClock& clock) {
  std::string first(source.read_some(0, 8));
  if (is_plain(first)) return {std::make_unique<PlainBytes>(source), "none"};
  if (!is_gzip(first) && !is_zstd(first)) throw_not_blend(first);

  auto budget = std::make_unique<InflateBudget>(limits, source.size(), clock);
  if (is_zstd(first)) {
    std::vector<ZstdFrame> frames = read_seek_table(source);
    if (!frames.empty()) {
      auto bytes = std::make_unique<SeekableZstdBytes>(source, std::move(frames), std::move(budget));
      if (is_plain(bytes->read(0, std::min<uint64_t>(8, *bytes->size())))) return {std::move(bytes), "zstd"};
      budget = std::make_unique<InflateBudget>(limits, source.size(), clock);
    }
  }
  // Some tools compress what Blender had compressed already, so look again inside each layer.
  std::string outermost = is_gzip(first) ? "gzip" : "zstd";
  std::unique_ptr<ByteStream> stream = stream_source(source);
  for (int layer = 0; layer < kNestedLayersMax; ++layer) {
    stream = is_gzip(first) ? stream_gunzip(std::move(stream), *budget)
                            : stream_unzstd(std::move(stream), *budget);
    std::string piece(stream->next());
    first = piece.substr(0, 8);
    stream = stream_prefixed(piece, std::move(stream));
    if (is_plain(first))
      return {std::make_unique<StreamBytes>(std::move(budget), std::move(stream)), outermost};
    if (!is_gzip(first) && !is_zstd(first)) throw_not_blend(first);
  }
  throw base::CorruptError("not a .blend: more than " + std::to_string(kNestedLayersMax) +
                           " layers of compression");
}

}  // namespace millrace::scan
