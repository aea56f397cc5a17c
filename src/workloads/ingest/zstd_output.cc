#include "workloads/ingest/zstd_output.h"

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <cstdio>

#include "base/error.h"

namespace millrace::ingest {
namespace {

constexpr size_t kPiece = 128 << 10;  // what is handed to the compressor at once

[[noreturn]] void fail(const std::string& what, int error_number) {
  const std::string message = base::system_message(what, error_number);
  if (error_number == EACCES || error_number == EPERM || error_number == EROFS)
    throw base::DeniedError(message);
  if (error_number == ENOENT || error_number == ENOTDIR) throw base::NotFoundError(message);
  throw base::TransientError(message, error_number == ENOSPC || error_number == EDQUOT ? "disk" : "");
}

size_t checked(size_t result) {
  if (ZSTD_isError(result) != 0)
    throw base::TransientError(std::string("zstd: ") + ZSTD_getErrorName(result), "memory");
  return result;
}

}  // namespace

struct ZstdOutput::Context {
  ZSTD_CCtx* zstd = ZSTD_createCCtx();
  ~Context() { ZSTD_freeCCtx(zstd); }
};

ZstdOutput::ZstdOutput(std::string file, Sink sink, int level)
    : file_(std::move(file)), sink_(std::move(sink)), context_(std::make_unique<Context>()) {
  if (context_->zstd == nullptr) throw base::TransientError("zstd: not enough memory", "memory");
  checked(ZSTD_CCtx_setParameter(context_->zstd, ZSTD_c_compressionLevel, level));
  checked(ZSTD_CCtx_setParameter(context_->zstd, ZSTD_c_checksumFlag, 1));
  in_.reserve(kPiece);
  out_.resize(ZSTD_CStreamOutSize());
  if (sink_) return;
  draft_ = file_ + ".part";
  fd_.reset(open(draft_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd_) {
    const int error_number = errno;
    draft_.clear();
    fail("open " + file_ + ".part", error_number);
  }
}

ZstdOutput::~ZstdOutput() {
  if (!draft_.empty()) unlink(draft_.c_str());
}

void ZstdOutput::write(std::string_view bytes) {
  // Pieces of one size, so that the compressed bytes do not depend on how they came.
  while (!bytes.empty()) {
    const size_t take = std::min(bytes.size(), kPiece - in_.size());
    in_.append(bytes.substr(0, take));
    bytes.remove_prefix(take);
    if (in_.size() == kPiece) compress(false);
  }
}

void ZstdOutput::compress(bool end) {
  ZSTD_inBuffer in{in_.data(), in_.size(), 0};
  size_t left = 0;
  do {
    ZSTD_outBuffer out{out_.data(), out_.size(), 0};
    left = checked(ZSTD_compressStream2(context_->zstd, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue));
    put({out_.data(), out.pos});
  } while (end ? left != 0 : in.pos < in.size);
  in_.clear();
}

void ZstdOutput::put(std::string_view bytes) {
  if (bytes.empty()) return;
  digest_.update(bytes);
  bytes_ += bytes.size();
  if (sink_) return sink_(bytes);
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write " + file_, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void ZstdOutput::finish() {
  compress(true);
  sha256_ = base::hex(digest_.finish());
  if (sink_) return;
  fd_.reset();
  if (rename(draft_.c_str(), file_.c_str()) != 0) fail("rename " + file_, errno);
  draft_.clear();
}

}  // namespace millrace::ingest
