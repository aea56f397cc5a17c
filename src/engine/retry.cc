#include "engine/retry.h"

#include <array>

#include "base/strings.h"
#include "engine/reject.h"

namespace millrace::engine {
namespace {

constexpr int64_t kAttemptsMax = 10;
constexpr size_t kEntriesMax = 5;
constexpr size_t kPatternMax = 512;
constexpr std::array<const char*, 3> kConditions = {"onExitCode", "onReason", "onStatusReason"};

// Exact, or a prefix with one '*' at the end.
bool pattern_matches(std::string_view pattern, std::string_view text) {
  if (!pattern.empty() && pattern.back() == '*')
    return text.substr(0, pattern.size() - 1) == pattern.substr(0, pattern.size() - 1);
  return pattern == text;
}

void check_pattern(std::string_view field, std::string_view pattern) {
  std::string_view body = pattern;
  if (!body.empty() && body.back() == '*') body.remove_suffix(1);
  bool digits_only = field == "onExitCode";
  bool good = pattern.size() <= kPatternMax;
  for (char c : body) {
    bool digit = c >= '0' && c <= '9';
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool other = c == '.' || c == ':' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (c == '*' || (digits_only && !digit)) good = false;
    // AWS documents letters, digits, '.', ':' and white space; real rules also quote sentences with
    // parentheses and dashes, so printable ASCII is taken.
    if (!digit && !letter && !other && (c < '!' || c > '~')) good = false;
  }
  if (!good)
    throw Reject("Value '" + std::string(pattern) + "' for " + std::string(field) +
                 " is not valid: it can be up to 512 characters and end with an asterisk (*)" +
                 (digits_only ? ", and contain only numbers." : "."));
}

bool entry_matches(const json::object& entry, const AttemptResult& result) {
  if (auto pattern = base::find_string(entry, "onExitCode"))
    if (!result.exit_code || !pattern_matches(*pattern, std::to_string(*result.exit_code))) return false;
  if (auto pattern = base::find_string(entry, "onReason"))
    if (!pattern_matches(*pattern, result.reason)) return false;
  if (auto pattern = base::find_string(entry, "onStatusReason"))
    if (!pattern_matches(*pattern, result.status_reason)) return false;
  return true;
}

}  // namespace

void check_retry_strategy(const json::object& strategy) {
  auto attempts = base::find_int(strategy, "attempts");
  if (!attempts) throw Reject("RetryAttempts must be provided with retry strategy");
  if (*attempts < 1 || *attempts > kAttemptsMax)
    throw Reject("RetryAttempts must be between 1 and 10, got " + std::to_string(*attempts) + ".");
  const json::array* entries = base::find_array(strategy, "evaluateOnExit");
  if (!entries) return;
  if (entries->size() > kEntriesMax) throw Reject("Maximum allowed size of evaluateOnExit is 5.");
  for (const json::value& value : *entries) {
    const json::object& entry = value.as_object();
    std::string_view action = base::find_string(entry, "action").value_or("");
    if (!base::equals_ignore_case(action, "RETRY") && !base::equals_ignore_case(action, "EXIT"))
      throw Reject("Action in evaluateOnExit must be one of [RETRY, EXIT].");
    bool any = false;
    for (const char* condition : kConditions)
      if (auto pattern = base::find_string(entry, condition)) {
        check_pattern(condition, *pattern);
        any = true;
      }
    if (!any)
      throw Reject(
          "At least one of onExitCode, onReason, onStatusReason must be provided in evaluateOnExit.");
  }
}

bool retries(const json::object* strategy, int attempts_made, const AttemptResult& result) {
  if (!strategy) return false;
  if (attempts_made >= base::find_int(*strategy, "attempts").value_or(1)) return false;
  if (const json::array* entries = base::find_array(*strategy, "evaluateOnExit"))
    for (const json::value& entry : *entries)
      if (entry_matches(entry.as_object(), result))
        return base::equals_ignore_case(base::find_string(entry.as_object(), "action").value_or(""), "RETRY");
  return true;
}

}  // namespace millrace::engine
