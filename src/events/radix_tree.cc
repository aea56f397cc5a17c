#include "events/radix_tree.h"

#include <algorithm>

namespace millrace::events {

void RadixTree::build(std::vector<Entry> entries, bool backwards) {
  nodes_.clear();
  if (entries.empty()) return;
  const auto byte = [&](std::string_view key, size_t i) {
    return backwards ? key[key.size() - 1 - i] : key[i];
  };
  std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
    const size_t common = std::min(a.key.size(), b.key.size());
    for (size_t i = 0; i < common; ++i) {
      const char x = byte(a.key, i), y = byte(b.key, i);
      if (x != y) return static_cast<unsigned char>(x) < static_cast<unsigned char>(y);
    }
    return a.key.size() < b.key.size();
  });
  // Nodes whose children are still to be made: the range of entries below them and the bytes used up.
  struct Open {
    uint32_t node;
    size_t begin, end, depth;
  };
  std::vector<Open> work;
  const auto make = [&](size_t begin, size_t end, size_t depth) {
    size_t common = std::min(entries[begin].key.size(), entries[end - 1].key.size());
    size_t until = depth;
    while (until < common && byte(entries[begin].key, until) == byte(entries[end - 1].key, until)) ++until;
    Node node{};
    node.label = static_cast<uint32_t>(labels_.size());
    node.length = static_cast<uint32_t>(until - depth);
    node.value = kNone;
    for (size_t i = depth; i < until; ++i) labels_.push_back(byte(entries[begin].key, i));
    for (uint32_t i = 0; i < node.length && i < sizeof node.start; ++i)
      node.start[i] = labels_[node.label + i];
    if (entries[begin].key.size() == until) {
      node.value = entries[begin].value;
      ++begin;
    }
    firsts_.push_back(node.length > 0 ? labels_[node.label] : '\0');
    nodes_.push_back(node);
    if (begin < end) work.push_back({static_cast<uint32_t>(nodes_.size() - 1), begin, end, until});
  };
  make(0, entries.size(), 0);
  while (!work.empty()) {
    const Open open = work.back();
    work.pop_back();
    nodes_[open.node].first_child = static_cast<uint32_t>(nodes_.size());
    for (size_t begin = open.begin; begin < open.end;) {
      size_t end = begin + 1;
      while (end < open.end && byte(entries[end].key, open.depth) == byte(entries[begin].key, open.depth))
        ++end;
      make(begin, end, open.depth);
      ++nodes_[open.node].child_count;
      begin = end;
    }
    Node& node = nodes_[open.node];
    node.lowest = static_cast<uint8_t>(firsts_[node.first_child]);
    node.dense = static_cast<uint8_t>(firsts_.back()) - node.lowest + 1 == node.child_count;
  }
}

}  // namespace millrace::events
