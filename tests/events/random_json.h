// Random patterns and events from a vocabulary small enough that they often meet. The same seed makes the
// same.
#pragma once

#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

namespace millrace::events {

class RandomJson {
 public:
  explicit RandomJson(uint64_t seed) : random_(seed) {}

  size_t below(size_t n) { return static_cast<size_t>(random_() % n); }
  bool chance(size_t percent) { return below(100) < percent; }

  std::string pattern() { return "{" + fields(2, false) + "}"; }
  std::string event() { return object(4); }

 private:
  template <size_t N>
  std::string pick(const char* const (&words)[N]) {
    return words[below(N)];
  }

  std::string name() {
    static constexpr const char* kNames[] = {"a", "b",   "c",  "d", "a.b", "key", "long-name-of-field",
                                             "",  "$or", "b.c"};
    return pick(kNames);
  }
  std::string word() {
    static constexpr const char* kWords[] = {"",
                                             "a",
                                             "ab",
                                             "abc",
                                             "abab",
                                             "foo",
                                             "Foo",
                                             "FOO",
                                             "foobar",
                                             "barfoo",
                                             "10.0.0.1",
                                             "::1",
                                             "a00:1::",
                                             "0:0:0:0:0:0:0:1",
                                             "straße",
                                             "STRASSE",
                                             "Ünï",
                                             "üNÏ",
                                             "ſ",
                                             "s",
                                             "K",
                                             "k",
                                             "日本",
                                             "x\\\\y",
                                             "q\\\"q",
                                             "tab\\t",
                                             "/usr/lib/x.so",
                                             "aXbXc",
                                             "aab",
                                             "aaab",
                                             "1",
                                             "true",
                                             "10.1.2.3",
                                             "\\u00e9",
                                             "ab*b"};
    return pick(kWords);
  }
  std::string number() {
    static constexpr const char* kNumbers[] = {"0",
                                               "-0",
                                               "1",
                                               "1.0",
                                               "1e0",
                                               "300",
                                               "3.0e2",
                                               "0.1",
                                               "-5",
                                               "5000000000",
                                               "9007199254740993",
                                               "1234567890123456789",
                                               "0.30000000000000004",
                                               "1e400",
                                               "2.5"};
    return pick(kNumbers);
  }
  std::string comparable() {
    static constexpr const char* kNumbers[] = {"0", "1", "300", "0.1", "-5", "2.5", "1e3"};
    return pick(kNumbers);
  }
  std::string string() { return "\"" + word() + "\""; }
  std::string wildcard() {
    static constexpr const char* kWildcards[] = {"*",     "a*",    "*b",   "a*b",       "*a*b*",
                                                 "f*o",   "*foo*", "*o*r", "/usr/*.so", "ab\\\\*b",
                                                 "*X*X*", "a*a*b", "",     "foo",       "*aab"};
    return "\"" + pick(kWildcards) + "\"";
  }
  std::string list(std::string (RandomJson::*make)()) {
    if (chance(50)) return (this->*make)();
    std::string out = "[";
    for (size_t n = 1 + below(3); n > 0; --n) out += (this->*make)() + (n > 1 ? "," : "");
    return out + "]";
  }
  std::string full_string() {
    std::string text = string();
    return text == "\"\"" ? "\"ab\"" : text;
  }

  std::string test() {
    switch (below(16)) {
      case 0:
      case 1:
      case 2:
        return string();
      case 3:
        return number();
      case 4: {
        static constexpr const char* kLiterals[] = {"true", "false", "null"};
        return pick(kLiterals);
      }
      case 5:
        return "{\"prefix\":" + (chance(60) ? string() : "{\"equals-ignore-case\":" + string() + "}") + "}";
      case 6:
        return "{\"suffix\":" + (chance(60) ? string() : "{\"equals-ignore-case\":" + string() + "}") + "}";
      case 7:
        return "{\"equals-ignore-case\":" + string() + "}";
      case 8:
        return "{\"wildcard\":" + wildcard() + "}";
      case 9: {
        static constexpr const char* kRanges[] = {"\"<\",1",           "\"<=\",300",        "\">\",-5",
                                                  "\">=\",0.1",        "\">\",0,\"<\",300", "\"=\",1",
                                                  "\">=\",-5,\"<=\",0"};
        return "{\"numeric\":[" + pick(kRanges) + "]}";
      }
      case 10: {
        static constexpr const char* kRanges[] = {"10.0.0.0/8", "::/0", "0.0.0.0/0", "10.0.0.1/31",
                                                  "a00::/16"};
        return "{\"cidr\":\"" + pick(kRanges) + "\"}";
      }
      case 11:
        return fmt::format("{{\"exists\":{}}}", chance(50) ? "true" : "false");
      case 12:
        return "{\"anything-but\":" + list(chance(70) ? &RandomJson::string : &RandomJson::comparable) + "}";
      case 13: {
        static constexpr const char* kKinds[] = {"prefix", "suffix", "equals-ignore-case"};
        return "{\"anything-but\":{\"" + pick(kKinds) + "\":" + list(&RandomJson::full_string) + "}}";
      }
      case 14:
        return "{\"anything-but\":{\"wildcard\":" + list(&RandomJson::wildcard) + "}}";
      default:
        return "{\"exactly\":" + string() + "}";
    }
  }

  std::string fields(int depth, bool inside_or) {
    std::string out;
    for (size_t n = 1 + below(2); n > 0; --n) {
      std::string field = name();
      if (field == "$or") {
        if (depth == 0) continue;
        if (!out.empty()) out += ",";
        out += "\"$or\":[";
        for (size_t k = 2 + below(2); k > 0; --k)
          out += "{" + fields(depth - 1, true) + "}" + (k > 1 ? "," : "");
        out += "]";
        continue;
      }
      if (!out.empty()) out += ",";
      out += "\"" + field + "\":";
      if (depth > 0 && chance(40)) {
        out += "{" + fields(depth - 1, inside_or) + "}";
      } else {
        out += "[";
        for (size_t k = 1 + below(2); k > 0; --k) out += test() + (k > 1 ? "," : "");
        out += "]";
      }
    }
    return out.empty() ? "\"a\":[" + test() + "]" : out;
  }

  std::string space() {
    static constexpr const char* kSpaces[] = {"", "", "", "", " ", "\n", "\t ", "\r\n"};
    return pick(kSpaces);
  }
  std::string value(int depth) {
    const size_t kind = below(depth > 0 ? 10 : 6);
    if (kind < 3) return string();
    if (kind == 3 || kind == 4) return number();
    if (kind == 5) {
      static constexpr const char* kLiterals[] = {"true", "false", "null"};
      return pick(kLiterals);
    }
    if (kind < 8) return object(depth - 1);
    std::string out = "[";
    for (size_t n = below(4); n > 0; --n) out += space() + value(depth - 1) + space() + (n > 1 ? "," : "");
    return out + "]";
  }
  std::string object(int depth) {
    std::string out = "{" + space();
    for (size_t n = below(8); n > 0; --n) {
      out += "\"" + name() + "\"" + space() + ":" + space() + value(depth) + space() +
             (n > 1 ? "," + space() : "");
    }
    return out + "}";
  }

  std::mt19937_64 random_;
};

}  // namespace millrace::events
