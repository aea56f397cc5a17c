#include "aws/pattern.h"

#include <re2/re2.h>

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "base/strings.h"

namespace millrace::aws {

namespace {

constexpr int kRepeatMax = 1000;  // RE2's own limit

class PatternCache {
 public:
  const re2::RE2& get(const Shape& shape) {
    {
      std::shared_lock lock(mutex_);
      auto it = compiled_.find(&shape);
      if (it != compiled_.end()) return *it->second;
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    auto made = std::make_unique<re2::RE2>(re2_pattern(shape.pattern), options);
    std::unique_lock lock(mutex_);
    return *compiled_.try_emplace(&shape, std::move(made)).first->second;
  }

 private:
  std::shared_mutex mutex_;
  std::unordered_map<const Shape*, std::unique_ptr<re2::RE2>> compiled_;  // at most one a shape of the tables
};

}  // namespace

std::string re2_pattern(std::string_view java) {
  if (java == "^(?!\\s*$).+") return ".*\\S.*";  // not blank: the one look-around that has a plain equivalent
  std::string out;
  for (size_t i = 0; i < java.size(); ++i) {
    if (java[i] == '\\' && i + 1 < java.size()) {
      if (java[i + 1] == 'u' && i + 5 < java.size()) {
        out += "\\x{" + std::string(java.substr(i + 2, 4)) + "}";
        i += 5;
      } else {
        out += java.substr(i++, 2);
      }
      continue;
    }
    size_t close = java[i] == '{' ? java.find('}', i) : std::string_view::npos;
    if (close != std::string_view::npos) {
      std::string_view repeat = java.substr(i + 1, close - i - 1);
      size_t comma = repeat.find(',');
      auto low = base::parse_number<int>(repeat.substr(0, comma));
      auto high = comma == std::string_view::npos ? low : base::parse_number<int>(repeat.substr(comma + 1));
      if (low && high && *high > kRepeatMax) {
        out += "{" + std::to_string(std::min(*low, kRepeatMax)) + ",}";
        i = close;
        continue;
      }
    }
    out += java[i];
  }
  return out;
}

bool matches_pattern(const Shape& shape, std::string_view text) {
  static PatternCache cache;
  const re2::RE2& pattern = cache.get(shape);
  return !pattern.ok() || re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), pattern);
}

}  // namespace millrace::aws
