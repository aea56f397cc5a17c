// A ZIP archive written entry by entry (PKWARE's APPNOTE 6.3.10; deflate, no encryption), for the logs of a
// run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"

namespace millrace::ingest {

// At most 65,535 entries and 4 GiB: more do not fit into a ZIP without its 64-bit extension, and are refused.
// One thread at a time.
class ZipWriter {
 public:
  // Replaces `path`. Throws TransientError when it cannot be written, here and below.
  explicit ZipWriter(const std::string& path);
  // `name`: UTF-8. False when it does not fit any more.
  bool add(const std::string& name, std::string_view content, base::TimeMs modified);
  // Makes it whole.
  void finish();
  uint64_t entries() const { return entries_.size(); }

 private:
  struct Entry {
    std::string name;
    uint32_t crc = 0, packed = 0, size = 0, offset = 0;
    uint16_t time = 0, date = 0, method = 0;
  };
  void write(std::string_view bytes);

  std::string path_;
  base::UniqueFd file_;
  uint64_t offset_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace millrace::ingest
