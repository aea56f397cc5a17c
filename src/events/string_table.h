// Strings to numbers, built once: for values that must be equal to something.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::events {

// At most eight bytes from `p` as a number, none read beyond `size`.
inline uint64_t load_head(const char* p, size_t size) {
  uint64_t head = 0;
  if (size >= 8) {
    std::memcpy(&head, p, 8);
  } else if (size >= 4) {
    uint32_t low = 0, high = 0;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + size - 4, 4);
    head = low | static_cast<uint64_t>(high) << 32;
  } else if (size > 0) {
    head = static_cast<unsigned char>(p[0]) |
           static_cast<uint64_t>(static_cast<unsigned char>(p[size / 2])) << 8 |
           static_cast<uint64_t>(static_cast<unsigned char>(p[size - 1])) << 16;
  }
  return head;
}

// Inlined into the matcher's inner loop, where values are some twenty bytes long: base::xxh3 is a call.
inline uint64_t short_hash(std::string_view text) {
  const auto mix = [](uint64_t a, uint64_t b) {
    const __uint128_t product = static_cast<__uint128_t>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  };
  constexpr uint64_t kA = 0x9E3779B97F4A7C15ULL, kB = 0xD1B54A32D192ED03ULL;
  const char* p = text.data();
  size_t size = text.size();
  uint64_t hash = mix(size ^ kA, kB);
  for (; size > 16; size -= 8, p += 8) hash = mix(hash ^ load_head(p, 8), kA);
  return mix(hash ^ load_head(p, size), kB ^ (size > 8 ? load_head(p + size - 8, 8) : 0));
}

class StringTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // `key` must be new, and add() must not follow find().
  void add(std::string_view key, uint32_t value) {
    begins_.push_back(static_cast<uint32_t>(entries_.size()));
    const Header header{static_cast<uint32_t>(key.size()), value};
    entries_.append(reinterpret_cast<const char*>(&header), sizeof header);
    entries_ += key;
  }
  void finish() {
    if (begins_.size() <= kFewMax) return;
    size_t slots = 16;
    while (slots * 2 < begins_.size() * 3) slots *= 2;
    slots_.assign(slots, {0, kNone});
    for (const uint32_t begin : begins_) {
      const Header header = header_at(begin);
      const uint64_t hash = short_hash({entries_.data() + begin + sizeof header, header.length});
      size_t at = hash & (slots - 1);
      while (slots_[at].begin != kNone) at = (at + 1) & (slots - 1);
      slots_[at] = {static_cast<uint32_t>(hash >> 32), begin};
    }
  }

  bool empty() const { return begins_.empty(); }

  uint32_t find(std::string_view text) const {
    if (slots_.empty()) {
      for (const uint32_t begin : begins_) {
        if (is_at(begin, text)) return header_at(begin).value;
      }
      return kNone;
    }
    const uint64_t hash = short_hash(text);
    const size_t mask = slots_.size() - 1;
    for (size_t at = hash & mask; slots_[at].begin != kNone; at = (at + 1) & mask) {
      if (slots_[at].hash != static_cast<uint32_t>(hash >> 32)) continue;
      if (is_at(slots_[at].begin, text)) return header_at(slots_[at].begin).value;
    }
    return kNone;
  }

 private:
  static constexpr size_t kFewMax = 8;
  struct Header {
    uint32_t length, value;
  };
  struct Slot {
    uint32_t hash, begin;
  };
  Header header_at(uint32_t begin) const {
    Header header;
    std::memcpy(&header, entries_.data() + begin, sizeof header);
    return header;
  }
  bool is_at(uint32_t begin, std::string_view text) const {
    return header_at(begin).length == text.size() &&
           std::memcmp(entries_.data() + begin + sizeof(Header), text.data(), text.size()) == 0;
  }

  std::string entries_;  // each a Header and the key: what a hit reads is one stretch of memory
  std::vector<uint32_t> begins_;
  std::vector<Slot> slots_;
};

}  // namespace millrace::events
