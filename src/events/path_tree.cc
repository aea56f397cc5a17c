#include "events/path_tree.h"

#include <algorithm>
#include <unordered_map>

#include "base/strings.h"

namespace millrace::events {
namespace {

uint64_t slot_hash(uint32_t parent, std::string_view name) {
  return short_hash(name) ^ parent * 0x9E3779B97F4A7C15ULL;
}

}  // namespace

// The tree while it is being made: edges from node to node, those from the same node in a chain.
class PathTree::Draft {
 public:
  struct Edge {
    uint32_t parent, begin, length;  // the name in names_
    uint32_t to, next;
  };

  void add_path(const std::string& path, uint32_t field, bool* too_deep) {
    trail_.assign(1, 0);
    starts_.clear();
    for (size_t begin = 0;;) {
      const size_t end = std::min(path.find('.', begin), path.size());
      starts_.push_back(begin);
      trail_.push_back(child(trail_.back(), std::string_view(path).substr(begin, end - begin)));
      if (end == path.size()) break;
      begin = end + 1;
    }
    fields_[trail_.back()] = field;
    if (starts_.size() > kAliasDepthMax) {
      *too_deep = true;
      return;
    }
    for (size_t from = 0; from + 1 < starts_.size(); ++from) {
      for (size_t to = from + 1; to < starts_.size(); ++to) {
        const size_t end = to + 1 < starts_.size() ? starts_[to + 1] - 1 : path.size();
        const std::string_view alias = std::string_view(path).substr(starts_[from], end - starts_[from]);
        if (find(trail_[from], alias) == kNone) connect(trail_[from], alias, trail_[to + 1]);
      }
    }
  }

  const std::vector<Edge>& edges() const { return edges_; }
  const std::vector<uint32_t>& fields() const { return fields_; }
  std::string take_names() { return std::move(names_); }

 private:
  // Up to so many edges chains are shorter than a hash.
  static constexpr size_t kFewEdges = 32;

  uint32_t child(uint32_t parent, std::string_view name) {
    const uint32_t known = find(parent, name);
    if (known != kNone) return known;
    const auto fresh = static_cast<uint32_t>(fields_.size());
    fields_.push_back(kNone);
    first_.push_back(kNone);
    connect(parent, name, fresh);
    return fresh;
  }
  std::string_view name_of(const Edge& edge) const {
    return std::string_view(names_).substr(edge.begin, edge.length);
  }
  uint32_t find(uint32_t parent, std::string_view name) {
    if (edges_.size() > kFewEdges) {
      for (; hashed_ < edges_.size(); ++hashed_) {
        by_hash_.emplace(slot_hash(edges_[hashed_].parent, name_of(edges_[hashed_])), hashed_);
      }
      const auto [begin, end] = by_hash_.equal_range(slot_hash(parent, name));
      for (auto at = begin; at != end; ++at) {
        const Edge& edge = edges_[at->second];
        if (edge.parent == parent && name_of(edge) == name) return edge.to;
      }
      return kNone;
    }
    for (uint32_t e = first_[parent]; e != kNone; e = edges_[e].next) {
      if (name_of(edges_[e]) == name) return edges_[e].to;
    }
    return kNone;
  }
  void connect(uint32_t parent, std::string_view name, uint32_t to) {
    edges_.push_back({parent, static_cast<uint32_t>(names_.size()), static_cast<uint32_t>(name.size()), to,
                      first_[parent]});
    first_[parent] = static_cast<uint32_t>(edges_.size() - 1);
    names_ += name;
  }

  std::string names_;
  std::vector<Edge> edges_;
  std::vector<uint32_t> fields_{kNone}, first_{kNone};  // of a node
  std::unordered_multimap<uint64_t, uint32_t> by_hash_;
  uint32_t hashed_ = 0;
  std::vector<uint32_t> trail_;
  std::vector<size_t> starts_;
};

void PathTree::build(const std::vector<std::string>& paths) {
  Draft draft;
  split_dots_ = false;
  for (uint32_t field = 0; field < paths.size(); ++field) draft.add_path(paths[field], field, &split_dots_);
  nodes_.assign(draft.fields().size(), {});
  children_.clear();
  for (size_t i = 0; i < nodes_.size(); ++i) nodes_[i].field = draft.fields()[i];
  for (const Draft::Edge& edge : draft.edges()) ++nodes_[edge.parent].child_count;
  uint32_t next = 0;
  size_t hashed = 0;
  for (Node& node : nodes_) {
    node.first_child = next;
    next += node.child_count;
    if (node.child_count > kFewMax) hashed += node.child_count;
    node.child_count = 0;
  }
  children_.resize(next);
  names_ = draft.take_names();
  for (const Draft::Edge& edge : draft.edges()) {
    Node& node = nodes_[edge.parent];
    node.lengths |= 1ULL << std::min<uint32_t>(edge.length, 63);
    children_[node.first_child + node.child_count++] = {load_head(names_.data() + edge.begin, edge.length),
                                                        edge.begin, edge.length, edge.to, edge.parent};
  }
  size_t slots = 16;
  while (slots < hashed * 2) slots *= 2;
  slots_.assign(hashed > 0 ? slots : 0, kNone);
  for (uint32_t c = 0; c < children_.size() && hashed > 0; ++c) {
    const Child& child = children_[c];
    if (nodes_[child.parent].child_count <= kFewMax) continue;
    size_t at =
        slot_hash(child.parent, std::string_view(names_).substr(child.name, child.length)) & (slots - 1);
    while (slots_[at] != kNone) at = (at + 1) & (slots - 1);
    slots_[at] = c;
  }
}

const PathTree::Child* PathTree::child_by_hash(const Node& node, std::string_view name) const {
  const auto parent = static_cast<uint32_t>(&node - nodes_.data());
  const size_t mask = slots_.size() - 1;
  for (size_t at = slot_hash(parent, name) & mask; slots_[at] != kNone; at = (at + 1) & mask) {
    const Child& c = children_[slots_[at]];
    if (c.parent == parent && std::string_view(names_).substr(c.name, c.length) == name) return &c;
  }
  return nullptr;
}

const PathTree::Node* PathTree::child_by_parts(const Node& node, std::string_view name) const {
  if (name.find('.') == std::string_view::npos) return nullptr;
  const Node* at = &node;
  for (const std::string_view part : base::split(name, '.')) {
    const Child* found = nullptr;
    if (at->child_count > kFewMax) {
      found = child_by_hash(*at, part);
    } else {
      for (uint32_t i = 0; i < at->child_count && !found; ++i) {
        const Child& c = children_[at->first_child + i];
        if (std::string_view(names_).substr(c.name, c.length) == part) found = &c;
      }
    }
    if (!found) return nullptr;
    at = &nodes_[found->node];
  }
  return at;
}

}  // namespace millrace::events
