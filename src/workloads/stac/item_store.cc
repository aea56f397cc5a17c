#include "workloads/stac/item_store.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/hash.h"

namespace millrace::stac {

uint64_t source_of(std::string_view link) { return link.empty() ? 0 : base::xxh3(link); }

uint32_t check_of(ItemRecord record, std::string_view line) {
  record.chunk = record.check = 0;
  return static_cast<uint32_t>(base::xxh3(line) ^
                               base::xxh3({reinterpret_cast<const char*>(&record), sizeof record}));
}

ItemStore::ItemStore(ItemStore&& other) noexcept { *this = std::move(other); }

ItemStore& ItemStore::operator=(ItemStore&& other) noexcept {
  std::swap(records_, other.records_);
  std::swap(size_, other.size_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(bytes_, other.bytes_);
  std::swap(chunks_, other.chunks_);
  std::swap(chunk_names_, other.chunk_names_);
  std::swap(collections_, other.collections_);
  return *this;
}

ItemStore::~ItemStore() {
  if (records_) munmap(const_cast<ItemRecord*>(records_), mapped_bytes_);
}

void ItemStore::read(const ItemRecord& record, std::string& out, size_t padding) const {
  out.reserve(record.length + padding);
  out.resize(record.length);
  size_t done = 0;
  while (done < record.length) {
    ssize_t n = pread(chunks_[record.chunk].get(), out.data() + done, record.length - done,
                      static_cast<off_t>(record.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::TransientError(base::system_message("read " + chunk_names_[record.chunk], errno));
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  if (done < record.length || check_of(record, out) != record.check)
    throw base::CorruptError(chunk_names_[record.chunk] + ": the item at byte " +
                                 std::to_string(record.offset) + " is not what was written there",
                             "ItemChanged");
}

}  // namespace millrace::stac
