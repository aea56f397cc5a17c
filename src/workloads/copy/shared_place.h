// Where the shards of one copy meet: a folder or a prefix of a bucket that all of them can write. There are
//   plan.json                 which keys are whose, agreed on by all
//   shard-3.json, shard-3.attempt-1.jsonl, shard-3.journal     what each leaves
//   result.json, report.csv   all of it in one, once every shard has ended
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "objects/store.h"
#include "workloads/copy/key_split.h"
#include "workloads/result.h"

namespace millrace::copy {

// Which part of a list is whose. Shards that looked for themselves would not agree when keys come and go
// meanwhile, so the first to arrive decides.
struct ShardPlan {
  std::string fingerprint;  // of the list and its options
  uint32_t shards = 1;
  uint64_t rows = 0;
  // Rows that are cut, with the keys at which they are, ascending. Others are done whole, by one shard.
  std::map<size_t, std::vector<std::string>> cuts;
  bool operator==(const ShardPlan&) const = default;
};
std::string plan_text(const ShardPlan& plan);
ShardPlan parse_plan(const std::string& text);  // throws CorruptError

// Up to `ranges_max` ranges of about the same size, as far as the keys' first differences tell.
std::vector<std::string> cut_keys(const NextKey& next_key, size_t ranges_max);

class SharedPlace {
 public:
  // Throws UsageError, NotFoundError (no such bucket), DeniedError.
  explicit SharedPlace(std::string place);
  std::string at(const std::string& name) const { return place_ + name; }
  std::string result_of(uint32_t shard) const { return at("shard-" + std::to_string(shard) + ".json"); }
  std::string report_of(uint32_t shard, const std::string& attempt) const {
    return at("shard-" + std::to_string(shard) + ".attempt-" + attempt + ".jsonl");
  }
  std::string journal_of(uint32_t shard) const { return at("shard-" + std::to_string(shard) + ".journal"); }

  std::optional<ShardPlan> plan() const;
  // Makes `plan` everybody's, unless another one is there already; gives the one that counts.
  ShardPlan agree(const ShardPlan& plan) const;

  bool all_ended(uint32_t shards) const;
  // Brings results and reports of all shards together: into `result`, and into `report` (a place as of a
  // Report). Shards without a result make the whole fail. Memory grows with rows, not with objects.
  void merge(const std::string& report, workloads::JobResult& result) const;

 private:
  std::optional<std::string> read(const std::string& name) const;
  void for_each_line(const std::string& name, const std::function<void(std::string_view)>& visit) const;

  std::string place_;  // ends in '/'
  objects::Location where_;
  std::unique_ptr<objects::ObjectReader> reader_;
};

}  // namespace millrace::copy
