// The table of contents of a zip archive (APPNOTE 6.3.10), read from the end of the file; Zip64 too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/scan/media_bytes.h"

namespace millrace::scan {

struct ZipMember {
  std::string name;
  unsigned method = 0;     // 0 stored, 8 deflated
  uint64_t packed = 0;     // bytes in the archive
  uint64_t size = 0;       // bytes unpacked, as the archive says
  uint64_t header_at = 0;  // of the local header
  bool encrypted = false;
};

// Holds at most 16,384 members with names of at most 1 KiB each; the rest of a larger archive is counted
// only.
class ZipDirectory {
 public:
  // Throws CorruptError when there is no directory: a truncated archive has none.
  explicit ZipDirectory(MediaBytes& bytes);

  const std::vector<ZipMember>& members() const { return members_; }
  uint64_t count() const { return count_; }  // of members, as the archive says
  const ZipMember* find(std::string_view name) const;

  // Where the bytes of a member begin. Throws CorruptError when its local header makes no sense.
  uint64_t data_at(const ZipMember& member);
  // Up to `size_max` bytes of the unpacked member, fewer when it is shorter or damaged. Throws CorruptError
  // for an unknown method or encryption.
  std::string read(const ZipMember& member, size_t size_max);

 private:
  void find_end(uint64_t& at, uint64_t& size);
  void read_members(uint64_t at, uint64_t size);

  MediaBytes& bytes_;
  uint64_t count_ = 0;
  std::vector<ZipMember> members_;
};

}  // namespace millrace::scan
