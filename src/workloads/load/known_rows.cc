#include "workloads/load/known_rows.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "base/random.h"

namespace millrace::load {
namespace {

constexpr size_t kSecretBytes = 192;  // as XXH3 has by itself; XXH3_SECRET_SIZE_MIN is less

}  // namespace

RowHasher::RowHasher() : secret_(base::random_bytes(kSecretBytes)) {}

RowHash RowHasher::row(std::string_view bytes) const {
  const XXH128_hash_t hash =
      XXH3_128bits_withSecret(bytes.data(), bytes.size(), secret_.data(), secret_.size());
  return {hash.low64, hash.high64};
}

uint64_t RowHasher::key(std::string_view bytes, uint64_t seed) const {
  return XXH3_64bits_withSecret(bytes.data(), bytes.size(), secret_.data(), secret_.size()) +
         std::rotl(seed, 23) * 0x9e3779b97f4a7c15ull;
}

KnownRows::KnownRows() { clear(); }

void KnownRows::clear() {
  for (Shard& shard : shards_) {
    shard.slots = std::vector<RowHash>(kSlotsMin);
    shard.used = 0;
  }
}

void KnownRows::reserve(size_t rows) {
  const size_t slots = std::bit_ceil(std::min(rows, kRowsMax) / kShards / 3 * 4 + 1);
  for (Shard& shard : shards_)
    if (slots > shard.slots.size()) grow(shard, std::min(slots, kSlotsMax / kShards));
}

void KnownRows::grow(Shard& shard, size_t slots) {
  std::vector<RowHash> old(slots);
  old.swap(shard.slots);
  for (const RowHash& hash : old)
    if (hash != RowHash{}) put(shard, hash);
}

void KnownRows::put(Shard& shard, const RowHash& hash) {
  const size_t mask = shard.slots.size() - 1;
  size_t at = hash.low & mask;
  while (shard.slots[at] != RowHash{}) at = (at + 1) & mask;
  shard.slots[at] = hash;
}

void KnownRows::add(const std::vector<RowHash>& hashes) {
  constexpr size_t kAhead = 12;
  for (size_t i = 0; i < hashes.size(); ++i) {
    if (i + kAhead < hashes.size()) prefetch(hashes[i + kAhead]);
    const RowHash hash = stored(hashes[i]);
    Shard& shard = shards_[hash.high % kShards];
    if (shard.used >= shard.slots.size() / 5 * 4) {
      if (shard.slots.size() >= kSlotsMax / kShards) continue;
      grow(shard, shard.slots.size() * 2);
    }
    put(shard, hash);
    ++shard.used;
  }
}

bool KnownRows::contains(const RowHash& wanted) const {
  const RowHash hash = stored(wanted);
  const std::vector<RowHash>& slots = shards_[hash.high % kShards].slots;
  const size_t mask = slots.size() - 1;
  for (size_t at = hash.low & mask; slots[at] != RowHash{}; at = (at + 1) & mask)
    if (slots[at] == hash) return true;
  return false;
}

void KnownRows::prefetch(const RowHash& hash) const {
  const std::vector<RowHash>& slots = shards_[stored(hash).high % kShards].slots;
  __builtin_prefetch(&slots[hash.low & (slots.size() - 1)]);
}

void MetKeys::add(uint64_t hash) {
  if (bits_.empty()) bits_.resize(kBits / 64);
  bits_[hash % kBits / 64] |= uint64_t{1} << hash % 64;
}

bool MetKeys::contains(uint64_t hash) const {
  return !bits_.empty() && (bits_[hash % kBits / 64] >> hash % 64 & 1) != 0;
}

}  // namespace millrace::load
