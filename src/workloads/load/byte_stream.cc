#include "workloads/load/byte_stream.h"

#include <bzlib.h>
#include <iconv.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "workloads/bounded_queue.h"

namespace millrace::load {
namespace {

constexpr size_t kBlockBytes = 256 * 1024;
constexpr size_t kAheadBlocks = 8;

// What was read of the compressed side and not yet used.
class Input {
 public:
  explicit Input(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream)), buffer_(kBlockBytes) {}
  // False at the end.
  bool fill() {
    if (at_ < end_) return true;
    at_ = 0;
    end_ = stream_->read(buffer_.data(), buffer_.size());
    return end_ > 0;
  }
  char* data() { return buffer_.data() + at_; }
  size_t size() const { return end_ - at_; }
  void use(size_t bytes) { at_ += bytes; }

 private:
  std::unique_ptr<ByteStream> stream_;
  std::vector<char> buffer_;
  size_t at_ = 0, end_ = 0;
};

class GzipStream final : public ByteStream {
 public:
  explicit GzipStream(std::unique_ptr<ByteStream> stream) : input_(std::move(stream)) {
    if (inflateInit2(&state_, 15 + 16) != Z_OK) throw base::TransientError("out of memory");
  }
  ~GzipStream() override { inflateEnd(&state_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  size_t read(char* out, size_t size) override {
    state_.next_out = reinterpret_cast<Bytef*>(out);
    state_.avail_out = static_cast<uInt>(size);
    while (state_.avail_out == size) {
      if (!input_.fill()) {
        if (inside_) throw base::CorruptError("gzip: the file ends in the middle; it was cut off");
        return 0;
      }
      if (!inside_ && any_ && *input_.data() == 0) {  // padding behind the last member (tapes, tar)
        input_.use(1);
        continue;
      }
      inside_ = any_ = true;
      state_.next_in = reinterpret_cast<Bytef*>(input_.data());
      state_.avail_in = static_cast<uInt>(input_.size());
      const int status = inflate(&state_, Z_NO_FLUSH);
      input_.use(input_.size() - state_.avail_in);
      if (status == Z_STREAM_END) {
        inside_ = false;
        inflateReset(&state_);
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        throw base::CorruptError(std::string("gzip: ") + (state_.msg ? state_.msg : "damaged data"));
      }
    }
    return size - state_.avail_out;
  }

 private:
  Input input_;
  z_stream state_{};
  bool inside_ = false, any_ = false;
};

class ZstdStream final : public ByteStream {
 public:
  explicit ZstdStream(std::unique_ptr<ByteStream> stream)
      : input_(std::move(stream)), state_(ZSTD_createDStream()) {
    if (!state_) throw base::TransientError("out of memory");
    ZSTD_DCtx_setParameter(state_.get(), ZSTD_d_windowLogMax, 27);  // 128 MiB: `zstd --long` makes no larger
  }
  size_t read(char* out, size_t size) override {
    ZSTD_outBuffer to{out, size, 0};
    while (to.pos == 0) {
      if (!input_.fill()) {
        if (inside_) throw base::CorruptError("zstd: the file ends in the middle; it was cut off");
        return 0;
      }
      ZSTD_inBuffer from{input_.data(), input_.size(), 0};
      const size_t status = ZSTD_decompressStream(state_.get(), &to, &from);
      if (ZSTD_isError(status)) throw base::CorruptError(std::string("zstd: ") + ZSTD_getErrorName(status));
      input_.use(from.pos);
      inside_ = status != 0;
    }
    return to.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DStream* state) const { ZSTD_freeDStream(state); }
  };
  Input input_;
  std::unique_ptr<ZSTD_DStream, Free> state_;
  bool inside_ = false;
};

class Bzip2Stream final : public ByteStream {
 public:
  explicit Bzip2Stream(std::unique_ptr<ByteStream> stream) : input_(std::move(stream)) {}
  ~Bzip2Stream() override {
    if (inside_) BZ2_bzDecompressEnd(&state_);
  }
  Bzip2Stream(const Bzip2Stream&) = delete;
  Bzip2Stream& operator=(const Bzip2Stream&) = delete;

  size_t read(char* out, size_t size) override {
    size_t got = 0;
    while (got == 0) {
      if (!input_.fill()) {
        if (inside_) throw base::CorruptError("bzip2: the file ends in the middle; it was cut off");
        return 0;
      }
      if (!inside_) {
        state_ = {};
        if (BZ2_bzDecompressInit(&state_, 0, 0) != BZ_OK) throw base::TransientError("out of memory");
        inside_ = true;
      }
      state_.next_in = input_.data();
      state_.avail_in = static_cast<unsigned>(input_.size());
      state_.next_out = out;
      state_.avail_out = static_cast<unsigned>(size);
      const int status = BZ2_bzDecompress(&state_);
      input_.use(input_.size() - state_.avail_in);
      got = size - state_.avail_out;
      if (status == BZ_STREAM_END) {
        BZ2_bzDecompressEnd(&state_);
        inside_ = false;
      } else if (status != BZ_OK) {
        throw base::CorruptError("bzip2: damaged data");
      }
    }
    return got;
  }

 private:
  Input input_;
  bz_stream state_{};
  bool inside_ = false;
};

class DecodedStream final : public ByteStream {
 public:
  DecodedStream(std::unique_ptr<ByteStream> stream, const std::string& encoding)
      : stream_(std::move(stream)), encoding_(encoding), state_(iconv_open("UTF-8", encoding.c_str())) {
    if (state_ == reinterpret_cast<iconv_t>(-1))
      throw base::UsageError("--encoding: '" + encoding + "' is not known; `iconv --list` shows what is");
  }
  ~DecodedStream() override { iconv_close(state_); }
  DecodedStream(const DecodedStream&) = delete;
  DecodedStream& operator=(const DecodedStream&) = delete;

  size_t read(char* out, size_t size) override {
    char* to = out;
    size_t room = size;
    while (room == size) {
      if (!ended_ && kept_.size() < kBlockBytes) {
        const size_t before = kept_.size();
        kept_.resize(before + kBlockBytes);
        const size_t got = stream_->read(kept_.data() + before, kBlockBytes);
        kept_.resize(before + got);
        ended_ = got == 0;
      }
      if (kept_.empty()) return 0;
      char* from = kept_.data();
      size_t left = kept_.size();
      const size_t status = iconv(state_, &from, &left, &to, &room);
      const int error = errno;
      offset_ += kept_.size() - left;
      kept_.erase(0, kept_.size() - left);
      if (status != static_cast<size_t>(-1) || error == E2BIG) continue;
      if (error == EILSEQ || ended_)
        throw base::CorruptError("byte " + std::to_string(offset_) + " is not " + encoding_);
    }
    return size - room;
  }

 private:
  std::unique_ptr<ByteStream> stream_;
  std::string encoding_;
  iconv_t state_;
  std::string kept_;
  uint64_t offset_ = 0;
  bool ended_ = false;
};

class AheadStream final : public ByteStream {
 public:
  explicit AheadStream(std::unique_ptr<ByteStream> stream)
      : stream_(std::move(stream)), blocks_(kAheadBlocks), thread_([this] { fill(); }) {}
  ~AheadStream() override {
    blocks_.abort();
    thread_.join();
  }
  AheadStream(const AheadStream&) = delete;
  AheadStream& operator=(const AheadStream&) = delete;

  size_t read(char* out, size_t size) override {
    if (at_ == block_.size()) {
      auto next = blocks_.pop();
      if (!next) {
        if (error_) std::rethrow_exception(error_);
        return 0;
      }
      block_ = std::move(*next);
      at_ = 0;
    }
    const size_t taken = std::min(size, block_.size() - at_);
    std::memcpy(out, block_.data() + at_, taken);
    at_ += taken;
    return taken;
  }

 private:
  void fill() {
    try {
      for (;;) {
        std::string block(2 * kBlockBytes, '\0');
        const size_t got = stream_->read(block.data(), block.size());
        if (got == 0) break;
        block.resize(got);
        if (!blocks_.push(std::move(block))) return;
      }
    } catch (...) {
      error_ = std::current_exception();  // read after close() only
    }
    blocks_.close();
  }

  std::unique_ptr<ByteStream> stream_;
  workloads::BoundedQueue<std::string> blocks_;
  std::exception_ptr error_;
  std::string block_;
  size_t at_ = 0;
  std::thread thread_;
};

}  // namespace

Compression compression_of(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x1f\x8b")) return Compression::kGzip;
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd")) return Compression::kZstd;
  if (first_bytes.size() >= 4 && first_bytes.starts_with("BZh") && first_bytes[3] >= '1' &&
      first_bytes[3] <= '9')
    return Compression::kBzip2;
  return Compression::kNone;
}

const char* compression_name(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return "gzip";
    case Compression::kZstd:
      return "zstd";
    case Compression::kBzip2:
      return "bzip2";
    case Compression::kNone:
      break;
  }
  return "none";
}

std::unique_ptr<ByteStream> decompress(std::unique_ptr<ByteStream> stream, Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return std::make_unique<GzipStream>(std::move(stream));
    case Compression::kZstd:
      return std::make_unique<ZstdStream>(std::move(stream));
    case Compression::kBzip2:
      return std::make_unique<Bzip2Stream>(std::move(stream));
    case Compression::kNone:
      break;
  }
  return stream;
}

std::unique_ptr<ByteStream> decode_text(std::unique_ptr<ByteStream> stream, const std::string& encoding) {
  return std::make_unique<DecodedStream>(std::move(stream), encoding);
}

std::unique_ptr<ByteStream> read_ahead(std::unique_ptr<ByteStream> stream) {
  return std::make_unique<AheadStream>(std::move(stream));
}

std::string read_front(ByteStream& stream, size_t bytes_max) {
  std::string front(bytes_max, '\0');
  size_t size = 0;
  while (size < bytes_max) {
    const size_t got = stream.read(front.data() + size, bytes_max - size);
    if (got == 0) break;
    size += got;
  }
  front.resize(size);
  return front;
}

}  // namespace millrace::load
