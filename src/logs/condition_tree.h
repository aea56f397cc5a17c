// Conditions joined by && and || (&& binds tighter) and parentheses, as filter patterns have them.
#pragma once

#include <cstdint>
#include <vector>

#include "logs/pattern_reader.h"

namespace millrace::logs {

// A boolean expression over conditions that somebody else knows by number. Immutable after reading.
class ConditionTree {
 public:
  // Reads up to what is no operator. `read_condition()` reads one condition and returns its number; recursion
  // is as deep as there are parentheses, and patterns are short.
  template <typename ReadCondition>
  static ConditionTree read(PatternReader& reader, bool parentheses, const ReadCondition& read_condition) {
    ConditionTree tree;
    tree.root_ = tree.read_or(reader, parentheses, read_condition);
    return tree;
  }

  // `holds(condition)` is asked only for as many as it takes.
  template <typename Holds>
  bool holds(const Holds& holds) const {
    return node_holds(root_, holds);
  }

 private:
  enum class Kind : uint8_t { kCondition, kAll, kAny };
  struct Node {
    Kind kind;
    uint32_t condition = 0;
    std::vector<uint32_t> parts;
  };

  uint32_t add(Node node) {
    nodes_.push_back(std::move(node));
    return static_cast<uint32_t>(nodes_.size() - 1);
  }
  uint32_t join(Kind kind, std::vector<uint32_t> parts) {
    return parts.size() == 1 ? parts.front() : add({kind, 0, std::move(parts)});
  }

  template <typename ReadCondition>
  uint32_t read_or(PatternReader& reader, bool parentheses, const ReadCondition& read_condition) {
    std::vector<uint32_t> parts;
    do {
      parts.push_back(read_and(reader, parentheses, read_condition));
      reader.skip_blanks();
    } while (reader.take("||"));
    return join(Kind::kAny, std::move(parts));
  }
  template <typename ReadCondition>
  uint32_t read_and(PatternReader& reader, bool parentheses, const ReadCondition& read_condition) {
    std::vector<uint32_t> parts;
    do {
      reader.skip_blanks();
      if (parentheses && reader.take("(")) {
        parts.push_back(read_or(reader, parentheses, read_condition));
        reader.skip_blanks();
        reader.expect(")");
      } else {
        parts.push_back(add({Kind::kCondition, read_condition(), {}}));
      }
      reader.skip_blanks();
    } while (reader.take("&&"));
    return join(Kind::kAll, std::move(parts));
  }

  template <typename Holds>
  bool node_holds(uint32_t index, const Holds& holds) const {
    const Node& node = nodes_[index];
    if (node.kind == Kind::kCondition) return holds(node.condition);
    for (uint32_t part : node.parts)
      if (node_holds(part, holds) == (node.kind == Kind::kAny)) return node.kind == Kind::kAny;
    return node.kind == Kind::kAll;
  }

  std::vector<Node> nodes_;
  uint32_t root_ = 0;
};

}  // namespace millrace::logs
