#include "events/path_tree.h"

#include <algorithm>
#include <map>

#include "base/strings.h"

namespace millrace::events {
namespace {

uint64_t slot_hash(uint32_t parent, std::string_view name) {
  return short_hash(name) ^ parent * 0x9E3779B97F4A7C15ULL;
}

}  // namespace

void PathTree::build(const std::vector<std::string>& paths) {
  struct Draft {
    std::map<std::string, uint32_t, std::less<>> children;
    uint32_t field = kNone;
  };
  std::vector<Draft> drafts(1);
  split_dots_ = false;
  for (uint32_t field = 0; field < paths.size(); ++field) {
    const std::vector<std::string_view> names = base::split(paths[field], '.');
    std::vector<uint32_t> trail{0};
    for (const std::string_view name : names) {
      const auto known = drafts[trail.back()].children.find(name);
      if (known != drafts[trail.back()].children.end()) {
        trail.push_back(known->second);
        continue;
      }
      const auto fresh = static_cast<uint32_t>(drafts.size());
      drafts[trail.back()].children.emplace(name, fresh);
      drafts.emplace_back();
      trail.push_back(fresh);
    }
    drafts[trail.back()].field = field;
    if (names.size() > kAliasDepthMax) {
      split_dots_ = true;
      continue;
    }
    for (size_t from = 0; from + 2 <= names.size(); ++from) {
      std::string alias(names[from]);
      for (size_t to = from + 1; to < names.size(); ++to) {
        alias += '.';
        alias += names[to];
        drafts[trail[from]].children.emplace(alias, trail[to + 1]);
      }
    }
  }
  nodes_.assign(drafts.size(), {});
  children_.clear();
  names_.clear();
  size_t hashed = 0;
  for (uint32_t i = 0; i < drafts.size(); ++i) {
    Node& node = nodes_[i];
    node.field = drafts[i].field;
    node.first_child = static_cast<uint32_t>(children_.size());
    node.child_count = static_cast<uint32_t>(drafts[i].children.size());
    if (node.child_count > kFewMax) hashed += node.child_count;
    for (const auto& [name, child] : drafts[i].children) {
      node.lengths |= 1ULL << std::min<size_t>(name.size(), 63);
      children_.push_back({load_head(name.data(), name.size()), static_cast<uint32_t>(names_.size()),
                           static_cast<uint32_t>(name.size()), child, i});
      names_ += name;
    }
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
