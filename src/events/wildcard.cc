#include "events/wildcard.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <set>

namespace millrace::events {
namespace {

// The automaton of one pattern as AWS's evaluator has it, quotes included: state 0 is the start, state i
// stands behind the i-th symbol; a star's state is entered by every byte from the state before it, and stays.
struct Automaton {
  static constexpr int kStar = -1;
  std::vector<int> symbols;  // a byte, or kStar

  explicit Automaton(const Wildcard& wildcard) {
    symbols.push_back('"');
    for (size_t i = 0; i < wildcard.pieces.size(); ++i) {
      if (i > 0) symbols.push_back(kStar);
      for (const char c : wildcard.pieces[i]) symbols.push_back(static_cast<unsigned char>(c));
    }
    symbols.push_back('"');
  }
};

// States of all automata in one space: automaton a, state s is offset[a] + s.
struct Machine {
  std::vector<Automaton> automata;
  std::vector<uint32_t> offset;
  std::vector<int> alphabet;

  explicit Machine(const std::vector<Wildcard>& wildcards) {
    uint32_t next = 0;
    std::set<int> bytes;
    for (const Wildcard& w : wildcards) {
      automata.emplace_back(w);
      offset.push_back(next);
      next += static_cast<uint32_t>(automata.back().symbols.size()) + 1;
      for (const int symbol : automata.back().symbols) {
        if (symbol != Automaton::kStar) bytes.insert(symbol);
      }
    }
    alphabet.assign(bytes.begin(), bytes.end());
    alphabet.push_back(256);  // any other byte
  }

  // Where `state` of automaton `a` can go by `byte`.
  void step(size_t a, uint32_t state, int byte, std::vector<uint32_t>* out) const {
    const std::vector<int>& symbols = automata[a].symbols;
    const auto go = [&](uint32_t from) {
      if (from >= symbols.size()) return;
      if (symbols[from] == Automaton::kStar) {
        out->push_back(offset[a] + from + 1);
        if (from + 1 < symbols.size() && symbols[from + 1] == byte) out->push_back(offset[a] + from + 2);
      } else if (symbols[from] == byte) {
        out->push_back(offset[a] + from + 1);
      }
    };
    go(state);
    if (state > 0 && symbols[state - 1] == Automaton::kStar) out->push_back(offset[a] + state);
  }

  size_t automaton_of(uint32_t state) const {
    return static_cast<size_t>(std::upper_bound(offset.begin(), offset.end(), state) - offset.begin()) - 1;
  }

  // The states, and the star states that an empty run would reach from them.
  int size_of(const std::vector<uint32_t>& states) const {
    int size = 0;
    for (const uint32_t state : states) {
      ++size;
      const size_t a = automaton_of(state);
      const uint32_t local = state - offset[a];
      const std::vector<int>& symbols = automata[a].symbols;
      if (local < symbols.size() && symbols[local] == Automaton::kStar &&
          !std::binary_search(states.begin(), states.end(), state + 1)) {
        ++size;
      }
    }
    return size;
  }
};

// An upper bound that costs nothing: between two stars no more states are alive than the piece has nested
// borders.
int bound(const std::vector<Wildcard>& wildcards) {
  int total = 0;
  for (const Wildcard& wildcard : wildcards) {
    for (size_t k = 0; k < wildcard.pieces.size(); ++k) {
      const std::string& piece = wildcard.pieces[k];
      ++total;  // the star, or the anchored start
      if (k == 0) continue;
      // The last piece ends with the closing quote, which no longer piece continues.
      std::vector<int> border(piece.size() + 1, 0), depth(piece.size() + 1, 0);
      int deepest = 0, b = 0;
      for (size_t i = 1; i <= piece.size(); ++i) {
        if (i > 1) {
          while (b > 0 && piece[static_cast<size_t>(b)] != piece[i - 1]) b = border[static_cast<size_t>(b)];
          if (piece[static_cast<size_t>(b)] == piece[i - 1]) ++b;
        }
        border[i] = b;
        depth[i] = depth[static_cast<size_t>(b)] + 1;
        deepest = std::max(deepest, depth[i]);
      }
      total += deepest + 1;
    }
  }
  return total;
}

}  // namespace

bool parse_wildcard(std::string_view text, Wildcard* out, std::string* error) {
  out->pieces.assign(1, "");
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char following = i + 1 < text.size() ? text[i + 1] : '\0';
    if (c == '*') {
      if (following == '*') {
        *error = fmt::format("Consecutive wildcard characters at pos {}", i + 1);
        return false;
      }
      out->pieces.emplace_back();
    } else if (c == '\\') {
      if (following != '*' && following != '\\') {
        *error = fmt::format("Invalid escape character at pos {}", i + 1);
        return false;
      }
      out->pieces.back().push_back(following);
      ++i;
    } else {
      out->pieces.back().push_back(c);
    }
  }
  return true;
}

bool wildcard_matches(const Wildcard& wildcard, std::string_view text) {
  const std::vector<std::string>& pieces = wildcard.pieces;
  if (pieces.size() == 1) return text == pieces[0];
  if (!text.starts_with(pieces.front())) return false;
  text.remove_prefix(pieces.front().size());
  if (!text.ends_with(pieces.back())) return false;
  text.remove_suffix(pieces.back().size());
  for (size_t i = 1; i + 1 < pieces.size(); ++i) {
    const size_t found = text.find(pieces[i]);
    if (found == std::string_view::npos) return false;
    text.remove_prefix(found + pieces[i].size());
  }
  return true;
}

int wildcard_complexity(const std::vector<Wildcard>& wildcards, int limit) {
  // Enough for every pattern of 4,096 characters met so far; what needs more is too complex.
  constexpr size_t kSetsMax = 50'000;
  if (wildcards.empty()) return 0;
  if (limit <= kWildcardComplexityMax + 1 && bound(wildcards) < limit) return bound(wildcards);
  const Machine machine(wildcards);
  std::set<std::vector<uint32_t>> seen;
  std::vector<std::vector<uint32_t>> work;
  std::vector<uint32_t> start(machine.offset);
  work.push_back(start);
  int most = 0;
  while (!work.empty()) {
    const std::vector<uint32_t> states = std::move(work.back());
    work.pop_back();
    for (const int byte : machine.alphabet) {
      std::vector<uint32_t> next;
      for (const uint32_t state : states) {
        const size_t a = machine.automaton_of(state);
        machine.step(a, state - machine.offset[a], byte, &next);
      }
      if (next.empty()) continue;
      std::sort(next.begin(), next.end());
      next.erase(std::unique(next.begin(), next.end()), next.end());
      if (!seen.insert(next).second) continue;
      most = std::max(most, machine.size_of(next));
      if (most >= limit || seen.size() > kSetsMax) return limit;
      work.push_back(std::move(next));
    }
  }
  return most;
}

}  // namespace millrace::events
