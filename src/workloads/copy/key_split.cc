#include "workloads/copy/key_split.h"

namespace millrace::copy {
namespace {

constexpr char kLast = '~';  // of the characters that are tried; keys behind it stay with the upper half

}  // namespace

std::optional<std::string> split_key(const std::string& behind, const std::string& until,
                                     const NextKey& next_key, int probes_max) {
  int probes = 0;
  // The first key whose character at `at` is `c` or greater, all before it being as in `behind`.
  auto probe = [&](size_t at, char c) -> std::optional<std::string> {
    ++probes;
    // Behind the greatest text that comes before: the predecessor and the highest character there is.
    std::string after = behind.substr(0, at) + static_cast<char>(c - 1) + "\xf4\x8f\xbf\xbf";
    std::optional<std::string> key = next_key(after);
    if (!key || *key <= behind || (!until.empty() && *key >= until)) return std::nullopt;
    return key;
  };
  for (size_t at = 0; at < behind.size() && probes < probes_max; ++at) {
    char here = behind[at];
    if (here < ' ' || here >= kLast) {
      // Within a character of several bytes there is nothing to try; control characters are left alone.
      if (static_cast<unsigned char>(here) >= 0x80 || here >= kLast) return std::nullopt;
      continue;
    }
    // All keys up to the bound agree here: no need to ask.
    if (at < until.size() && until.compare(0, at + 1, behind, 0, at + 1) == 0) continue;
    std::optional<std::string> found = probe(at, static_cast<char>(here + 1));
    if (!found) continue;
    // The greatest character that is there.
    char low = (*found)[at], high = kLast;
    if (static_cast<unsigned char>(low) >= 0x80) return found;
    std::string best = *found;
    while (low < high && probes < probes_max) {
      char middle = static_cast<char>(low + (high - low + 1) / 2);
      if (auto key = probe(at, middle)) {
        if (static_cast<unsigned char>((*key)[at]) >= 0x80) {
          low = high;
        } else {
          low = std::max(middle, (*key)[at]);
        }
      } else {
        high = static_cast<char>(middle - 1);
      }
    }
    char middle = static_cast<char>(here + (low - here + 1) / 2);
    auto key = probe(at, middle);
    return key ? key : best;
  }
  return std::nullopt;
}

}  // namespace millrace::copy
