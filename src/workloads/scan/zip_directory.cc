#include "workloads/scan/zip_directory.h"

#include <algorithm>

#include "workloads/scan/inflate.h"

namespace millrace::scan {
namespace {

using namespace std::string_view_literals;

constexpr size_t kEndSize = 22, kCommentMax = 65535, kLocatorSize = 20, kEntrySize = 46, kLocalSize = 30;
constexpr size_t kMembersMax = 16'384, kNameMax = 1024;
constexpr uint64_t kDirectoryMax = 2 << 20;  // bytes of it that are read
constexpr size_t kPackedMax = 512 << 10;     // bytes of a member that are read to unpack it

}  // namespace

ZipDirectory::ZipDirectory(MediaBytes& bytes) : bytes_(bytes) {
  uint64_t at = 0, size = 0;
  find_end(at, size);
  check_end(at > UINT64_MAX - size ? UINT64_MAX : at + size, bytes_.size(), "zip directory");
  read_members(at, size);
}

// The end record stands at the end, before a comment that is nearly always empty.
void ZipDirectory::find_end(uint64_t& at, uint64_t& size) {
  uint64_t end_at = 0;
  std::string end;
  for (size_t reach : {size_t{1024}, kEndSize + kCommentMax}) {
    std::string_view tail = bytes_.tail(reach);
    size_t found = tail.rfind("PK\x05\x06"sv);
    if (found == std::string_view::npos || tail.size() - found < kEndSize) continue;
    end_at = bytes_.size() - tail.size() + found;
    end = tail.substr(found, kEndSize);
    break;
  }
  if (end.empty()) corrupt("truncated: no end of the zip directory", bytes_.size());
  count_ = le16(end.data() + 10);
  size = le32(end.data() + 12);
  at = le32(end.data() + 16);
  if (count_ != 0xFFFF && size != 0xFFFFFFFF && at != 0xFFFFFFFF) return;
  if (end_at < kLocatorSize) return;
  std::string_view locator = bytes_.at(end_at - kLocatorSize, kLocatorSize, "zip64 locator");
  if (!locator.starts_with("PK\x06\x07"sv)) return;
  std::string_view record = bytes_.at(le64(locator.data() + 8), 56, "zip64 end record");
  if (!record.starts_with("PK\x06\x06"sv)) corrupt("no zip64 end record", end_at);
  count_ = le64(record.data() + 32);
  size = le64(record.data() + 40);
  at = le64(record.data() + 48);
}

void ZipDirectory::read_members(uint64_t at, uint64_t size) {
  uint64_t end = at + std::min(size, kDirectoryMax);
  while (members_.size() < std::min<uint64_t>(count_, kMembersMax) && end - at >= kEntrySize) {
    bytes_.step("zip members");
    const char* p = bytes_.at(at, kEntrySize, "zip member").data();
    if (le32(p) != 0x02014B50) corrupt("not a zip member", at);
    size_t name_size = le16(p + 28), extra_size = le16(p + 30), comment_size = le16(p + 32);
    ZipMember member;
    member.encrypted = le16(p + 8) & 1;
    member.method = le16(p + 10);
    member.packed = le32(p + 20);
    member.size = le32(p + 24);
    member.header_at = le32(p + 42);
    uint64_t next = at + kEntrySize + name_size + extra_size + comment_size;
    if (next > end) break;
    member.name = bytes_.at(at + kEntrySize, std::min(name_size, kNameMax), "zip name");
    if (member.packed == 0xFFFFFFFF || member.size == 0xFFFFFFFF || member.header_at == 0xFFFFFFFF) {
      // The 64-bit field holds those of the three that are missing, in this order.
      std::string extra(bytes_.at(at + kEntrySize + name_size, extra_size, "zip64 field"));
      for (size_t i = 0; i + 4 <= extra.size();) {
        size_t length = le16(extra.data() + i + 2), from = i + 4, to = std::min(extra.size(), from + length);
        if (le16(extra.data() + i) == 1)
          for (uint64_t* value : {&member.size, &member.packed, &member.header_at})
            if (*value == 0xFFFFFFFF && from + 8 <= to) *value = le64(extra.data() + from), from += 8;
        i += 4 + length;
      }
    }
    members_.push_back(std::move(member));
    at = next;
  }
}

const ZipMember* ZipDirectory::find(std::string_view name) const {
  auto member =
      std::find_if(members_.begin(), members_.end(), [&](const ZipMember& m) { return m.name == name; });
  return member == members_.end() ? nullptr : &*member;
}

uint64_t ZipDirectory::data_at(const ZipMember& member) {
  const char* p = bytes_.at(member.header_at, kLocalSize, "zip local header").data();
  if (le32(p) != 0x04034B50) corrupt("not a zip local header", member.header_at);
  return member.header_at + kLocalSize + le16(p + 26) + le16(p + 28);
}

std::string ZipDirectory::read(const ZipMember& member, size_t size_max) {
  if (member.encrypted)
    corrupt("'" + clean_text(member.name, 100) + "' is encrypted, zip member", member.header_at);
  if (member.method != 0 && member.method != 8)
    corrupt("zip method " + std::to_string(member.method) + " of '" + clean_text(member.name, 100) + "'",
            member.header_at);
  uint64_t at = data_at(member);
  size_t wanted =
      static_cast<size_t>(std::min<uint64_t>(member.packed, member.method == 0 ? size_max : kPackedMax));
  std::string_view data = bytes_.some(at, wanted, "zip member");
  if (member.method == 0) return std::string(data);
  return inflate_some(data,
                      static_cast<size_t>(std::min<uint64_t>(size_max, std::max<uint64_t>(member.size, 1))),
                      InflateKind::kRaw);
}

}  // namespace millrace::scan
