// Tar headers: POSIX.1-2001 ustar, with pax extended headers for what it cannot hold.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace millrace::ingest {

// Gives blocks to `out` in order. One thread. Throws CorruptError for names that no tar can hold (empty, or
// with NUL).
class TarWriter {
 public:
  using Out = std::function<void(std::string_view bytes)>;
  // `mtime_s`: of every entry; before 1970 is 1970.
  TarWriter(Out out, int64_t mtime_s);

  // At most once and first: what the archive as a whole is of, as git notes it.
  void comment(std::string_view text);
  // `size` bytes must follow through content().
  void file(std::string_view path, uint64_t size, bool executable);
  void content(std::string_view bytes);
  void link(std::string_view path, std::string_view target);
  // An empty folder. `note` becomes its pax comment.
  void folder(std::string_view path, std::string_view note);
  // The end of the archive, filled up to 10,240 bytes as tar does.
  void finish();
  uint64_t bytes() const { return bytes_; }

 private:
  void entry(std::string_view path, uint64_t size, char type, unsigned mode, std::string_view target,
             std::string_view note);
  void header(std::string_view name, std::string_view prefix, uint64_t size, char type, unsigned mode,
              std::string_view target);
  void extended(char type, const std::string& records);
  void put(std::string_view bytes);
  void pad();

  const Out out_;
  const uint64_t mtime_s_;
  uint64_t bytes_ = 0, content_left_ = 0;
};

}  // namespace millrace::ingest
