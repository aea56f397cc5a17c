// The Source of header readers over an object store: a small cache of blocks, within a budget.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "objects/store.h"
#include "workloads/scan/source.h"

namespace millrace::scan {

// What reading one file may cost.
struct ReadBudget {
  uint64_t bytes_max;
  uint64_t requests_max;
  size_t block_bytes;
};
// Images and videos: 4 MiB in 64 requests. The facts of nearly all stand in their first 32 KiB; a larger
// block would only make a scan of a bucket dearer.
inline constexpr ReadBudget kMediaBudget = {
    .bytes_max = 4 << 20, .requests_max = 64, .block_bytes = 32 << 10};
// Scene descriptions: text, or tables at the end of the file, that have to be read whole: 16 MiB.
inline constexpr ReadBudget kSceneBudget = {
    .bytes_max = 16 << 20, .requests_max = 128, .block_bytes = 64 << 10};
// What the media helper may ask for of one file.
inline constexpr ReadBudget kHelperBudget = {
    .bytes_max = 16 << 20, .requests_max = 256, .block_bytes = 64 << 10};
// .blend: a compressed one has to be streamed as a whole, and the blocks of a plain one lie all over it. Time
// and inflated bytes are bounded by BlendLimits.
inline constexpr ReadBudget kBlendBudget = {
    .bytes_max = uint64_t{16} << 30, .requests_max = 262'144, .block_bytes = 64 << 10};

// Thrown when a file is not what its listing said any more: read it again from its new head().
struct ChangedError : base::Error {
  explicit ChangedError(const std::string& m) : base::Error(base::ErrorKind::kConflict, m, "Changed") {}
};

// Reads one object after the other; keeps its memory between them (8 blocks, and a buffer for larger reads
// that is given back when it has grown beyond 1 MiB). Not thread-safe.
class CachedSource final : public Source {
 public:
  static constexpr size_t kReadMax = 8 << 20;  // bytes of one read

  explicit CachedSource(objects::ObjectReader& reader) : reader_(reader) {}

  // Turns to another object. Reads its first block, so that errors of the store come from here.
  void open(const objects::ObjectInfo& object, const ReadBudget& budget);
  // Another budget for the object that is open: what was read of it counts.
  void set_budget(const ReadBudget& budget) { budget_ = budget; }

  // Source. Besides what Source says: ChangedError when the object has another ETag or a plain file got
  // shorter.
  uint64_t size() const override { return size_; }
  std::string_view read(uint64_t offset, size_t length) override;
  std::string_view read_some(uint64_t offset, size_t length) override;
  std::string_view window(uint64_t offset, size_t length) override;

  uint64_t bytes_read() const { return bytes_; }   // of this object, from the store
  uint64_t requests() const { return requests_; }  // of this object

 private:
  static constexpr size_t kBlocks = 8;
  struct Block {
    uint64_t offset = 0;
    size_t length = 0;  // what there is of it; 0: empty
    uint64_t used = 0;  // for the least recently used
    std::vector<char> data;
  };

  // Bytes at the end that are read alone: only that they are there matters.
  static constexpr size_t kTailMax = 4 << 10;
  // What is read first of a plain file: copying more costs more than asking again, as few have to.
  static constexpr size_t kPlainFileHead = 8 << 10;

  std::string_view take(uint64_t offset, size_t length);
  size_t block_length(uint64_t start) const;
  bool cached(uint64_t offset);
  Block* find(uint64_t start);
  const Block& block_with(uint64_t offset, uint64_t end);
  void fill(Block& block, size_t length);
  void fetch(uint64_t offset, char* out, size_t length);

  objects::ObjectReader& reader_;
  std::unique_ptr<objects::ObjectHandle> object_;
  std::string key_;
  size_t head_bytes_ = 0;
  uint64_t size_ = 0;
  ReadBudget budget_ = kMediaBudget;
  uint64_t bytes_ = 0;
  uint64_t requests_ = 0;
  uint64_t clock_ = 0;
  Block blocks_[kBlocks];
  std::vector<char> joined_;  // what does not lie within one block
};

}  // namespace millrace::scan
