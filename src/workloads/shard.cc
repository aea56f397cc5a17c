#include "workloads/shard.h"

#include <cstdlib>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"

namespace millrace::workloads {
namespace {

constexpr uint32_t kShardsMax = 10'000;  // AWS Batch: arrayProperties.size

std::optional<Shard> make_shard(std::string_view index, std::string_view count) {
  auto i = base::parse_number<uint32_t>(index);
  auto n = base::parse_number<uint32_t>(count);
  if (!i || !n || *n == 0 || *n > kShardsMax || *i >= *n) return std::nullopt;
  return Shard{*i, *n};
}

}  // namespace

uint32_t shard_of_item(std::string_view item, uint32_t count) {
  return static_cast<uint32_t>(base::xxh3(item) % count);
}

bool Shard::has(std::string_view item) const { return whole() || shard_of_item(item, count) == index; }

Shard parse_shard(std::string_view text) {
  size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    if (auto shard = make_shard(text.substr(0, slash), text.substr(slash + 1))) return *shard;
  }
  throw base::UsageError("'" + std::string(text) +
                         "' is no shard: write I/N, with I from 0 to N-1 and N at most " +
                         std::to_string(kShardsMax));
}

Shard shard_of_environment() {
  const char* index = std::getenv("AWS_BATCH_JOB_ARRAY_INDEX");
  if (index == nullptr || *index == '\0') return {};
  const char* count = std::getenv("AWS_BATCH_JOB_ARRAY_SIZE");
  if (count == nullptr || *count == '\0') {
    throw base::UsageError(
        "AWS_BATCH_JOB_ARRAY_INDEX is set but AWS_BATCH_JOB_ARRAY_SIZE is not: say --shard " +
        std::string(index) + "/N");
  }
  if (auto shard = make_shard(index, count)) return *shard;
  throw base::UsageError("AWS_BATCH_JOB_ARRAY_INDEX=" + std::string(index) +
                         " and AWS_BATCH_JOB_ARRAY_SIZE=" + std::string(count) + " are no shard");
}

}  // namespace millrace::workloads
