// Strings that a value may begin (or, read backwards, end) with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::events {

// A tree of bytes with every run that does not branch in one node. Built once.
class RadixTree {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Entry {
    std::string_view key;
    uint32_t value;
  };

  // Backwards: the keys are ends. The keys must be distinct.
  void build(std::vector<Entry> entries, bool backwards);
  bool empty() const { return nodes_.empty(); }

  // Calls found(value) for every key that `text` begins (ends) with, the shortest first.
  template <bool kBackwards, typename Found>
  void walk(std::string_view text, Found&& found) const {
    if (nodes_.empty()) return;
    const Node* node = nodes_.data();
    size_t at = 0;
    const auto byte = [&](size_t i) { return kBackwards ? text[text.size() - 1 - i] : text[i]; };
    for (;;) {
      if (text.size() - at < node->length) return;
      const char* label = node->length <= sizeof node->start ? node->start : labels_.data() + node->label;
      for (uint32_t i = 0; i < node->length; ++i) {
        if (byte(at + i) != label[i]) return;
      }
      at += node->length;
      if (node->value != kNone) found(node->value);
      if (at == text.size() || node->child_count == 0) return;
      const char c = byte(at);
      uint32_t k = static_cast<unsigned char>(c) - node->lowest;
      if (!node->dense) {
        const char* firsts = firsts_.data() + node->first_child;
        for (k = 0; k < node->child_count && firsts[k] != c;) ++k;
      }
      if (k >= node->child_count) return;
      node = &nodes_[node->first_child + k];
    }
  }

 private:
  struct Node {
    char start[8];           // the label itself when it is that short: one line of memory a node
    uint32_t label, length;  // in labels_
    uint32_t first_child;
    uint16_t child_count;
    uint8_t lowest;  // first byte of the first child
    bool dense;      // the first bytes of the children follow one another
    uint32_t value;
  };
  std::vector<Node> nodes_;  // the children of a node stand together
  std::string firsts_;       // first byte of each node's label
  std::string labels_;
};

}  // namespace millrace::events
