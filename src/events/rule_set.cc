#include "events/rule_set.h"

#include <algorithm>

namespace millrace::events {

std::vector<std::string> RuleSet::Snapshot::match(std::string_view event, MatchScratch* scratch) const {
  std::vector<uint32_t> rules;
  matcher_->match(event, scratch, &rules);
  std::sort(rules.begin(), rules.end());  // numbers are in the order of names
  std::vector<std::string> names;
  names.reserve(rules.size());
  for (const uint32_t rule : rules) names.emplace_back(names_[rule]);
  return names;
}

void RuleSet::put(const std::string& name, std::string_view pattern) { put(name, parse_pattern(pattern)); }

void RuleSet::put(const std::string& name, Pattern pattern) {
  auto shared = std::make_shared<const Pattern>(std::move(pattern));
  const std::lock_guard lock(mutex_);
  patterns_[name] = std::move(shared);
  current_ = nullptr;
}

bool RuleSet::remove(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (patterns_.erase(name) == 0) return false;
  current_ = nullptr;
  return true;
}

std::shared_ptr<const RuleSet::Snapshot> RuleSet::snapshot() {
  const std::lock_guard lock(mutex_);
  if (current_) return current_;
  auto fresh = std::make_shared<Snapshot>();
  std::vector<const Pattern*> patterns;
  patterns.reserve(patterns_.size());
  for (const auto& [name, pattern] : patterns_) {
    fresh->names_.push_back(name);
    patterns.push_back(pattern.get());
  }
  fresh->matcher_ = std::make_unique<const Matcher>(patterns);
  current_ = fresh;
  return current_;
}

}  // namespace millrace::events
