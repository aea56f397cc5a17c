// The oracle of the pattern tests: an event as a flat list of fields, and the definition of a match written
// down as a search through them. Nothing here is clever; nothing is shared with the matcher under test but
// the pattern.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "events/comparable_number.h"
#include "events/letter_case.h"
#include "events/pattern.h"
#include "events/token_reader.h"

namespace millrace::events::oracle {

struct Field {
  std::string path;
  char kind;  // 's' string, 'n' number, 'l' literal
  std::string text;
  std::map<int, int> membership;  // array -> element
};

// Flattens an event with the reader of patterns (which the event may not outlive).
class Flattener {
 public:
  explicit Flattener(std::string_view event) : in_(event) {
    if (in_.next() == Token::kObjectStart) object("", true);
  }
  std::vector<Field> fields;

 private:
  void object(const std::string& path, bool root) {
    while (in_.next() != Token::kObjectEnd) {
      const std::string child = root ? in_.name() : path + "." + in_.name();
      value(in_.next(), child);
    }
  }
  void value(Token token, const std::string& path) {
    if (token == Token::kObjectStart) {
      object(path, false);
    } else if (token == Token::kArrayStart) {
      const int array = arrays_++;
      int index = 0;
      for (Token each; (each = in_.next()) != Token::kArrayEnd; ++index) {
        const bool scope = each == Token::kObjectStart || each == Token::kArrayStart;
        if (scope) membership_[array] = index;
        value(each, path);
        if (scope) membership_.erase(array);
      }
    } else {
      const char kind = token == Token::kString ? 's' : is_number(token) ? 'n' : 'l';
      fields.push_back({path, kind, in_.token_text(), membership_});
    }
  }

  TokenReader in_;
  std::map<int, int> membership_;
  int arrays_ = 0;
};

inline std::vector<std::string> characters(std::string_view text) {
  std::vector<std::string> out;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80 && !out.empty()) {
      out.back() += c;
    } else {
      out.emplace_back(1, c);
    }
  }
  return out;
}

// Character by character, by the C library's idea of a letter's other case.
inline bool same_letter(const std::string& want, const std::string& have) {
  return equals_ignoring_case(want, have);
}

inline bool same_letters(const std::vector<std::string>& want, const std::vector<std::string>& have,
                         size_t from) {
  for (size_t i = 0; i < want.size(); ++i) {
    if (from + i >= have.size() || !same_letter(want[i], have[from + i])) return false;
  }
  return true;
}

inline bool wildcard(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    return wildcard(pattern.substr(1), text) || (!text.empty() && wildcard(pattern, text.substr(1)));
  }
  if (pattern[0] == '\\') pattern.remove_prefix(1);
  return !text.empty() && text[0] == pattern[0] && wildcard(pattern.substr(1), text.substr(1));
}

inline bool passes(const Test& test, const Field& field) {
  const bool string = field.kind == 's', number = field.kind == 'n';
  const std::string &want = test.text, &have = field.text;
  switch (test.kind) {
    case TestKind::kExact:
      return string && have == want;
    case TestKind::kPrefix:
      return string && have.substr(0, want.size()) == want;
    case TestKind::kSuffix:
      return string && have.size() >= want.size() && have.substr(have.size() - want.size()) == want;
    case TestKind::kEqualsIgnoreCase: {
      const auto w = characters(want), h = characters(have);
      return string && w.size() == h.size() && same_letters(w, h, 0);
    }
    case TestKind::kPrefixIgnoreCase:
      return string && same_letters(characters(want), characters(have), 0);
    case TestKind::kSuffixIgnoreCase: {
      const auto w = characters(want), h = characters(have);
      return string && h.size() >= w.size() && same_letters(w, h, h.size() - w.size());
    }
    case TestKind::kWildcard:
      return string && wildcard(want, have);
    case TestKind::kIp: {
      const auto digits = string ? ip_digits(have) : std::nullopt;
      return digits && test.ip.contains(*digits);
    }
    case TestKind::kNumber: {
      const auto value = number ? comparable_number(have) : std::nullopt;
      return value && *value == test.range.low;
    }
    case TestKind::kNumberText:
      return number && have == want;
    case TestKind::kRange: {
      const auto value = number ? comparable_number(have) : std::nullopt;
      return value && test.range.contains(*value);
    }
    case TestKind::kLiteral:
      return field.kind == 'l' && have == want;
    case TestKind::kExists:
      return true;
    case TestKind::kAbsent:
      return false;
    case TestKind::kAnythingBut:
      for (const Test& each : test.except) {
        if (passes(each, field)) return false;
      }
      return true;
  }
  return false;
}

inline bool consistent(const std::map<int, int>& a, const std::map<int, int>& b) {
  for (const auto& [array, index] : a) {
    const auto other = b.find(array);
    if (other != b.end() && other->second != index) return false;
  }
  return true;
}

inline bool search(const Pattern& pattern, const std::vector<uint32_t>& alternative, size_t k,
                   const std::vector<Field>& fields, const std::map<int, int>& membership) {
  if (k == alternative.size()) return true;
  const Condition& condition = pattern.conditions[alternative[k]];
  for (const Test& test : condition.any_of) {
    if (test.kind == TestKind::kAbsent) {
      bool present = false;
      for (const Field& field : fields) {
        present = present || (field.path == condition.path && consistent(membership, field.membership));
      }
      if (!present && search(pattern, alternative, k + 1, fields, membership)) return true;
      continue;
    }
    for (const Field& field : fields) {
      if (field.path != condition.path || !passes(test, field) || !consistent(membership, field.membership))
        continue;
      std::map<int, int> joined = membership;
      joined.insert(field.membership.begin(), field.membership.end());
      if (search(pattern, alternative, k + 1, fields, joined)) return true;
    }
  }
  return false;
}

inline bool matches(const Pattern& pattern, const std::vector<Field>& fields) {
  for (const auto& alternative : pattern.alternatives) {
    if (search(pattern, alternative, 0, fields, {})) return true;
  }
  return false;
}

}  // namespace millrace::events::oracle
