// When what fires next.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"

namespace millrace::events {

// Not thread-safe.
class Timetable {
 public:
  struct Entry {
    base::TimeMs due = 0;        // with its place in a flexible window
    base::TimeMs scheduled = 0;  // what the expression says
  };
  // Replaces the entry of that key.
  void set(const std::string& key, Entry entry) {
    remove(key);
    order_.emplace(entry.due, key);
    entries_[key] = entry;
  }
  void remove(const std::string& key) {
    auto found = entries_.find(key);
    if (found == entries_.end()) return;
    order_.erase({found->second.due, key});
    entries_.erase(found);
  }
  std::optional<base::TimeMs> next() const {
    return order_.empty() ? std::nullopt : std::optional(order_.begin()->first);
  }
  // Takes those that are due out, the earliest first, at most `most`.
  std::vector<std::pair<std::string, Entry>> take_due(base::TimeMs now, size_t most) {
    std::vector<std::pair<std::string, Entry>> out;
    while (!order_.empty() && order_.begin()->first <= now && out.size() < most) {
      const std::string key = order_.begin()->second;
      out.emplace_back(key, entries_.at(key));
      remove(key);
    }
    return out;
  }
  std::optional<Entry> find(const std::string& key) const {
    auto found = entries_.find(key);
    return found == entries_.end() ? std::nullopt : std::optional(found->second);
  }
  void clear() {
    entries_.clear();
    order_.clear();
  }

 private:
  std::map<std::string, Entry> entries_;
  std::set<std::pair<base::TimeMs, std::string>> order_;
};

}  // namespace millrace::events
