// How a chunk of the spool is written, and found again after a crash.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "workloads/stac/item_store.h"
#include "workloads/stac/spool_files.h"

namespace millrace::stac {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

void rename_or_raise(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) raise_errno("rename " + from, errno);
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

}  // namespace

ItemChunk::ItemChunk(ItemChunk&&) noexcept = default;
ItemChunk::~ItemChunk() = default;

ItemChunk::ItemChunk(ItemSpool& spool, std::string name) : spool_(&spool), name_(std::move(name)) {
  const std::string lines = lines_path(spool.folder(), name_), index = index_path(spool.folder(), name_);
  // One that was finished is opened again in the order in which it was not yet: index first.
  if (exists(index)) rename_or_raise(index, index + ".part");
  if (exists(lines)) rename_or_raise(lines, lines + ".part");
  lines_ = open_file(lines + ".part", O_RDWR | O_CREAT);
  index_ = open_file(index + ".part", O_RDWR | O_CREAT);
  recover();
}

// Records whose lines are there and whole, up to the first that is not: what comes behind it is written anew.
void ItemChunk::recover() {
  std::vector<ItemRecord> records = read_records(index_.get(), index_path(spool_->folder(), name_));
  std::string line;
  for (const ItemRecord& record : records) {
    if (record.offset != offset_) break;
    line.resize(size_t{record.length} + 1);
    if (!read_at(lines_.get(), record.offset, line.data(), line.size()) || line.back() != '\n') break;
    line.pop_back();
    if (check_of(record, line) != record.check) break;
    kept_.push_back(record);
    offset_ += uint64_t{record.length} + 1;
  }
  if (ftruncate(lines_.get(), static_cast<off_t>(offset_)) != 0 ||
      ftruncate(index_.get(), static_cast<off_t>(kept_.size() * sizeof(ItemRecord))) != 0)
    raise_errno("truncate " + name_, errno);
  if (lseek(lines_.get(), 0, SEEK_END) < 0 || lseek(index_.get(), 0, SEEK_END) < 0)
    raise_errno("seek in " + name_, errno);
}

// Into new files that then take the place of the old ones. A crash between the two renames leaves an index
// whose records fit the lines up to the first that was left out: recover() stops there.
size_t ItemChunk::keep_only(const std::function<bool(const ItemRecord&)>& wanted) {
  std::vector<ItemRecord> good;
  std::copy_if(kept_.begin(), kept_.end(), std::back_inserter(good), wanted);
  const size_t dropped = kept_.size() - good.size();
  if (dropped == 0) return 0;
  const std::string lines = lines_path(spool_->folder(), name_), index = index_path(spool_->folder(), name_);
  base::UniqueFd old_lines = std::move(lines_);
  lines_ = open_file(lines + ".new", O_RDWR | O_CREAT | O_TRUNC);
  index_ = open_file(index + ".new", O_RDWR | O_CREAT | O_TRUNC);
  offset_ = 0;
  std::string line;
  for (ItemRecord& record : good) {
    line.resize(record.length);
    if (!read_at(old_lines.get(), record.offset, line.data(), line.size()))
      throw base::CorruptError(name_ + " became shorter", "ItemChanged");
    record.offset = offset_;
    record.check = check_of(record, line);
    append(record, line);
  }
  sync();
  rename_or_raise(lines + ".new", lines + ".part");
  rename_or_raise(index + ".new", index + ".part");
  sync_folder(spool_->folder());
  kept_ = std::move(good);
  return dropped;
}

void ItemChunk::add(const CheckedItem& item, uint32_t month, uint64_t source, int64_t revision_us) {
  ItemRecord record = item.record;
  record.offset = offset_;
  record.collection = spool_->collection_number(item.collection);
  record.month = month;
  record.source = source;
  record.revision_us = revision_us;
  record.check = check_of(record, item.line);
  append(record, item.line);
}

void ItemChunk::append(const ItemRecord& record, const std::string& line) {
  line_buffer_.append(line).append(1, '\n');
  index_buffer_.append(reinterpret_cast<const char*>(&record), sizeof record);
  offset_ += uint64_t{record.length} + 1;
  if (line_buffer_.size() >= kBufferBytes) flush();
}

void ItemChunk::flush() {
  write_all(lines_.get(), line_buffer_, name_);
  line_buffer_.clear();
  write_all(index_.get(), index_buffer_, name_);
  index_buffer_.clear();
}

void ItemChunk::sync() {
  flush();
  if (fdatasync(lines_.get()) != 0 || fdatasync(index_.get()) != 0) raise_errno("write " + name_, errno);
}

void ItemChunk::finish() {
  sync();
  const std::string lines = lines_path(spool_->folder(), name_), index = index_path(spool_->folder(), name_);
  rename_or_raise(lines + ".part", lines);
  rename_or_raise(index + ".part", index);
  sync_folder(spool_->folder());
  lines_.reset();
  index_.reset();
}

}  // namespace millrace::stac
