// The patterns of an event bus's rules under their names, changing while events are being matched.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "events/matcher.h"

namespace millrace::events {

// Thread-safe. Changing a rule is cheap; the next snapshot() compiles what is new.
class RuleSet {
 public:
  // The rules as they were at one time. Immutable and thread-safe, see Matcher.
  class Snapshot {
   public:
    // The names of the rules that match, sorted. Throws as Matcher::match does.
    std::vector<std::string> match(std::string_view event, MatchScratch* scratch) const;
    // The same as numbers, unsorted, for callers that count in millions; name() says whose they are.
    void match(std::string_view event, MatchScratch* scratch, std::vector<uint32_t>* rules) const {
      matcher_->match(event, scratch, rules);
    }
    const std::string& name(uint32_t rule) const { return names_[rule]; }
    size_t size() const { return names_.size(); }

   private:
    friend class RuleSet;
    std::vector<std::string> names_;
    std::unique_ptr<const Matcher> matcher_;
  };

  // Adds or replaces a rule. Throws InvalidPatternError and changes nothing.
  void put(const std::string& name, std::string_view pattern);
  void put(const std::string& name, Pattern pattern);
  // False when there is no such rule.
  bool remove(const std::string& name);

  // The rules as they are now. Compiles at most once per change.
  std::shared_ptr<const Snapshot> snapshot();

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Pattern>> patterns_;
  std::shared_ptr<const Snapshot> current_;
};

}  // namespace millrace::events
