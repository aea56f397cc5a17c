#include "services/post_policy.h"

#include <algorithm>

#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"
#include "objects/store_errors.h"
#include "services/s3_errors.h"

namespace millrace::services {

namespace json = base::json;

namespace {

aws::ApiError invalid(const std::string& why) {
  return s3_error("InvalidPolicyDocument", "Invalid Policy: " + why);
}

aws::ApiError denied(const std::string& why) {
  return s3_error("AccessDenied", "Invalid according to Policy: " + why);
}

// A number, also when it stands in quotes.
std::optional<uint64_t> number_of(const json::value& value) {
  if (const json::string* text = value.if_string()) return base::parse_number<uint64_t>(base::view(*text));
  if (value.is_int64() && value.as_int64() >= 0) return static_cast<uint64_t>(value.as_int64());
  if (value.is_uint64()) return value.as_uint64();
  return std::nullopt;
}

// What no condition is needed for.
bool is_free(std::string_view field) {
  return field == "x-amz-signature" || field == "signature" || field == "awsaccesskeyid" ||
         field == "policy" || field == "file" || field == "bucket" || field.starts_with("x-ignore-");
}

}  // namespace

PostPolicy::PostPolicy(std::string_view base64) {
  std::string clean;
  for (char c : base64)
    if (c != '\r' && c != '\n') clean += c;
  std::optional<std::string> text = base::unbase64(clean);
  if (!text) throw invalid("The policy is not base64.");
  json::value document;
  try {
    document = base::parse_json(*text);
  } catch (const base::CorruptError&) {
    throw invalid("Invalid JSON.");
  }
  const json::object* policy = document.if_object();
  if (!policy) throw invalid("Invalid JSON.");
  auto expiration = base::find_string(*policy, "expiration");
  if (!expiration) throw invalid("Policy missing expiration.");
  auto expires = base::parse_iso8601(*expiration);
  if (!expires) throw invalid("Invalid 'expiration' value: '" + std::string(*expiration) + "'");
  expires_ = *expires;
  const json::array* conditions = base::find_array(*policy, "conditions");
  if (!conditions) throw invalid("Policy missing conditions.");
  for (const json::value& item : *conditions) {
    if (const json::object* equal = item.if_object()) {
      for (const auto& member : *equal) {
        const json::string* value = member.value().if_string();
        if (!value) throw invalid("Invalid Simple-Condition: value must be a string.");
        std::string field(member.key());
        conditions_.push_back({false, base::to_lower(field), std::string(base::view(*value)),
                               "[\"eq\", \"$" + field + "\", \"" + std::string(base::view(*value)) + "\"]"});
      }
      continue;
    }
    const json::array* list = item.if_array();
    if (!list || list->size() != 3 || !(*list)[0].is_string())
      throw invalid("Invalid Condition: expected an object or a list of three.");
    std::string kind = base::to_lower(base::view((*list)[0].as_string()));
    if (kind == "content-length-range") {
      auto low = number_of((*list)[1]), high = number_of((*list)[2]);
      if (!low || !high) throw invalid("Invalid content-length-range.");
      bytes_min_ = std::max(bytes_min_, *low);
      bytes_max_ = std::min(bytes_max_, *high);
      continue;
    }
    const json::string* field = (*list)[1].if_string();
    const json::string* value = (*list)[2].if_string();
    if ((kind != "eq" && kind != "starts-with") || !field || !value || !base::view(*field).starts_with('$'))
      throw invalid("Invalid Condition: unknown operation '" + kind + "'.");
    conditions_.push_back({kind == "starts-with", base::to_lower(base::view(*field).substr(1)),
                           std::string(base::view(*value)), json::serialize(item)});
  }
}

void PostPolicy::check(const FormFields& fields, base::TimeMs now) const {
  if (now >= expires_) throw denied("Policy expired.");
  auto value_of = [&](const std::string& name) -> std::string_view {
    auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.first == name; });
    return found == fields.end() ? std::string_view() : found->second;
  };
  for (const Condition& condition : conditions_) {
    std::string_view value = value_of(condition.field);
    if (condition.prefix ? !value.starts_with(condition.value) : value != condition.value)
      throw denied("Policy Condition failed: " + condition.text);
  }
  for (const auto& [name, value] : fields) {
    bool covered = is_free(name) || std::any_of(conditions_.begin(), conditions_.end(),
                                                [&](const Condition& c) { return c.field == name; });
    if (!covered) throw denied("Extra input fields: " + name);
  }
}

void PostPolicy::check_size(uint64_t bytes) const {
  if (bytes < bytes_min_) throw objects::entity_too_small();
  if (bytes > bytes_max_) throw objects::entity_too_large();
}

}  // namespace millrace::services
