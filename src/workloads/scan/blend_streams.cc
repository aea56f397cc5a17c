#include "workloads/scan/blend_streams.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

namespace millrace::scan {
namespace {

constexpr size_t kPieceBytes = 256 * 1024;
constexpr uint64_t kAlwaysAllowedBytes = uint64_t{64} << 20;

class SourceStream final : public ByteStream {
 public:
  explicit SourceStream(Source& source) : source_(source) {}
  std::string_view next() override {
    std::string_view piece = source_.read_some(offset_, kPieceBytes);
    offset_ += piece.size();
    return piece;
  }

 private:
  Source& source_;
  uint64_t offset_ = 0;
};

class PrefixedStream final : public ByteStream {
 public:
  PrefixedStream(std::string_view first, std::unique_ptr<ByteStream> rest)
      : first_(first), rest_(std::move(rest)) {}
  std::string_view next() override {
    if (given_ || first_.empty()) return rest_->next();
    given_ = true;
    return first_;
  }

 private:
  const std::string first_;
  std::unique_ptr<ByteStream> rest_;
  bool given_ = false;
};

class GunzipStream final : public ByteStream {
 public:
  GunzipStream(std::unique_ptr<ByteStream> input, InflateBudget& budget)
      : input_(std::move(input)), budget_(budget), out_(kPieceBytes) {
    if (inflateInit2(&z_, 16 + MAX_WBITS) != Z_OK) throw base::InternalError("zlib: no memory for a decoder");
  }
  ~GunzipStream() override { inflateEnd(&z_); }
  GunzipStream(const GunzipStream&) = delete;
  GunzipStream& operator=(const GunzipStream&) = delete;

  std::string_view next() override {
    if (done_) return {};
    z_.next_out = out_.data();
    z_.avail_out = static_cast<uInt>(out_.size());
    // A failure is told only after what was decoded before it: half a file is still worth its first half.
    bool failed = false;
    while (z_.avail_out > 0 && !done_ && !failed) {
      if (z_.avail_in == 0 && !refill()) {
        done_ = at_member_end_;
        failed = !done_;
        break;
      }
      if (at_member_end_) {
        // gzip allows members one after the other; anything else behind the last one is padding.
        if (*z_.next_in != 0x1f || inflateReset(&z_) != Z_OK) {
          done_ = true;
          break;
        }
        at_member_end_ = false;
      }
      int status = inflate(&z_, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        at_member_end_ = true;
      } else if (status != Z_OK && !(status == Z_BUF_ERROR && z_.avail_in == 0)) {
        failed = bad_ = true;
      }
    }
    size_t produced = out_.size() - z_.avail_out;
    budget_.take(produced);
    if (produced == 0 && failed) fail();
    return {reinterpret_cast<const char*>(out_.data()), produced};
  }

 private:
  bool refill() {
    if (input_ended_ || bad_) return false;
    std::string_view piece = input_->next();
    input_ended_ = piece.empty();
    consumed_ += piece.size();
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    z_.avail_in = static_cast<uInt>(piece.size());
    return !input_ended_;
  }
  [[noreturn]] void fail() const {
    std::string where = " at compressed byte " + std::to_string(consumed_ - z_.avail_in);
    if (bad_) throw base::CorruptError("damaged gzip data" + where);
    throw base::CorruptError("truncated: gzip data end" + where);
  }

  std::unique_ptr<ByteStream> input_;
  InflateBudget& budget_;
  std::vector<Bytef> out_;
  z_stream z_{};
  uint64_t consumed_ = 0;
  bool input_ended_ = false;
  bool at_member_end_ = false;
  bool done_ = false;
  bool bad_ = false;
};

class UnzstdStream final : public ByteStream {
 public:
  UnzstdStream(std::unique_ptr<ByteStream> input, InflateBudget& budget)
      : input_(std::move(input)),
        budget_(budget),
        out_(kPieceBytes),
        context_(ZSTD_createDCtx(), ZSTD_freeDCtx) {
    if (!context_) throw base::InternalError("zstd: no memory for a decoder");
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax);
  }

  std::string_view next() override {
    ZSTD_outBuffer out{out_.data(), out_.size(), 0};
    bool ended = false;
    while (out.pos < out.size && !bad_ && !ended) {
      bool had_input = in_.pos < in_.size || refill();
      size_t before = out.pos;
      size_t hint = ZSTD_decompressStream(context_.get(), &out, &in_);
      if (ZSTD_isError(hint)) {
        bad_ = true;
        why_ = ZSTD_getErrorName(hint);
      } else {
        if (had_input || out.pos > before) in_frame_ = hint != 0;
        ended = !had_input && out.pos == before;  // nothing more to read and nothing more inside
      }
    }
    budget_.take(out.pos);
    if (out.pos == 0) {
      std::string where = " at compressed byte " + std::to_string(consumed_ - (in_.size - in_.pos));
      if (bad_) throw base::CorruptError("damaged zstd data" + where + ": " + why_);
      if (in_frame_) throw base::CorruptError("truncated: zstd data end" + where);
    }
    return {out_.data(), out.pos};
  }

 private:
  bool refill() {
    if (input_ended_) return false;
    std::string_view piece = input_->next();
    input_ended_ = piece.empty();
    consumed_ += piece.size();
    in_ = {piece.data(), piece.size(), 0};
    return !input_ended_;
  }

  std::unique_ptr<ByteStream> input_;
  InflateBudget& budget_;
  std::vector<char> out_;
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  uint64_t consumed_ = 0;
  std::string why_;
  bool input_ended_ = false;
  bool in_frame_ = false;
  bool bad_ = false;
};

}  // namespace

InflateBudget::InflateBudget(const BlendLimits& limits, uint64_t compressed_bytes, const BlendClock& clock)
    : left_(0),
      max_([&] {
        uint64_t room = std::numeric_limits<uint64_t>::max() - kAlwaysAllowedBytes;
        uint64_t ratio = std::max<uint64_t>(limits.inflated_ratio_max, 1);
        uint64_t by_ratio = compressed_bytes > room / ratio ? room : compressed_bytes * ratio;
        return std::min(limits.inflated_bytes_max, kAlwaysAllowedBytes + by_ratio);
      }()),
      clock_(clock) {
  left_ = max_;
}

void InflateBudget::take(uint64_t bytes) {
  clock_.check();
  if (bytes > left_) throw BudgetError("decompressed to more than " + std::to_string(max_) + " bytes");
  left_ -= bytes;
}

std::unique_ptr<ByteStream> stream_source(Source& source) { return std::make_unique<SourceStream>(source); }
std::unique_ptr<ByteStream> stream_prefixed(std::string_view first, std::unique_ptr<ByteStream> rest) {
  return std::make_unique<PrefixedStream>(first, std::move(rest));
}
std::unique_ptr<ByteStream> stream_gunzip(std::unique_ptr<ByteStream> input, InflateBudget& budget) {
  return std::make_unique<GunzipStream>(std::move(input), budget);
}
std::unique_ptr<ByteStream> stream_unzstd(std::unique_ptr<ByteStream> input, InflateBudget& budget) {
  return std::make_unique<UnzstdStream>(std::move(input), budget);
}

}  // namespace millrace::scan
