// Bytes compressed as they come, into a file that is there whole or not at all, or into a function.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/unique_fd.h"

namespace millrace::ingest {

// One frame with a checksum; the same bytes for the same input, level and version of libzstd. One thread.
class ZstdOutput {
 public:
  using Sink = std::function<void(std::string_view bytes)>;
  // Into `file` (mode 0600, not synced), or into `sink` when that is set. Throws TransientError, DeniedError
  // or NotFoundError (no such folder).
  ZstdOutput(std::string file, Sink sink, int level);
  // Without finish() no file is left.
  ~ZstdOutput();
  ZstdOutput(const ZstdOutput&) = delete;
  ZstdOutput& operator=(const ZstdOutput&) = delete;

  void write(std::string_view bytes);
  // Ends the frame and gives the file its name. Nothing can be written any more.
  void finish();
  uint64_t bytes() const { return bytes_; }              // compressed, so far
  const std::string& sha256() const { return sha256_; }  // hexadecimal, after finish()

 private:
  struct Context;
  void compress(bool end);
  void put(std::string_view bytes);

  const std::string file_;
  const Sink sink_;
  std::string draft_;
  base::UniqueFd fd_;
  std::unique_ptr<Context> context_;
  std::string in_, out_;
  base::Digest digest_{base::Digest::Algorithm::kSha256};
  uint64_t bytes_ = 0;
  std::string sha256_;
};

}  // namespace millrace::ingest
