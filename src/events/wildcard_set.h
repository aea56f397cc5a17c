// Many wildcard patterns against one value in one pass.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "events/radix_tree.h"
#include "events/wildcard.h"

namespace millrace::events {

// Where matching one value is written down; kept from value to value. Not thread-safe.
struct WildcardScratch {
  struct Active {
    uint32_t node;
    uint32_t end;  // of the pieces matched so far, in the value
  };
  std::vector<Active> active;
  std::vector<uint32_t> stamps;  // of a node: the value for which it became active
  uint32_t stamp = 0;
  std::vector<uint32_t> tails;
};

// Built once. Pieces between stars are found by one automaton (Aho and Corasick, "Efficient string matching",
// 1975); which pieces have been seen in order is kept in a tree of pieces, so that patterns with a common
// start share it. Taking every piece where it first occurs is enough: a later place leaves less of the value
// to the next pieces.
class WildcardSet {
 public:
  struct Entry {
    Wildcard wildcard;
    uint32_t value;
  };
  void build(std::vector<Entry> entries);
  bool empty() const { return plain_.empty() && nodes_.empty(); }

  // Calls found(value) for each pattern that the text matches; a value may come twice.
  template <typename Found>
  void match(std::string_view text, WildcardScratch* scratch, Found&& found) const {
    for (const Entry& entry : plain_) {
      if (wildcard_matches(entry.wildcard, text)) found(entry.value);
    }
    if (nodes_.empty() || !search(text, scratch)) return;
    for (const WildcardScratch::Active& active : scratch->active) {
      if (!nodes_[active.node].ends) continue;
      for (const uint32_t tail : scratch->tails) {
        if (text.size() - tail_lengths_[tail] < active.end) continue;
        const auto end = ends_.find(pair(active.node, tail));
        if (end == ends_.end()) continue;
        for (const uint32_t value : end->second) found(value);
      }
    }
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kOutput = 1U << 31;
  struct Node {
    bool children = false, ends = false;
  };
  static uint64_t pair(uint32_t node, uint32_t other) { return static_cast<uint64_t>(node) << 32 | other; }

  uint32_t child(uint32_t parent, uint32_t piece);
  bool build_automaton(const std::vector<std::string_view>& pieces);
  bool search(std::string_view text, WildcardScratch* scratch) const;
  void advance(uint32_t state, uint32_t end, WildcardScratch* scratch) const;

  std::vector<Entry> plain_;  // tried one by one: they are few, or too long for the automaton
  std::vector<Node> nodes_;   // of the tree of pieces; a root for every head
  RadixTree heads_, tails_;
  std::vector<uint32_t> head_lengths_, tail_lengths_;
  std::unordered_map<uint64_t, uint32_t> children_;           // (node, piece) -> node
  std::unordered_map<uint64_t, std::vector<uint32_t>> ends_;  // (node, tail) -> values
  // The automaton over the pieces.
  std::vector<uint8_t> classes_;  // of a byte
  uint32_t class_count_ = 0;
  std::vector<uint32_t> moves_;    // state * class_count_ + class -> state, kOutput when a piece ends there
  std::vector<uint32_t> piece_;    // that ends in a state, or kNone
  std::vector<uint32_t> shorter_;  // the next state down where a piece ends, or kNone
  std::vector<uint32_t> piece_lengths_;
};

}  // namespace millrace::events
