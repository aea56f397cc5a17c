// Many wildcard patterns against one value in one pass.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
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
      const Node& node = nodes_[active.node];
      if (node.end_count == 0) continue;
      for (const uint32_t tail : scratch->tails) {
        if (text.size() - tail_lengths_[tail] < active.end) continue;
        for (const Edge* e = find(ends_.data() + node.first_end, node.end_count, tail);
             e && e != ends_.data() + node.first_end + node.end_count && e->label == tail; ++e) {
          found(e->to);
        }
      }
    }
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kOutput = 1U << 31;
  // From a node by a piece to a node, or at its end by a tail to a value.
  struct Edge {
    uint32_t label, to;
  };
  struct Node {
    uint32_t first_child = 0, child_count = 0;  // in children_
    uint32_t first_end = 0, end_count = 0;      // in ends_
  };

  // The first edge of that label among some that are sorted; nullptr when there is none.
  static const Edge* find(const Edge* edges, uint32_t count, uint32_t label) {
    const Edge* end = edges + count;
    if (count > 8)
      edges = std::lower_bound(edges, end, label, [](const Edge& e, uint32_t l) { return e.label < l; });
    while (edges != end && edges->label < label) ++edges;
    return edges != end && edges->label == label ? edges : nullptr;
  }
  bool build_automaton(const std::vector<std::string_view>& pieces);
  bool search(std::string_view text, WildcardScratch* scratch) const;
  void advance(uint32_t state, uint32_t end, WildcardScratch* scratch) const;

  std::vector<Entry> plain_;  // tried one by one: they are few, or too long for the automaton
  std::vector<Node> nodes_;   // of the tree of pieces; a root for every head
  RadixTree heads_, tails_;
  std::vector<uint32_t> head_lengths_, tail_lengths_;
  std::vector<Edge> children_, ends_;  // of each node together, sorted
  // The automaton over the pieces.
  std::vector<uint8_t> classes_;  // of a byte
  uint32_t class_count_ = 0;
  std::vector<uint32_t> moves_;    // state + class -> state, kOutput when a piece ends there
                                   // (a state is its number times class_count_)
  std::vector<uint32_t> piece_;    // that ends in a state, or kNone
  std::vector<uint32_t> shorter_;  // the next state down where a piece ends, or kNone
  std::vector<uint32_t> piece_lengths_;
};

}  // namespace millrace::events
