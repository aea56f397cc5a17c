#include "iam/policy.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace millrace::iam {
namespace {

namespace json = base::json;

constexpr std::string_view kVersionWithVariables = "2012-10-17";
constexpr std::string_view kVersionWithout = "2008-10-17";
constexpr size_t kDepthMax = 16;

base::UsageError malformed(const std::string& why) {
  return base::UsageError(why, "MalformedPolicyDocument");
}
base::UsageError syntax_error() { return malformed("Syntax errors in policy."); }

// One text, or a list of texts. Numbers and booleans count as their text where `scalars`.
std::vector<std::string> texts_of(const json::value& value, bool scalars = false) {
  std::vector<std::string> out;
  auto add = [&](const json::value& one) {
    if (const json::string* text = one.if_string())
      out.emplace_back(base::view(*text));
    else if (scalars && (one.is_bool() || one.is_number()))
      out.push_back(json::serialize(one));
    else
      throw syntax_error();
  };
  if (const json::array* list = value.if_array())
    for (const json::value& one : *list) add(one);
  else
    add(value);
  return out;
}

void check_action(const std::string& action) {
  if (action == "*") return;
  size_t colon = action.find(':');
  if (colon == std::string::npos || colon == 0)
    throw malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
  if (action.find(':', colon + 1) != std::string::npos)
    throw malformed("Actions/Condition can contain only one colon.");
  std::string_view vendor = std::string_view(action).substr(0, colon);
  bool good = std::all_of(vendor.begin(), vendor.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '.' || c == '_' || c == '*';
  });
  if (!good) throw malformed("Vendor " + std::string(vendor) + " is not valid");
}

void check_resource(const std::string& resource) {
  if (resource == "*") return;
  bool arn = resource.starts_with("arn:") && std::count(resource.begin(), resource.end(), ':') >= 5;
  // A pattern may stand for the front of an ARN.
  if (!arn && resource.find('*') == std::string::npos && resource.find("${") == std::string::npos)
    throw malformed("Resource " + resource + " must be in ARN format or \"*\".");
}

Principals principals_of(const json::value& value) {
  Principals out;
  if (const json::string* text = value.if_string()) {
    if (base::view(*text) != "*")
      throw malformed("Invalid principal in policy: \"" + std::string(*text) + "\"");
    out.anybody = true;
    return out;
  }
  const json::object* object = value.if_object();
  if (!object || object->empty()) throw malformed("Missing required field Principal cannot be empty!");
  for (const auto& [key, given] : *object) {
    std::string_view kind(key.data(), key.size());
    for (std::string& name : texts_of(given)) {
      if (kind == "AWS" && name == "*")
        out.anybody = true;
      else if (kind == "AWS")
        out.aws.push_back(std::move(name));
      else if (kind == "Service")
        out.services.push_back(base::to_lower(name));
      else if (kind == "Federated" || kind == "CanonicalUser")
        out.others.push_back(std::move(name));
      else
        throw malformed("Invalid principal in policy: \"" + std::string(kind) + "\":\"" + name + "\"");
    }
  }
  return out;
}

std::vector<Condition> conditions_of(const json::value& value) {
  const json::object* by_operator = value.if_object();
  if (!by_operator) throw syntax_error();
  std::vector<Condition> out;
  for (const auto& [name, keys_value] : *by_operator) {
    std::string_view operator_name(name.data(), name.size());
    std::optional<Condition> parsed = parse_condition_operator(operator_name);
    if (!parsed) throw malformed("Invalid Condition type : " + std::string(operator_name) + ".");
    const json::object* keys = keys_value.if_object();
    if (!keys) throw syntax_error();
    for (const auto& [key, values] : *keys) {
      Condition condition = *parsed;
      std::string_view key_name(key.data(), key.size());
      if (key_name.find(':') == std::string_view::npos)
        throw malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
      condition.key = base::to_lower(key_name);
      condition.values = texts_of(values, true);
      condition.shown = std::string(operator_name) + " " + std::string(key_name);
      if (condition.values.empty()) throw syntax_error();
      for (const std::string& text : condition.values)
        if (!is_condition_value(condition.type, text))
          throw malformed("Invalid value \"" + text + "\" of the condition " + condition.shown + ".");
      out.push_back(std::move(condition));
    }
  }
  return out;
}

// The texts of NAME or of its opposite NotNAME, which exclude each other.
struct Element {
  const json::value* value = nullptr;
  bool negated = false;
};
Element element(const json::object& object, std::string_view name) {
  const json::value* plain = base::find(object, name);
  const json::value* negated = base::find(object, "Not" + std::string(name));
  if (plain && negated) throw syntax_error();
  return {plain ? plain : negated, negated != nullptr};
}

Statement statement_of(const json::value& value, PolicyKind kind) {
  const json::object* object = value.if_object();
  if (!object) throw syntax_error();
  static constexpr std::array<std::string_view, 9> kElements = {"Sid",       "Effect",       "Action",
                                                                "NotAction", "Resource",     "NotResource",
                                                                "Principal", "NotPrincipal", "Condition"};
  for (const auto& [key, ignored] : *object)
    if (std::find(kElements.begin(), kElements.end(), std::string_view(key.data(), key.size())) ==
        kElements.end())
      throw syntax_error();
  Statement out;
  if (const json::value* sid = base::find(*object, "Sid")) {
    if (!sid->is_string()) throw syntax_error();
    out.sid = base::view(sid->as_string());
  }
  auto effect = base::find_string(*object, "Effect");
  if (!effect || (*effect != "Allow" && *effect != "Deny")) throw syntax_error();
  out.deny = *effect == "Deny";

  Element actions = element(*object, "Action");
  if (actions.value) out.actions = texts_of(*actions.value);
  if (out.actions.empty()) throw malformed("Policy statement must contain actions.");
  out.not_action = actions.negated;
  for (const std::string& action : out.actions) check_action(action);

  Element resources = element(*object, "Resource");
  if (kind == PolicyKind::kTrust && resources.value) throw malformed("Has prohibited field Resource");
  if (resources.value) out.resources = texts_of(*resources.value);
  if (kind != PolicyKind::kTrust && out.resources.empty())
    throw malformed("Policy statement must contain resources.");
  out.not_resource = resources.negated;
  for (const std::string& resource : out.resources) check_resource(resource);

  Element principals = element(*object, "Principal");
  if (kind == PolicyKind::kIdentity && principals.value)
    throw malformed("Policy document should not specify a principal.");
  if (kind != PolicyKind::kIdentity) {
    if (!principals.value) throw malformed("Missing required field Principal");
    out.has_principals = true;
    out.principals = principals_of(*principals.value);
    out.not_principal = principals.negated;
  }
  if (const json::value* conditions = base::find(*object, "Condition"))
    out.conditions = conditions_of(*conditions);
  return out;
}

}  // namespace

std::shared_ptr<const Policy> Policy::parse(std::string_view text, PolicyKind kind) {
  json::value document;
  try {
    document = base::parse_json(text, kDepthMax);
  } catch (const base::Error&) {
    throw syntax_error();
  }
  const json::object* object = document.if_object();
  if (!object) throw syntax_error();
  auto policy = std::make_shared<Policy>();
  for (const auto& [key, value] : *object) {
    std::string_view name(key.data(), key.size());
    if (name != "Version" && name != "Id" && name != "Statement") throw syntax_error();
    if (name != "Statement" && !value.is_string()) throw syntax_error();
  }
  std::string_view version = base::find_string(*object, "Version").value_or(kVersionWithout);
  if (version != kVersionWithVariables && version != kVersionWithout) throw syntax_error();
  // IAM takes old policies only from those who have them; resource policies may still be written so.
  if (kind == PolicyKind::kIdentity && version != kVersionWithVariables)
    throw malformed("Policy document must be version 2012-10-17 or greater.");
  policy->has_variables_ = version == kVersionWithVariables;

  const json::value* statements = base::find(*object, "Statement");
  if (!statements) throw syntax_error();
  std::set<std::string> sids;
  auto add = [&](const json::value& value) {
    Statement statement = statement_of(value, kind);
    if (!statement.sid.empty() && !sids.insert(statement.sid).second)
      throw malformed("Statement IDs (SID) in a single policy must be unique.");
    policy->statements_.push_back(std::move(statement));
  };
  if (const json::array* list = statements->if_array())
    for (const json::value& one : *list) add(one);
  else
    add(*statements);
  if (policy->statements_.empty()) throw syntax_error();
  return policy;
}

bool Policy::is_public() const {
  return std::any_of(statements_.begin(), statements_.end(), [](const Statement& statement) {
    return !statement.deny && statement.conditions.empty() && statement.has_principals &&
           (statement.principals.anybody || statement.not_principal);
  });
}

}  // namespace millrace::iam
