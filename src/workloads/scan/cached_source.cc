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
  object_.reset();
  head_bytes_ = object.etag.empty() ? kPlainFileHead : budget.block_bytes;
  size_ = object.size;
  budget_ = budget;
  bytes_ = requests_ = clock_ = 0;
  for (Block& block : blocks_) block.length = 0;
  if (joined_.capacity() > kJoinedKeptMax) std::vector<char>().swap(joined_);
  if (size_ == 0) return;
  object_ = reader_.open_object(key_, object.etag);
  block_with(0, 1);
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

std::string_view CachedSource::window(uint64_t offset, size_t length) {
  if (offset >= size_) return {};
  const uint64_t rest = size_ - offset;
  if (rest <= kTailMax && !cached(offset)) return take(offset, static_cast<size_t>(rest));
  const uint64_t end = offset + std::min<uint64_t>(length, rest);
  if (end == offset || offset / budget_.block_bytes != (end - 1) / budget_.block_bytes)
    return take(offset, static_cast<size_t>(end - offset));
  const Block& block = block_with(offset, end);
  return {block.data.data() + (offset - block.offset),
          block.length - static_cast<size_t>(offset - block.offset)};
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
    const Block& block = block_with(offset, offset + length);
    return {block.data.data() + (offset - block.offset), length};
  }
  joined_.resize(length);
  if (length >
      2 * budget_.block_bytes) {  // one request for a long stretch; caching it would only push out the rest
    fetch(offset, joined_.data(), length);
  } else {
    for (size_t done = 0; done < length;) {
      uint64_t at = offset + done;
      uint64_t block_end = at - at % budget_.block_bytes + budget_.block_bytes;
      const Block& block = block_with(at, std::min(block_end, last + 1));
      size_t start = static_cast<size_t>(at - block.offset);
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

// The block that begins there, if there is any of it.
CachedSource::Block* CachedSource::find(uint64_t start) {
  for (Block& block : blocks_)
    if (block.length > 0 && block.offset == start) return &block;
  return nullptr;
}

bool CachedSource::cached(uint64_t offset) {
  const Block* block = find(offset - offset % budget_.block_bytes);
  return block != nullptr && offset - block->offset < block->length;
}

// The block with the bytes [offset, end), which one block can hold.
const CachedSource::Block& CachedSource::block_with(uint64_t offset, uint64_t end) {
  const uint64_t start = offset - offset % budget_.block_bytes;
  const size_t whole = block_length(start);
  Block* block = find(start);
  if (block == nullptr) {
    block = std::min_element(std::begin(blocks_), std::end(blocks_), [](const Block& a, const Block& b) {
      return (a.length == 0 ? 0 : a.used) < (b.length == 0 ? 0 : b.used);
    });
    block->offset = start;
    block->length = 0;
    if (start == 0) fill(*block, std::min(whole, head_bytes_));
  }
  if (block->length < end - start) fill(*block, whole);
  block->used = ++clock_;
  return *block;
}

// Gets what is not there of the block's first `length` bytes.
void CachedSource::fill(Block& block, size_t length) {
  if (block.data.size() < length) block.data.resize(length);
  fetch(block.offset + block.length, block.data.data() + block.length, length - block.length);
  block.length = length;
}

void CachedSource::fetch(uint64_t offset, char* out, size_t length) {
  if (requests_ >= budget_.requests_max) {
    throw BudgetError("the budget of " + std::to_string(budget_.requests_max) + " reads is used up");
  }
  if (bytes_ > budget_.bytes_max || length > budget_.bytes_max - bytes_) {
    throw BudgetError("the budget of " + std::to_string(budget_.bytes_max) + " bytes is used up");
  }
  ++requests_;
  size_t got = 0;
  try {
    got = object_->read(offset, out, length);
  } catch (const base::ConflictError& e) {
    throw ChangedError(e.what());
  }
  bytes_ += got;
  if (got < length) throw ChangedError("changed while it was read: " + workloads::printable(key_));
}

}  // namespace millrace::scan
