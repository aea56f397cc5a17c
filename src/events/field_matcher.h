// All the tests that rules make on one field, against one value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "events/ip_address.h"
#include "events/pattern.h"
#include "events/radix_tree.h"
#include "events/string_table.h"
#include "events/wildcard_set.h"

namespace millrace::events {

// Working space for one value after another; not thread-safe.
struct FieldScratch {
  std::string folded;
  WildcardScratch wildcards;
  std::vector<uint32_t> excluded;  // of an anything-but: the value that it excludes
  uint32_t stamp = 0;
};

// Built once, then only read. Values say which conditions they fulfil: found(condition) is called for each,
// maybe more than once. Tests for absence are not made here.
class FieldMatcher {
 public:
  struct Use {
    const Test* test;
    uint32_t condition;
  };
  // The tests must not be used afterwards.
  void build(const std::vector<Use>& uses);

  template <typename Found>
  void match_string(std::string_view value, FieldScratch* scratch, Found&& found) const;
  // `value` as written in the event.
  template <typename Found>
  void match_number(std::string_view value, FieldScratch* scratch, Found&& found) const;
  // true, false or null
  template <typename Found>
  void match_literal(std::string_view value, FieldScratch* scratch, Found&& found) const;

 private:
  // A target is a condition, or with this bit the number of an anything-but that the value is excluded by.
  static constexpr uint32_t kExcludes = 1U << 31;
  static constexpr uint32_t kAlone = 1U << 30;
  struct Folded {
    std::string text;
    TestKind kind;
    bool ascii;
    uint32_t target;
  };
  struct Address {
    IpRange range;
    uint32_t target;
  };
  struct Range {
    NumberRange range;
    uint32_t target;
  };
  struct Number {
    double value;
    uint32_t list;
  };
  class Builder;

  // Calls each(target) for a list: a place in targets_, or with kAlone the only target itself.
  template <typename Each>
  void for_list(uint32_t at, Each&& each) const {
    if (at & kAlone) return each(at & ~kAlone);
    const uint32_t* list = targets_.data() + at;
    for (uint32_t i = 1; i <= list[0]; ++i) each(list[i]);
  }

  template <typename Found>
  void reach(uint32_t target, FieldScratch* scratch, Found&& found) const {
    if (target & kExcludes) {
      scratch->excluded[target & ~kExcludes] = scratch->stamp;
    } else {
      found(target);
    }
  }
  template <typename Found>
  void reach_list(uint32_t at, FieldScratch* scratch, Found&& found) const {
    for_list(at, [&](uint32_t target) { reach(target, scratch, found); });
  }
  template <typename Found>
  void reach_folded(uint32_t at, std::string_view value, bool ascii, FieldScratch* scratch,
                    Found&& found) const {
    for_list(at, [&](uint32_t index) {
      const Folded& folded = folded_[index];
      if ((ascii && folded.ascii) || really_matches(folded, value)) reach(folded.target, scratch, found);
    });
  }
  static bool really_matches(const Folded& folded, std::string_view value);
  void begin(FieldScratch* scratch) const;
  template <typename Found>
  void finish(FieldScratch* scratch, Found&& found) const {
    for (const uint32_t condition : any_) found(condition);
    for (size_t i = 0; i < anything_but_.size(); ++i) {
      if (scratch->excluded[i] != scratch->stamp) found(anything_but_[i]);
    }
  }
  template <typename Found>
  void match_folded(std::string_view value, FieldScratch* scratch, Found&& found) const;
  template <typename Found>
  void match_address(std::string_view value, FieldScratch* scratch, Found&& found) const;

  // Lists of targets: a count, then as many. What the tables below hold are places in here.
  std::vector<uint32_t> targets_;
  StringTable exact_;
  RadixTree prefixes_, suffixes_;
  StringTable folded_exact_;
  RadixTree folded_prefixes_, folded_suffixes_;
  std::vector<Folded> folded_;
  bool folds_ = false;
  WildcardSet wildcards_;
  std::vector<Address> addresses_;  // ranges
  StringTable address_exact_;       // digits of IPv4 and IPv6 addresses
  bool has_addresses_ = false;
  std::vector<Number> numbers_;  // sorted
  std::vector<Range> ranges_;
  StringTable number_texts_;
  StringTable literals_;
  std::vector<uint32_t> any_;           // conditions that any value fulfils
  std::vector<uint32_t> anything_but_;  // their conditions
};

}  // namespace millrace::events

#include "events/field_matcher_match.h"
