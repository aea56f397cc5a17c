#include "workloads/scan/cached_source.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

constexpr size_t kJoinedKeptMax = 1 << 20;

}  // namespace

void CachedSource::open(const objects::ObjectInfo& object, const ReadBudget& budget) {
  key_ = object.key;
  etag_ = object.etag;
  size_ = object.size;
  budget_ = budget;
  bytes_ = requests_ = clock_ = 0;
  for (Block& block : blocks_) block.length = 0;
  if (joined_.capacity() > kJoinedKeptMax) std::vector<char>().swap(joined_);
  if (size_ > 0) block_at(0);
}

std::string_view CachedSource::read(uint64_t offset, size_t length) {
  if (length > size_ || offset > size_ - length) {
    throw base::CorruptError("truncated: bytes " + std::to_string(offset) + " to " +
                             std::to_string(offset + length) + " are wanted, the file has " +
                             std::to_string(size_));
  }
  return take(offset, length);
}

std::string_view CachedSource::read_some(uint64_t offset, size_t length) {
  if (offset >= size_) return {};
  return take(offset, static_cast<size_t>(std::min<uint64_t>(length, size_ - offset)));
}

// The range lies within the file.
std::string_view CachedSource::take(uint64_t offset, size_t length) {
  if (length == 0) return {};
  if (length > kReadMax)
    throw BudgetError("one read of " + std::to_string(length) + " bytes is over the limit");
  uint64_t last = offset + length - 1;
  if (last == size_ - 1 && length <= kTailMax && !cached(offset) && !cached(last)) {
    joined_.resize(length);
    fetch(offset, joined_.data(), length);
    return {joined_.data(), length};
  }
  if (offset / budget_.block_bytes == last / budget_.block_bytes) {
    const Block& block = block_at(offset);
    return {block.data.data() + (offset - block.offset), length};
  }
  joined_.resize(length);
  if (length >
      2 * budget_.block_bytes) {  // one request for a long stretch; caching it would only push out the rest
    fetch(offset, joined_.data(), length);
  } else {
    for (size_t done = 0; done < length;) {
      const Block& block = block_at(offset + done);
      size_t start = static_cast<size_t>(offset + done - block.offset);
      size_t part = std::min(length - done, block.length - start);
      std::memcpy(joined_.data() + done, block.data.data() + start, part);
      done += part;
    }
  }
  return {joined_.data(), length};
}

size_t CachedSource::block_length(uint64_t start) const {
  return static_cast<size_t>(std::min<uint64_t>(budget_.block_bytes, size_ - start));
}

bool CachedSource::cached(uint64_t offset) const {
  uint64_t start = offset - offset % budget_.block_bytes;
  return std::any_of(std::begin(blocks_), std::end(blocks_), [&](const Block& block) {
    return block.offset == start && block.length == block_length(start);
  });
}

const CachedSource::Block& CachedSource::block_at(uint64_t offset) {
  uint64_t start = offset - offset % budget_.block_bytes;
  size_t length = block_length(start);  // a block of another budget's size is none
  Block* oldest = &blocks_[0];
  for (Block& block : blocks_) {
    if (block.length == length && block.offset == start) {
      block.used = ++clock_;
      return block;
    }
    if (block.length == 0 ? oldest->length != 0 : oldest->length != 0 && block.used < oldest->used)
      oldest = &block;
  }
  oldest->length = 0;  // stays empty when fetch() throws
  if (oldest->data.size() < length) oldest->data.resize(length);
  fetch(start, oldest->data.data(), length);
  oldest->offset = start;
  oldest->length = length;
  oldest->used = ++clock_;
  return *oldest;
}

void CachedSource::fetch(uint64_t offset, char* out, size_t length) {
  if (requests_ >= budget_.requests_max) {
    throw BudgetError("the budget of " + std::to_string(budget_.requests_max) + " reads is used up");
  }
  if (length > budget_.bytes_max - bytes_) {
    throw BudgetError("the budget of " + std::to_string(budget_.bytes_max) + " bytes is used up");
  }
  ++requests_;
  size_t got = 0;
  try {
    got = reader_.read(key_, offset, out, length, etag_);
  } catch (const base::ConflictError& e) {
    throw ChangedError(e.what());
  }
  bytes_ += got;
  if (got < length) throw ChangedError("changed while it was read: " + workloads::printable(key_));
}

}  // namespace millrace::scan
