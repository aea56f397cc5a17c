// The names of the fields that rules look at, as a tree: what of an event need be looked at at all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "events/string_table.h"

namespace millrace::events {

class PathTree {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Node {
    uint64_t lengths = 0;  // bit n: some child's name has n bytes (63: or more)
    uint32_t first_child = 0, child_count = 0;
    uint32_t field = kNone;  // that ends here
    bool children() const { return child_count > 0; }
  };

  // `paths` are distinct; the number of a field is its place there.
  void build(const std::vector<std::string>& paths);

  const Node& root() const { return nodes_[0]; }
  // The child by the name of an event's member, which may have dots in it; nullptr when no rule looks there.
  const Node* child(const Node& node, std::string_view name) const {
    const size_t bit = name.size() < 63 ? name.size() : 63;
    if (!(node.lengths >> bit & 1)) return split_dots_ ? child_by_parts(node, name) : nullptr;
    const uint64_t head = load_head(name.data(), name.size());
    if (node.child_count <= kFewMax) {
      const Child* end = children_.data() + node.first_child + node.child_count;
      for (const Child* c = children_.data() + node.first_child; c != end; ++c) {
        if (c->head == head && c->length == name.size() && same_rest(*c, name)) return &nodes_[c->node];
      }
    } else if (const Child* c = child_by_hash(node, name)) {
      return &nodes_[c->node];
    }
    return split_dots_ ? child_by_parts(node, name) : nullptr;
  }

 private:
  class Draft;
  static constexpr uint32_t kFewMax = 12;
  // A member called "a.b" is a and b. Down to this depth the tree has such names as children of their own,
  // below names are taken apart.
  static constexpr size_t kAliasDepthMax = 8;
  struct Child {
    uint64_t head;
    uint32_t name, length;  // in names_
    uint32_t node;
    uint32_t parent;
  };
  bool same_rest(const Child& c, std::string_view name) const {
    return c.length <= 8 || std::memcmp(names_.data() + c.name + 8, name.data() + 8, c.length - 8) == 0;
  }
  const Child* child_by_hash(const Node& node, std::string_view name) const;
  const Node* child_by_parts(const Node& node, std::string_view name) const;

  std::vector<Node> nodes_;
  std::vector<Child> children_;
  std::string names_;
  std::vector<uint32_t> slots_;  // of children of nodes with many
  bool split_dots_ = false;
};

}  // namespace millrace::events
