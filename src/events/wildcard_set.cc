#include "events/wildcard_set.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace millrace::events {
namespace {

// Up to here trying each is as fast as the automaton, and building it costs more than one match.
constexpr size_t kFewMax = 4;
// Entries of the table of moves (16 MiB): sets beyond it are tried one by one.
constexpr size_t kMovesMax = 4U << 20;

// The numbers of distinct strings, in order of appearance.
class Numbering {
 public:
  uint32_t of(std::string_view text) {
    const auto [at, fresh] = numbers_.try_emplace(text, static_cast<uint32_t>(texts_.size()));
    if (fresh) texts_.push_back(text);
    return at->second;
  }
  const std::vector<std::string_view>& texts() const { return texts_; }
  std::vector<RadixTree::Entry> entries() const {
    std::vector<RadixTree::Entry> out;
    for (uint32_t i = 0; i < texts_.size(); ++i) out.push_back({texts_[i], i});
    return out;
  }

 private:
  std::unordered_map<std::string_view, uint32_t> numbers_;
  std::vector<std::string_view> texts_;
};

}  // namespace

void WildcardSet::build(std::vector<Entry> entries) {
  if (entries.size() <= kFewMax) {
    plain_ = std::move(entries);
    return;
  }
  // Roots come first, so that a head's number is its node.
  Numbering heads, tails, pieces;
  for (const Entry& entry : entries) {
    heads.of(entry.wildcard.pieces.front());
    tails.of(entry.wildcard.pieces.back());
    for (size_t i = 1; i + 1 < entry.wildcard.pieces.size(); ++i) pieces.of(entry.wildcard.pieces[i]);
  }
  if (!build_automaton(pieces.texts())) {
    plain_ = std::move(entries);
    return;
  }
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> children;            // (node, piece) -> node
  std::vector<std::pair<std::pair<uint32_t, uint32_t>, uint32_t>> ends;  // (node, tail) -> value
  auto count = static_cast<uint32_t>(heads.texts().size());
  for (const Entry& entry : entries) {
    const std::vector<std::string>& parts = entry.wildcard.pieces;
    uint32_t node = heads.of(parts.front());
    for (size_t i = 1; i + 1 < parts.size(); ++i) {
      const auto [at, fresh] = children.try_emplace({node, pieces.of(parts[i])}, count);
      if (fresh) ++count;
      node = at->second;
    }
    ends.push_back({{node, tails.of(parts.back())}, entry.value});
  }
  nodes_.resize(count);
  for (const auto& [from, to] : children) {
    Node& node = nodes_[from.first];
    if (node.child_count++ == 0) node.first_child = static_cast<uint32_t>(children_.size());
    children_.push_back({from.second, to});
  }
  std::sort(ends.begin(), ends.end());
  for (const auto& [from, value] : ends) {
    Node& node = nodes_[from.first];
    if (node.end_count++ == 0) node.first_end = static_cast<uint32_t>(ends_.size());
    ends_.push_back({from.second, value});
  }
  heads_.build(heads.entries(), false);
  tails_.build(tails.entries(), true);
  for (const std::string_view head : heads.texts())
    head_lengths_.push_back(static_cast<uint32_t>(head.size()));
  for (const std::string_view tail : tails.texts())
    tail_lengths_.push_back(static_cast<uint32_t>(tail.size()));
}

bool WildcardSet::build_automaton(const std::vector<std::string_view>& pieces) {
  classes_.assign(256, 0);
  class_count_ = 1;
  size_t states = 1;
  for (const std::string_view piece : pieces) {
    states += piece.size();
    for (const char c : piece) {
      uint8_t& of = classes_[static_cast<unsigned char>(c)];
      if (of == 0) of = static_cast<uint8_t>(class_count_++);
      if (class_count_ > 255) return false;
    }
  }
  if (states * class_count_ > kMovesMax) return false;
  const auto add_state = [&] {
    moves_.resize(moves_.size() + class_count_, kNone);
    piece_.push_back(kNone);
    shorter_.push_back(kNone);
    return static_cast<uint32_t>(piece_.size() - 1);
  };
  moves_.reserve(states * class_count_);
  add_state();
  for (uint32_t p = 0; p < pieces.size(); ++p) {
    uint32_t state = 0;
    for (const char c : pieces[p]) {
      const size_t move = state * static_cast<size_t>(class_count_) + classes_[static_cast<unsigned char>(c)];
      if (moves_[move] == kNone) {
        const uint32_t fresh = add_state();
        moves_[move] = fresh;
      }
      state = moves_[move];
    }
    piece_[state] = p;
    piece_lengths_.push_back(static_cast<uint32_t>(pieces[p].size()));
  }
  // Breadth first: the fallback of a state is complete before the state's own moves are.
  std::vector<uint32_t> fallback(piece_.size(), 0), order{0};
  for (size_t next = 0; next < order.size(); ++next) {
    const uint32_t state = order[next];
    const uint32_t back = fallback[state];
    if (state != 0) shorter_[state] = piece_[back] != kNone ? back : shorter_[back];
    for (uint32_t c = 0; c < class_count_; ++c) {
      uint32_t& move = moves_[state * static_cast<size_t>(class_count_) + c];
      const uint32_t other = state == 0 ? 0 : moves_[back * static_cast<size_t>(class_count_) + c];
      if (move == kNone) {
        move = other;
      } else {
        fallback[move] = other;
        order.push_back(move);
      }
    }
  }
  for (uint32_t& move : moves_) {
    const bool output = piece_[move] != kNone || shorter_[move] != kNone;
    move = move * class_count_ | (output ? kOutput : 0);
  }
  return true;
}

// The pieces that end in `state` have been read up to `end`.
void WildcardSet::advance(uint32_t state, uint32_t end, WildcardScratch* scratch) const {
  const size_t known = scratch->active.size();
  for (uint32_t at = piece_[state] != kNone ? state : shorter_[state]; at != kNone; at = shorter_[at]) {
    const uint32_t piece = piece_[at];
    for (size_t i = 0; i < known; ++i) {
      const WildcardScratch::Active active = scratch->active[i];
      const Node& node = nodes_[active.node];
      if (node.child_count == 0 || active.end + piece_lengths_[piece] > end) continue;
      const Edge* edge = find(children_.data() + node.first_child, node.child_count, piece);
      if (!edge || scratch->stamps[edge->to] == scratch->stamp) continue;
      scratch->stamps[edge->to] = scratch->stamp;
      scratch->active.push_back({edge->to, end});
    }
  }
}

// False when nothing can match. Afterwards the active nodes and the tails of the value stand in the scratch.
bool WildcardSet::search(std::string_view text, WildcardScratch* scratch) const {
  scratch->tails.clear();
  tails_.walk<true>(text, [&](uint32_t tail) { scratch->tails.push_back(tail); });
  if (scratch->tails.empty()) return false;
  scratch->active.clear();
  bool deeper = false;
  heads_.walk<false>(text, [&](uint32_t head) {
    scratch->active.push_back({head, 0});
    deeper = deeper || nodes_[head].child_count > 0;
  });
  if (scratch->active.empty()) return false;
  if (scratch->stamps.size() < nodes_.size()) scratch->stamps.resize(nodes_.size(), 0);
  if (++scratch->stamp == 0) {
    std::fill(scratch->stamps.begin(), scratch->stamps.end(), 0);
    scratch->stamp = 1;
  }
  for (WildcardScratch::Active& active : scratch->active) active.end = head_lengths_[active.node];
  if (!deeper) return true;
  const uint32_t* moves = moves_.data();
  const uint8_t* classes = classes_.data();
  uint32_t state = 0;
  const auto size = static_cast<uint32_t>(text.size());
  for (uint32_t i = 0; i < size; ++i) {
    state = moves[state + classes[static_cast<unsigned char>(text[i])]];
    if (state & kOutput) {
      state &= ~kOutput;
      advance(state / class_count_, i + 1, scratch);
    }
  }
  return true;
}

}  // namespace millrace::events
