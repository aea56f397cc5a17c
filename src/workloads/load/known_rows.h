// Which rows a table has, as hashes: 16 bytes a row.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::load {

struct RowHash {
  uint64_t low = 0, high = 0;
  bool operator==(const RowHash&) const = default;
};

// 128 bits of XXH3 under a secret that is drawn anew every time: nobody can make rows that collide without
// knowing it.
class RowHasher {
 public:
  RowHasher();
  RowHash row(std::string_view bytes) const;
  uint64_t key(std::string_view bytes, uint64_t seed) const;

 private:
  std::string secret_;
};

// A set of hashes that grows in small steps and has a limit. One thread at a time.
class KnownRows {
 public:
  // What `rows_max` rows take at most, in bytes: 20 a row.
  static constexpr size_t kSlotsMax = 8 << 20;
  static constexpr size_t kRowsMax = kSlotsMax / 5 * 4 / 64 * 62;  // no shard is ever full at this

  KnownRows();
  // Room for so many rows from the start.
  void reserve(size_t rows);
  // Rows beyond the limit are not taken: contains() then says false for some that were added.
  void add(const std::vector<RowHash>& hashes);
  bool contains(const RowHash& hash) const;
  // Has the processor fetch where the hash would be.
  void prefetch(const RowHash& hash) const;
  void clear();

 private:
  static constexpr size_t kShards =
      64;  // each grows for itself: doubling all at once would need half as much again
  static constexpr size_t kSlotsMin = 64;
  struct Shard {
    std::vector<RowHash> slots;
    size_t used = 0;
  };
  static RowHash stored(const RowHash& hash) {
    return hash == RowHash{} ? RowHash{1, 0} : hash;  // zeros are a free slot
  }
  static void grow(Shard& shard, size_t slots);
  static void put(Shard& shard, const RowHash& hash);

  std::array<Shard, kShards> shards_;
};

// Which keys were met: a bit for each, so it may say yes to one that was not, never no to one that was.
class MetKeys {
 public:
  void add(uint64_t hash);
  bool contains(uint64_t hash) const;

 private:
  static constexpr size_t kBits = 64 << 20;  // 8 MiB: 1 in 64 of other keys at a million
  std::vector<uint64_t> bits_;
};

}  // namespace millrace::load
