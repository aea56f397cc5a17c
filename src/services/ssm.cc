#include "services/ssm.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "services/parameter_filters.h"
#include "services/tag_list.h"
#include "services/wiped_input.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using secrets::Parameter;

constexpr unsigned kThreads = 2;
constexpr int64_t kByPathDefault = 10, kDescribeDefault = 10, kHistoryDefault = 50;
constexpr std::string_view kReference = "/aws/reference/secretsmanager/";

[[noreturn]] void refuse(const char* code, const std::string& message) {
  throw aws::ApiError(400, code, message);
}

std::string text(const json::object& object, std::string_view member) {
  return std::string(base::find_string(object, member).value_or(""));
}

std::vector<std::string> strings(const json::object& input, std::string_view member) {
  std::vector<std::string> out;
  if (const json::array* list = base::find_array(input, member))
    for (const json::value& value : *list) out.emplace_back(base::view(value.as_string()));
  return out;
}

bool decrypts(const json::object& input) { return base::find_bool(input, "WithDecryption").value_or(false); }

size_t limit_of(const json::object& input, int64_t otherwise) {
  return static_cast<size_t>(base::find_int(input, "MaxResults").value_or(otherwise));
}

std::string token_of(const json::object& input) {
  const std::string token = text(input, "NextToken");
  auto decoded = base::unbase64(token);
  if (!decoded) refuse("InvalidNextToken", "The specified token isn't valid.");
  return *decoded;
}

// What was "all parameters whose name begins so" before ParameterFilters came (DescribeParameters' Filters).
json::array old_filters(const json::array& filters) {
  json::array out;
  for (const json::value& entry : filters) {
    json::object filter = entry.as_object();
    filter["Option"] = text(filter, "Key") == "Name" ? "BeginsWith" : "Equals";
    out.push_back(std::move(filter));
  }
  return out;
}

void merge_tags(json::array& tags, const json::array& added) {
  merge_tag_list(tags, added, "ValidationException");
}

std::string parameter_resource(const json::object& input) {
  if (text(input, "ResourceType") != "Parameter")
    refuse("InvalidResourceType",
           "The resource type isn't valid: this version of Millrace has parameters only.");
  return text(input, "ResourceId");
}

void leave_names(json::object& out, const char* member, const std::vector<std::string>& names) {
  out[member] = json::array(names.begin(), names.end());
}

}  // namespace

struct SsmService::Handler {
  std::string_view operation;
  Output (SsmService::*run)(Input& input);
};

const SsmService::Handler* SsmService::find_handler(std::string_view operation) {
  using S = SsmService;
  static constexpr Handler kHandlers[] = {
      {"AddTagsToResource", &S::add_tags_to_resource},
      {"DeleteParameter", &S::delete_parameter},
      {"DeleteParameters", &S::delete_parameters},
      {"DescribeParameters", &S::describe_parameters},
      {"GetParameter", &S::get_parameter},
      {"GetParameterHistory", &S::get_parameter_history},
      {"GetParameters", &S::get_parameters},
      {"GetParametersByPath", &S::get_parameters_by_path},
      {"LabelParameterVersion", &S::label_parameter_version},
      {"ListTagsForResource", &S::list_tags_for_resource},
      {"PutParameter", &S::put_parameter},
      {"RemoveTagsFromResource", &S::remove_tags_from_resource},
      {"UnlabelParameterVersion", &S::unlabel_parameter_version},
  };
  for (const Handler& handler : kHandlers)
    if (handler.operation == operation) return &handler;
  return nullptr;
}

bool SsmService::implements(std::string_view operation) { return find_handler(operation) != nullptr; }

SsmService::SsmService(secrets::ParameterStore& store, secrets::SecretStore& secrets)
    : store_(store), secrets_(secrets), workers_(kThreads) {}

void SsmService::call(const aws::Operation& operation, Input input, const std::string& user, Reply reply) {
  if (operation.name == "PutParameter") input["LastModifiedUser"] = user;
  workers_.post([this, handler = find_handler(operation.name), reply = std::move(reply),
                 input = std::make_shared<Input>(std::move(input))] {
    Output output;
    std::exception_ptr error;
    try {
      output = (this->*handler->run)(*input);
    } catch (const aws::ApiError&) {
      error = std::current_exception();
    } catch (const base::Error& e) {
      error = std::make_exception_ptr(aws::ApiError(500, "InternalServerError", e.what()));
    }
    take_text(*input, "Value");
    reply(std::move(output), error);
  });
}

// A Parameter of the API. What is a secret is shown encrypted unless it is to be decrypted.
json::object SsmService::shown(const Parameter& parameter, bool decrypted) const {
  json::object out{{"Name", parameter.name},
                   {"Type", parameter.type()},
                   {"Version", parameter.version},
                   {"LastModifiedDate", parameter.modified},
                   {"ARN", store_.arn(parameter.name)},
                   {"DataType", text(parameter.body, "DataType")}};
  if (parameter.type() == "SecureString" && !decrypted) {
    out["Value"] = base::base64(parameter.sealed);
  } else {
    const secrets::Plaintext value = store_.value(parameter);
    out["Value"] = json::string(value.view().data(), value.view().size());
  }
  return out;
}

// A secret read as a parameter (Systems Manager user guide, "Referencing AWS Secrets Manager secrets").
json::object SsmService::reference(std::string_view name, bool decrypted) {
  if (!decrypted)
    refuse("ValidationException", "WithDecryption flag must be True for retrieving a Secret Manager secret.");
  const std::string id(name.substr(kReference.size()));
  try {
    const auto [secret, value] = secrets_.get(id, "", "");
    const std::string_view bytes = value.bytes.view();
    return {{"Name", name},
            {"Type", "SecureString"},
            {"Value",
             value.binary ? json::string(base::base64(bytes)) : json::string(bytes.data(), bytes.size())},
            {"Version", 0},
            {"LastModifiedDate", value.created},
            {"ARN", secrets_.arn(secret)}};
  } catch (const aws::ApiError& error) {
    refuse("ParameterNotFound",
           "An error occurred (" + error.code() + ") when referencing Secrets Manager: " + error.what());
  }
}

json::object SsmService::one(const std::string& name, bool decrypted) {
  if (name.starts_with(kReference)) return reference(name, decrypted);
  json::object out = shown(store_.get(name), decrypted);
  const size_t colon =
      name.starts_with("arn:") ? name.find(':', name.find(":parameter/") + 1) : name.find(':');
  if (colon != std::string::npos) out["Selector"] = name.substr(colon);
  return out;
}

json::object SsmService::put_parameter(Input& input) {
  secrets::PutParameter put;
  std::optional<secrets::Plaintext> value = take_text(input, "Value");
  put.value = std::move(value).value();
  put.name = text(input, "Name");
  put.overwrite = base::find_bool(input, "Overwrite").value_or(false);
  if (const json::array* tags = base::find_array(input, "Tags"); tags && !tags->empty()) {
    if (put.overwrite)
      refuse("ValidationException",
             "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, "
             "please remove overwrite flag. To update tags for an existing parameter, please use "
             "AddTagsToResource or RemoveTagsFromResource.");
    merge_tags(put.tags, *tags);
  }
  if (put.value.view().empty()) refuse("ValidationException", "Parameter value must not be empty.");
  for (const char* member :
       {"Type", "Description", "KeyId", "AllowedPattern", "Tier", "Policies", "DataType", "LastModifiedUser"})
    if (const std::string given = text(input, member); !given.empty()) put.body[member] = given;
  const std::string type = text(put.body, "Type");
  if (type == "SecureString" && !put.body.contains("KeyId")) put.body["KeyId"] = "alias/aws/ssm";
  if (type != "SecureString" && !type.empty() && put.body.contains("KeyId"))
    refuse("ValidationException", "KeyId is required for SecureString type parameter only.");
  const Parameter made = store_.put(std::move(put));
  return {{"Version", made.version}, {"Tier", text(made.body, "Tier")}};
}

json::object SsmService::get_parameter(Input& input) {
  return {{"Parameter", one(text(input, "Name"), decrypts(input))}};
}

json::object SsmService::get_parameters(Input& input) {
  json::array found;
  std::vector<std::string> invalid;
  for (const std::string& name : strings(input, "Names")) {
    try {
      found.push_back(one(name, decrypts(input)));
    } catch (const aws::ApiError& error) {
      if (error.code() != "ParameterNotFound" && error.code() != "ParameterVersionNotFound") throw;
      invalid.push_back(name);
    }
  }
  json::object out{{"Parameters", std::move(found)}};
  leave_names(out, "InvalidParameters", invalid);
  return out;
}

json::object SsmService::get_parameters_by_path(Input& input) {
  std::string path = text(input, "Path");
  if (!path.starts_with('/'))
    refuse(
        "ValidationException",
        "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a "
        "forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use "
        "only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore).");
  if (!path.ends_with('/')) path += '/';
  const bool recursive = base::find_bool(input, "Recursive").value_or(false);
  static const json::array kNone;
  const json::array* filters = base::find_array(input, "ParameterFilters");
  const auto passes = parameter_filter(filters ? *filters : kNone, true, nullptr);
  std::string next;
  json::array found;
  for (const Parameter& parameter : store_.list(
           path, token_of(input), limit_of(input, kByPathDefault),
           [&](const Parameter& each) {
             return (recursive || each.name.find('/', path.size()) == std::string::npos) && passes(each);
           },
           next))
    found.push_back(shown(parameter, decrypts(input)));
  json::object out{{"Parameters", std::move(found)}};
  if (!next.empty()) out["NextToken"] = base::base64(next);
  return out;
}

json::object SsmService::get_parameter_history(Input& input) {
  const std::string token = token_of(input);
  const size_t limit = limit_of(input, kHistoryDefault);
  const auto versions =
      store_.history(text(input, "Name"), base::parse_number<int64_t>(token).value_or(0), limit + 1);
  json::array list;
  json::object out;
  for (const Parameter& parameter : versions) {
    if (list.size() == limit) {
      out["NextToken"] = base::base64(std::to_string(versions[limit - 1].version));
      break;
    }
    json::object entry = shown(parameter, decrypts(input));
    entry.erase("ARN");
    for (const auto& [key, value] : parameter.body) entry[key] = value;
    leave_names(entry, "Labels", parameter.labels);
    list.push_back(std::move(entry));
  }
  out["Parameters"] = std::move(list);
  return out;
}

json::object SsmService::describe_parameters(Input& input) {
  json::array filters;
  if (const json::array* given = base::find_array(input, "ParameterFilters")) filters = *given;
  if (const json::array* given = base::find_array(input, "Filters"); given && !given->empty()) {
    if (!filters.empty())
      refuse("ValidationException",
             "You can use either Filters or ParameterFilters in a single request, but not both.");
    filters = old_filters(*given);
  }
  std::string next;
  json::array found;
  const auto wanted =
      parameter_filter(filters, false, [this](const Parameter& each) { return store_.tags(each.name); });
  // What a filter needs beside the row is read when the row's own lock is free again.
  std::string after = token_of(input);
  const size_t limit = limit_of(input, kDescribeDefault);
  auto everything = [](const Parameter&) { return true; };
  json::object out;
  for (bool done = false; !done;) {
    const auto page = store_.list("", after, kDescribeDefault, everything, next);
    done = next.empty();
    for (const Parameter& parameter : page) {
      if (wanted(parameter)) {
        if (found.size() == limit) {
          out["NextToken"] = base::base64(after);
          done = true;
          break;
        }
        json::object entry = parameter.body;
        entry["Name"] = parameter.name;
        entry["ARN"] = store_.arn(parameter.name);
        entry["Version"] = parameter.version;
        entry["LastModifiedDate"] = parameter.modified;
        if (const json::value* policies = entry.if_contains("Policies"); policies && policies->is_string())
          entry["Policies"] =
              json::array{json::object{{"PolicyText", *policies}, {"PolicyStatus", "Pending"}}};
        found.push_back(std::move(entry));
      }
      after = parameter.name;
    }
  }
  out["Parameters"] = std::move(found);
  return out;
}

json::object SsmService::delete_parameter(Input& input) {
  const std::string name = text(input, "Name");
  if (!store_.remove(name)) refuse("ParameterNotFound", "Parameter " + name + " not found.");
  return {};
}

json::object SsmService::delete_parameters(Input& input) {
  std::vector<std::string> gone, invalid;
  for (const std::string& name : strings(input, "Names"))
    (store_.remove(name) ? gone : invalid).push_back(name);
  json::object out;
  leave_names(out, "DeletedParameters", gone);
  leave_names(out, "InvalidParameters", invalid);
  return out;
}

json::object SsmService::label_parameter_version(Input& input) {
  std::vector<std::string> invalid;
  const int64_t version =
      store_.label(text(input, "Name"), base::find_int(input, "ParameterVersion").value_or(0),
                   strings(input, "Labels"), invalid);
  json::object out{{"ParameterVersion", version}};
  leave_names(out, "InvalidLabels", invalid);
  return out;
}

json::object SsmService::unlabel_parameter_version(Input& input) {
  const std::vector<std::string> labels = strings(input, "Labels");
  const std::vector<std::string> gone =
      store_.unlabel(text(input, "Name"), base::find_int(input, "ParameterVersion").value_or(0), labels);
  std::vector<std::string> invalid;
  for (const std::string& label : labels)
    if (std::find(gone.begin(), gone.end(), label) == gone.end()) invalid.push_back(label);
  json::object out;
  leave_names(out, "RemovedLabels", gone);
  leave_names(out, "InvalidLabels", invalid);
  return out;
}

json::object SsmService::add_tags_to_resource(Input& input) {
  store_.set_tags(parameter_resource(input),
                  [&](json::array& tags) { merge_tags(tags, input.at("Tags").as_array()); });
  return {};
}

json::object SsmService::remove_tags_from_resource(Input& input) {
  store_.set_tags(parameter_resource(input),
                  [&](json::array& tags) { drop_from_tag_list(tags, input.at("TagKeys").as_array()); });
  return {};
}

json::object SsmService::list_tags_for_resource(Input& input) {
  return {{"TagList", store_.tags(parameter_resource(input))}};
}

}  // namespace millrace::services
