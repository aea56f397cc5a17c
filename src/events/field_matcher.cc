#include "events/field_matcher.h"

#include <deque>
#include <utility>

namespace millrace::events {

// Collects keys and targets by kind of test, then lays them out.
class FieldMatcher::Builder {
 public:
  explicit Builder(FieldMatcher* out) : out_(*out) {}

  void add(const Test& test, uint32_t target) {
    switch (test.kind) {
      case TestKind::kExact:
        exact_.emplace_back(test.text, target);
        break;
      case TestKind::kPrefix:
        prefixes_.emplace_back(test.text, target);
        break;
      case TestKind::kSuffix:
        suffixes_.emplace_back(test.text, target);
        break;
      case TestKind::kEqualsIgnoreCase:
        fold(test, target, &folded_exact_);
        break;
      case TestKind::kPrefixIgnoreCase:
        fold(test, target, &folded_prefixes_);
        break;
      case TestKind::kSuffixIgnoreCase:
        fold(test, target, &folded_suffixes_);
        break;
      case TestKind::kWildcard: {
        Wildcard wildcard;
        std::string error;
        if (!parse_wildcard(test.text, &wildcard, &error)) break;  // a Pattern holds none of these
        if (wildcard.pieces.size() == 1) {
          exact_.emplace_back(kept_.emplace_back(wildcard.pieces[0]), target);
        } else {
          wildcards_.emplace_back(test.text, target);
        }
        break;
      }
      case TestKind::kIp:
        out_.has_addresses_ = true;
        if (test.ip.low == test.ip.high) {
          addresses_.emplace_back(test.ip.low, target);
        } else {
          out_.addresses_.push_back({test.ip, target});
        }
        break;
      case TestKind::kNumber:
        numbers_.emplace_back(test.range.low, target);
        break;
      case TestKind::kNumberText:
        number_texts_.emplace_back(test.text, target);
        break;
      case TestKind::kRange:
        out_.ranges_.push_back({test.range, target});
        break;
      case TestKind::kLiteral:
        literals_.emplace_back(test.text, target);
        break;
      case TestKind::kExists:
        out_.any_.push_back(target);
        break;
      case TestKind::kAbsent:
        break;
      case TestKind::kAnythingBut: {
        const auto number = static_cast<uint32_t>(out_.anything_but_.size());
        out_.anything_but_.push_back(target);
        for (const Test& each : test.except) add(each, number | kExcludes);
        break;
      }
    }
  }

  void finish() {
    fill(&exact_, &out_.exact_);
    fill(&prefixes_, &out_.prefixes_, false);
    fill(&suffixes_, &out_.suffixes_, true);
    fill(&folded_exact_, &out_.folded_exact_);
    fill(&folded_prefixes_, &out_.folded_prefixes_, false);
    fill(&folded_suffixes_, &out_.folded_suffixes_, true);
    fill(&addresses_, &out_.address_exact_);
    fill(&number_texts_, &out_.number_texts_);
    fill(&literals_, &out_.literals_);
    out_.folds_ = !out_.folded_.empty();
    std::vector<WildcardSet::Entry> wildcards;
    group(&wildcards_, [&](std::string_view text, uint32_t at) {
      std::string error;
      parse_wildcard(text, &wildcards.emplace_back().wildcard, &error);
      wildcards.back().value = at;
    });
    out_.wildcards_.build(std::move(wildcards));
    group(&numbers_, [&](double value, uint32_t at) { out_.numbers_.push_back({value, at}); });
  }

 private:
  template <typename Key>
  using Keyed = std::vector<std::pair<Key, uint32_t>>;
  using Keys = Keyed<std::string_view>;  // into the tests, or into kept_

  void fold(const Test& test, uint32_t target, Keys* into) {
    std::string& folded = kept_.emplace_back();
    fold_case(test.text, &folded);
    into->emplace_back(folded, static_cast<uint32_t>(out_.folded_.size()));
    out_.folded_.push_back({test.text, test.kind, is_ascii(test.text), target});
  }

  // Sorts by key and tells each distinct key once, with the place of its list of targets.
  template <typename Key, typename Tell>
  void group(Keyed<Key>* keyed, Tell&& tell) {
    std::sort(keyed->begin(), keyed->end());
    for (size_t i = 0; i < keyed->size();) {
      const Key key = (*keyed)[i].first;
      size_t end = i + 1;
      while (end < keyed->size() && (*keyed)[end].first == key) ++end;
      uint32_t at = (*keyed)[i].second | kAlone;
      if (end > i + 1) {
        at = static_cast<uint32_t>(out_.targets_.size());
        out_.targets_.push_back(static_cast<uint32_t>(end - i));
        for (size_t k = i; k < end; ++k) out_.targets_.push_back((*keyed)[k].second);
      }
      i = end;
      tell(key, at);
    }
  }
  void fill(Keys* keyed, StringTable* table) {
    group(keyed, [&](std::string_view key, uint32_t at) { table->add(key, at); });
    table->finish();
  }
  void fill(Keys* keyed, RadixTree* tree, bool backwards) {
    std::vector<RadixTree::Entry> entries;
    group(keyed, [&](std::string_view key, uint32_t at) { entries.push_back({key, at}); });
    tree->build(std::move(entries), backwards);
  }

  FieldMatcher& out_;
  std::deque<std::string> kept_;
  Keys exact_, prefixes_, suffixes_, folded_exact_, folded_prefixes_, folded_suffixes_, wildcards_,
      addresses_, number_texts_, literals_;
  Keyed<double> numbers_;
};

void FieldMatcher::build(const std::vector<Use>& uses) {
  Builder builder(this);
  for (const Use& use : uses) builder.add(*use.test, use.condition);
  builder.finish();
}

bool FieldMatcher::really_matches(const Folded& folded, std::string_view value) {
  switch (folded.kind) {
    case TestKind::kPrefixIgnoreCase:
      return starts_with_ignoring_case(folded.text, value);
    case TestKind::kSuffixIgnoreCase:
      return ends_with_ignoring_case(folded.text, value);
    default:
      return equals_ignoring_case(folded.text, value);
  }
}

}  // namespace millrace::events
