#include "engine/job_id.h"

#include <fmt/format.h>

#include <cstring>

#include "base/hash.h"

namespace millrace::engine {
namespace {

constexpr int kRounds = 4;
constexpr uint64_t kTagMask = (uint64_t{1} << 58) - 1;  // a version 4 UUID has 122 free bits: 64 + 58

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

JobIds::JobIds(std::string_view seed) : seed_(seed) {}

uint64_t JobIds::round(uint32_t half, int number) const {
  std::string input = seed_;
  put(input, half);
  put(input, static_cast<uint32_t>(number));
  return base::xxh3(input);
}

uint64_t JobIds::tag(uint64_t hidden) const {
  std::string input = seed_;
  put(input, hidden);
  return base::xxh3(input) & kTagMask;
}

// A Feistel network over the two halves of the number: a bijection whatever the round function is.
std::string JobIds::to_uuid(JobSeq seq) const {
  auto left = static_cast<uint32_t>(seq >> 32), right = static_cast<uint32_t>(seq);
  for (int i = 0; i < kRounds; ++i) {
    uint32_t next = left ^ static_cast<uint32_t>(round(right, i));
    left = right;
    right = next;
  }
  uint64_t hidden = uint64_t{left} << 32 | right;
  uint64_t check = tag(hidden);
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", left, right >> 16, (right & 0xFFFF) >> 4,
                     0x8000 | (right & 0xF) << 10 | check >> 48, check & 0xFFFF'FFFF'FFFF);
}

std::optional<JobSeq> JobIds::from_uuid(std::string_view uuid) const {
  if (uuid.size() != 36 || uuid[8] != '-' || uuid[13] != '-' || uuid[18] != '-' || uuid[23] != '-')
    return std::nullopt;
  std::string digits;
  for (char c : uuid)
    if (c != '-') digits += c;
  std::optional<std::string> bytes = base::unhex(digits);
  if (!bytes || bytes->size() != 16) return std::nullopt;
  uint64_t high = 0, low = 0;
  for (int i = 0; i < 8; ++i) {
    high = high << 8 | static_cast<unsigned char>((*bytes)[static_cast<size_t>(i)]);
    low = low << 8 | static_cast<unsigned char>((*bytes)[static_cast<size_t>(i + 8)]);
  }
  auto left = static_cast<uint32_t>(high >> 32);
  uint32_t right = static_cast<uint32_t>(high >> 16 & 0xFFFF) << 16 |
                   static_cast<uint32_t>(high & 0xFFF) << 4 | static_cast<uint32_t>(low >> 58 & 0xF);
  for (int i = kRounds - 1; i >= 0; --i) {
    uint32_t previous = right ^ static_cast<uint32_t>(round(left, i));
    right = left;
    left = previous;
  }
  JobSeq seq = uint64_t{left} << 32 | right;
  if (to_uuid(seq) != uuid) return std::nullopt;
  return seq;
}

std::string JobIds::task_id(uint64_t token) const {
  std::string input = "task" + seed_;
  put(input, token);
  return base::hex(base::sha256(input).substr(0, 16));
}

}  // namespace millrace::engine
