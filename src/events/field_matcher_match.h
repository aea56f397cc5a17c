// The part of FieldMatcher that runs for every value; inlined into the walk through the event.
#pragma once

#include <algorithm>

#include "events/comparable_number.h"
#include "events/field_matcher.h"
#include "events/letter_case.h"

namespace millrace::events {

inline void FieldMatcher::begin(FieldScratch* scratch) const {
  if (anything_but_.empty()) return;
  if (scratch->excluded.size() < anything_but_.size()) scratch->excluded.resize(anything_but_.size(), 0);
  if (++scratch->stamp == 0) {
    std::fill(scratch->excluded.begin(), scratch->excluded.end(), 0);
    scratch->stamp = 1;
  }
}

template <typename Found>
void FieldMatcher::match_folded(std::string_view value, FieldScratch* scratch, Found&& found) const {
  const bool ascii = is_ascii(value);
  fold_case(value, &scratch->folded);
  const std::string_view folded = scratch->folded;
  if (const uint32_t at = folded_exact_.find(folded); at != StringTable::kNone) {
    reach_folded(at, value, ascii, scratch, found);
  }
  folded_prefixes_.walk<false>(folded, [&](uint32_t at) { reach_folded(at, value, ascii, scratch, found); });
  folded_suffixes_.walk<true>(folded, [&](uint32_t at) { reach_folded(at, value, ascii, scratch, found); });
}

template <typename Found>
void FieldMatcher::match_address(std::string_view value, FieldScratch* scratch, Found&& found) const {
  const auto digits = ip_digits(value);
  if (!digits) return;
  // Addresses are compared by the digits that both have: the first 8 of an IPv6 one may be an IPv4 one.
  const std::string_view all = *digits;
  if (const uint32_t at = address_exact_.find(all); at != StringTable::kNone) reach_list(at, scratch, found);
  if (all.size() > 8) {
    const uint32_t at = address_exact_.find(all.substr(0, 8));
    if (at != StringTable::kNone) reach_list(at, scratch, found);
  }
  for (const Address& address : addresses_) {
    if (address.range.contains(all)) reach(address.target, scratch, found);
  }
}

template <typename Found>
void FieldMatcher::match_string(std::string_view value, FieldScratch* scratch, Found&& found) const {
  begin(scratch);
  if (!exact_.empty()) {
    if (const uint32_t at = exact_.find(value); at != StringTable::kNone) reach_list(at, scratch, found);
  }
  prefixes_.walk<false>(value, [&](uint32_t at) { reach_list(at, scratch, found); });
  suffixes_.walk<true>(value, [&](uint32_t at) { reach_list(at, scratch, found); });
  if (folds_) match_folded(value, scratch, found);
  if (!wildcards_.empty()) {
    wildcards_.match(value, &scratch->wildcards, [&](uint32_t at) { reach_list(at, scratch, found); });
  }
  if (has_addresses_) match_address(value, scratch, found);
  finish(scratch, found);
}

template <typename Found>
void FieldMatcher::match_number(std::string_view value, FieldScratch* scratch, Found&& found) const {
  begin(scratch);
  if (!numbers_.empty() || !ranges_.empty()) {
    if (const auto number = comparable_number(value)) {
      auto at = std::lower_bound(numbers_.begin(), numbers_.end(), *number,
                                 [](const Number& a, double b) { return a.value < b; });
      if (at != numbers_.end() && at->value == *number) reach_list(at->list, scratch, found);
      for (const Range& range : ranges_) {
        if (range.range.contains(*number)) reach(range.target, scratch, found);
      }
    }
  }
  if (!number_texts_.empty()) {
    if (const uint32_t at = number_texts_.find(value); at != StringTable::kNone)
      reach_list(at, scratch, found);
  }
  finish(scratch, found);
}

template <typename Found>
void FieldMatcher::match_literal(std::string_view value, FieldScratch* scratch, Found&& found) const {
  begin(scratch);
  if (!literals_.empty()) {
    if (const uint32_t at = literals_.find(value); at != StringTable::kNone) reach_list(at, scratch, found);
  }
  finish(scratch, found);
}

}  // namespace millrace::events
