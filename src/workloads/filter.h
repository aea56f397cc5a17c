// Which keys a job takes: include and exclude patterns as `aws s3 sync` has them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace::workloads {

// Shell patterns over the whole text: '*' any run of characters (also '/', also none), '?' one character,
// [abc], [a-z], [!abc]. A '[' that is never closed stands for itself. At worst O(pattern * text) steps.
bool pattern_match(std::string_view pattern, std::string_view text);

struct FilterRule {
  bool include = true;
  std::string pattern;  // of keys relative to what the job was pointed at
  bool operator==(const FilterRule&) const = default;
};

// The last rule that matches decides; a key that no rule matches is taken.
bool takes(const std::vector<FilterRule>& rules, std::string_view key);

}  // namespace millrace::workloads
