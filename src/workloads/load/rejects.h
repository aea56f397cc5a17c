// Rows that were not loaded, each with its place and the reason.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "objects/new_object.h"
#include "workloads/load/target.h"

namespace millrace::load {

// How many may be rejected: a number, or a share of all rows.
struct RejectLimit {
  uint64_t rows = 0;
  double share = 0;  // of all rows; counts instead of `rows` when it is not 0
};
// "5" or "0.5%". Throws UsageError.
RejectLimit parse_reject_limit(const std::string& text);

// Written to a file or an object as CSV: database,source,line,byte,column,value,reason. Memory does not grow.
class Rejects {
 public:
  static constexpr size_t kShown = 10;

  // An empty `place`: counted and shown only. Throws as objects::NewObject.
  Rejects(const std::string& place, const RejectLimit& limit);
  ~Rejects();

  // The database and file of what follows; counts begin at 0.
  void begin(const std::string& database, const std::string& source);
  // Another pass over the same rows: what was told before is not told again.
  void again() { skip_ = count_; }
  void add(const Problem& problem);
  uint64_t count() const { return count_; }
  // Too many already, however many rows follow.
  bool too_many() const { return limit_.share == 0 && count_ > limit_.rows; }
  bool too_many_of(uint64_t rows) const;
  // So many more than allowed that looking on helps nobody.
  bool hopeless() const { return too_many() && count_ > limit_.rows + 1000; }
  // The first of them, for people.
  const std::vector<std::string>& shown() const { return shown_; }
  std::string limit_shown() const;
  // There under its name; nothing was rejected: a head and no rows.
  void publish();

 private:
  RejectLimit limit_;
  std::unique_ptr<objects::NewObject> file_;
  std::string database_, source_;
  std::vector<std::string> shown_;
  uint64_t count_ = 0, skip_ = 0;
};

}  // namespace millrace::load
