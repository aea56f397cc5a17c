#include "secrets/parameter_store.h"

#include <re2/re2.h>

#include <algorithm>

#include "aws/api_error.h"
#include "base/strings.h"
#include "secrets/parameter_name.h"

namespace millrace::secrets {
namespace {

constexpr int64_t kVersionsMax = 100;
constexpr size_t kStandardBytesMax = 4096, kAdvancedBytesMax = 8192;
constexpr size_t kLabelsMax = 10, kTagsMax = 50, kLabelSizeMax = 100;
constexpr int64_t kPatternMemoryMax = 1 << 20;

[[noreturn]] void refuse(const char* code, const std::string& message) {
  throw aws::ApiError(400, code, message);
}
[[noreturn]] void not_found(std::string_view name) {
  refuse("ParameterNotFound", "Parameter " + std::string(name) + " not found.");
}

std::string value_place(std::string_view name, int64_t version) {
  std::string place("parameter");
  place += '\0';
  place += name;
  place += '\0';
  place += std::to_string(version);
  return place;
}

std::string text(const json::object& object, std::string_view member) {
  return std::string(base::find_string(object, member).value_or(""));
}

void check_value(const PutParameter& put, const json::object& body) {
  const size_t size = put.value.view().size();
  const std::string tier = text(body, "Tier");
  if (tier == "Standard" && size > kStandardBytesMax)
    refuse(
        "ValidationException",
        "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger "
        "parameter value, upgrade the parameter to use the advanced-parameter tier.");
  if (size > kAdvancedBytesMax)
    refuse("ValidationException",
           "Advanced tier parameters support a maximum parameter value of 8192 characters.");
  const std::string pattern = text(body, "AllowedPattern");
  if (pattern.empty()) return;
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kPatternMemoryMax);
  const re2::RE2 expression(pattern, options);
  if (!expression.ok())
    refuse("InvalidAllowedPatternException", "The AllowedPattern " + pattern + " is not valid.");
  const std::string_view value = put.value.view();
  if (!re2::RE2::FullMatch(re2::StringPiece(value.data(), value.size()), expression))
    refuse("ParameterPatternMismatchException",
           "Parameter value, cannot be validated against allowedPattern: " + pattern);
}

// A label is letters, digits, ".-_"; it does not begin with a digit, "aws" or "ssm".
bool is_label(std::string_view label) {
  if (label.empty() || label.size() > kLabelSizeMax || (label[0] >= '0' && label[0] <= '9')) return false;
  const std::string start = base::to_lower(label.substr(0, 3));
  return start != "aws" && start != "ssm" && std::all_of(label.begin(), label.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '.' || c == '-' || c == '_';
         });
}

}  // namespace

ParameterStore::ParameterStore(Database& database, const base::Clock& clock, std::string region,
                               std::string account)
    : database_(database), clock_(clock), region_(std::move(region)), account_(std::move(account)) {}

std::string ParameterStore::arn(std::string_view name) const {
  const char* partition = region_.starts_with("cn-")       ? "aws-cn"
                          : region_.starts_with("us-gov-") ? "aws-us-gov"
                                                           : "aws";
  return std::string("arn:") + partition + ":ssm:" + region_ + ":" + account_ + ":parameter" +
         (name.starts_with('/') ? "" : "/") + std::string(name);
}

// "…:parameter/a" is the parameter "a", "…:parameter/a/b" is "/a/b".
std::string ParameterStore::name_of(std::string_view name) const {
  if (!name.starts_with("arn:")) return std::string(name);
  const std::string prefix = arn("");
  if (!name.starts_with(prefix)) not_found(name);
  name.remove_prefix(prefix.size());
  return (name.find('/') == std::string_view::npos ? "" : "/") + std::string(name);
}

std::optional<Parameter> ParameterStore::find(Session& session, std::string_view name,
                                              int64_t version) const {
  Query row(session, "SELECT modified, body, value FROM parameter_versions WHERE name = $1 AND version = $2");
  row->bind(1, name).bind(2, version);
  if (!row->step()) return std::nullopt;
  Parameter parameter;
  parameter.name = name;
  parameter.version = version;
  parameter.modified = row->int64(0);
  parameter.body = base::parse_json(row->text(1)).as_object();
  parameter.sealed = row->text(2);
  return parameter;
}

int64_t ParameterStore::required_latest(Session& session, std::string_view name) const {
  Query row(session, "SELECT latest FROM parameters WHERE name = $1");
  row->bind(1, name);
  if (!row->step()) not_found(name);
  return row->int64(0);
}

void ParameterStore::read_labels(Session& session, Parameter& parameter) const {
  Query rows(session, "SELECT label FROM parameter_labels WHERE name = $1 AND version = $2 ORDER BY label");
  rows->bind(1, parameter.name).bind(2, parameter.version);
  while (rows->step()) parameter.labels.emplace_back(rows->text(0));
}

Plaintext ParameterStore::value(const Parameter& parameter) const {
  return database_.vault().open(parameter.sealed, value_place(parameter.name, parameter.version));
}

Parameter ParameterStore::put(PutParameter put) {
  check_parameter_name(put.name, arn(""));
  return database_.write([&](Session& session) {
    int64_t latest = 0;
    {
      Query row(session, "SELECT latest FROM parameters WHERE name = $1");
      row->bind(1, put.name);
      if (row->step()) latest = row->int64(0);
    }
    Parameter made;
    made.name = put.name;
    made.version = latest + 1;
    made.modified = clock_.now_ms();
    if (latest != 0) {
      if (!put.overwrite)
        refuse(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in the request "
            "to true.");
      made.body = find(session, put.name, latest).value().body;
      const std::string type = text(put.body, "Type");
      if (!type.empty() && type != made.type())
        refuse("HierarchyTypeMismatchException",
               "The parameter type can't be changed from " + made.type() + " to " + type +
                   ". Delete the parameter and create one of the other type.");
      if (text(made.body, "Tier") == "Advanced" && text(put.body, "Tier") == "Standard")
        refuse("ValidationException",
               "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the "
               "advanced-parameter tier to the standard-parameter tier.");
    } else if (text(put.body, "Type").empty()) {
      refuse("ValidationException", "A parameter type is required when you create a parameter.");
    }
    for (const auto& [key, given] : put.body) made.body[key] = given;
    if (!made.body.contains("DataType")) made.body["DataType"] = "text";
    std::string tier = text(made.body, "Tier");
    if (tier.empty() || tier == "Intelligent-Tiering")
      made.body["Tier"] = put.value.view().size() > kStandardBytesMax || made.body.contains("Policies")
                              ? "Advanced"
                              : "Standard";
    check_value(put, made.body);
    made.sealed = database_.vault().seal(put.value.view(), value_place(put.name, made.version));

    Query(session,
          "INSERT INTO parameters(name, latest, body) VALUES ($1, $2, $3) "
          "ON CONFLICT(name) DO UPDATE SET latest = excluded.latest")
        ->bind(1, put.name)
        .bind(2, made.version)
        .bind(3, json::serialize(json::object{{"Tags", put.tags}}))
        .run();
    Query(session,
          "INSERT INTO parameter_versions(name, version, modified, body, value) VALUES ($1, $2, $3, $4, $5)")
        ->bind(1, put.name)
        .bind(2, made.version)
        .bind(3, made.modified)
        .bind(4, json::serialize(made.body))
        .bind_blob(5, made.sealed)
        .run();
    if (made.version > kVersionsMax) {
      Query label(session, "SELECT 1 FROM parameter_labels WHERE name = $1 AND version <= $2");
      label->bind(1, put.name).bind(2, made.version - kVersionsMax);
      if (label->step())
        refuse(
            "ParameterMaxVersionLimitExceeded",
            "You attempted to create a new version of " + put.name +
                " by calling the PutParameter API with the overwrite flag. Version " +
                std::to_string(made.version - kVersionsMax) +
                ", the oldest version, can't be deleted because it has a label associated with it. Move the "
                "label to another version of the parameter, and try again.");
      Query(session, "DELETE FROM parameter_versions WHERE name = $1 AND version <= $2")
          ->bind(1, put.name)
          .bind(2, made.version - kVersionsMax)
          .run();
    }
    return made;
  });
}

Parameter ParameterStore::get(std::string_view selector) {
  const std::string whole = name_of(selector);
  const size_t colon = whole.rfind(':');
  std::string name = whole.substr(0, colon);
  const std::string which = colon == std::string::npos ? "" : whole.substr(colon + 1);
  return database_.read([&](Session& session) {
    // The ARNs of "a" and "/a" are the same.
    if (selector.starts_with("arn:") && !name.starts_with('/')) {
      Query row(session, "SELECT 1 FROM parameters WHERE name = $1");
      row->bind(1, name);
      if (!row->step()) name.insert(0, "/");
    }
    int64_t version = required_latest(session, name);
    auto no_version = [&](const std::string& of) {
      refuse("ParameterVersionNotFound", "Systems Manager could not find version " + of + " of " + name +
                                             ". Verify the version and try again.");
    };
    if (auto number = base::parse_number<int64_t>(which); number && !which.empty()) {
      version = *number;
    } else if (!which.empty()) {
      Query row(session, "SELECT version FROM parameter_labels WHERE name = $1 AND label = $2");
      row->bind(1, name).bind(2, which);
      if (!row->step())
        refuse("ParameterVersionNotFound", "Systems Manager could not find label " + which + " of " + name +
                                               ". Verify the label and try again.");
      version = row->int64(0);
    }
    std::optional<Parameter> parameter = find(session, name, version);
    if (!parameter) no_version(std::to_string(version));
    read_labels(session, *parameter);
    return std::move(*parameter);
  });
}

bool ParameterStore::remove(std::string_view name_or_arn) {
  const std::string name = name_of(name_or_arn);
  return database_.write([&](Session& session) {
    Query(session, "DELETE FROM parameters WHERE name = $1")->bind(1, name).run();
    return session.connection().changes() > 0;
  });
}

std::vector<Parameter> ParameterStore::list(std::string_view prefix, const std::string& after, size_t limit,
                                            const std::function<bool(const Parameter&)>& wanted,
                                            std::string& next) {
  constexpr int64_t kPage = 200;
  std::vector<Parameter> found;
  std::string from = after;
  next.clear();
  for (bool more = true; more && next.empty();) {
    database_.read([&](Session& session) {
      std::vector<std::pair<std::string, int64_t>> page;
      {
        Query rows(
            session,
            "SELECT name, latest FROM parameters WHERE name > $1 AND name >= $2 ORDER BY name LIMIT $3");
        rows->bind(1, from).bind(2, prefix).bind(3, kPage);
        while (rows->step()) page.emplace_back(rows->text(0), rows->int64(1));
      }
      more = page.size() == static_cast<size_t>(kPage);
      for (const auto& [name, latest] : page) {
        if (!name.starts_with(prefix)) {
          more = false;
          return;
        }
        Parameter parameter = find(session, name, latest).value();
        read_labels(session, parameter);
        if (wanted(parameter)) {
          if (found.size() == limit) {
            next = from;
            return;
          }
          found.push_back(std::move(parameter));
        }
        from = name;
      }
    });
  }
  return found;
}

std::vector<Parameter> ParameterStore::history(std::string_view name_or_arn, int64_t after, size_t limit) {
  const std::string name = name_of(name_or_arn);
  return database_.read([&](Session& session) {
    required_latest(session, name);
    std::vector<int64_t> versions;
    {
      Query rows(session,
                 "SELECT version FROM parameter_versions WHERE name = $1 AND version > $2 ORDER BY version "
                 "LIMIT $3");
      rows->bind(1, name).bind(2, after).bind(3, static_cast<int64_t>(limit));
      while (rows->step()) versions.push_back(rows->int64(0));
    }
    std::vector<Parameter> out;
    for (const int64_t version : versions) {
      out.push_back(find(session, name, version).value());
      read_labels(session, out.back());
    }
    return out;
  });
}

json::array ParameterStore::tags(std::string_view name_or_arn) {
  const std::string name = name_of(name_or_arn);
  return database_.read([&](Session& session) {
    Query row(session, "SELECT body FROM parameters WHERE name = $1");
    row->bind(1, name);
    if (!row->step())
      refuse("InvalidResourceId", "The resource ID isn't valid: there is no parameter " + name + ".");
    return base::parse_json(row->text(0)).as_object().at("Tags").as_array();
  });
}

void ParameterStore::set_tags(std::string_view name_or_arn, const std::function<void(json::array&)>& change) {
  const std::string name = name_of(name_or_arn);
  json::array tags = this->tags(name);
  database_.write([&](Session& session) {
    {
      Query row(session, "SELECT body FROM parameters WHERE name = $1");
      row->bind(1, name);
      if (!row->step()) not_found(name);
      tags = base::parse_json(row->text(0)).as_object().at("Tags").as_array();
    }
    change(tags);
    if (tags.size() > kTagsMax)
      refuse("TooManyTagsError", "A parameter can have at most " + std::to_string(kTagsMax) + " tags.");
    Query(session, "UPDATE parameters SET body = $2 WHERE name = $1")
        ->bind(1, name)
        .bind(2, json::serialize(json::object{{"Tags", tags}}))
        .run();
  });
}

int64_t ParameterStore::label(std::string_view name_or_arn, int64_t version,
                              const std::vector<std::string>& labels, std::vector<std::string>& invalid) {
  const std::string name = name_of(name_or_arn);
  return database_.write([&](Session& session) {
    const int64_t latest = required_latest(session, name);
    const int64_t on = version == 0 ? latest : version;
    if (!find(session, name, on))
      refuse("ParameterVersionNotFound", "Systems Manager could not find version " + std::to_string(on) +
                                             " of " + name + ". Verify the version and try again.");
    for (const std::string& label : labels) {
      if (!is_label(label)) {
        invalid.push_back(label);
        continue;
      }
      Query(session,
            "INSERT INTO parameter_labels(name, label, version) VALUES ($1, $2, $3) "
            "ON CONFLICT(name, label) DO UPDATE SET version = excluded.version")
          ->bind(1, name)
          .bind(2, label)
          .bind(3, on)
          .run();
    }
    Query count(session, "SELECT count(*) FROM parameter_labels WHERE name = $1 AND version = $2");
    count->bind(1, name).bind(2, on);
    count->step();
    if (count->int64(0) > static_cast<int64_t>(kLabelsMax))
      refuse("ParameterVersionLabelLimitExceeded", "A parameter version can have a maximum of ten labels.");
    return on;
  });
}

std::vector<std::string> ParameterStore::unlabel(std::string_view name_or_arn, int64_t version,
                                                 const std::vector<std::string>& labels) {
  const std::string name = name_of(name_or_arn);
  return database_.write([&](Session& session) {
    required_latest(session, name);
    if (!find(session, name, version))
      refuse("ParameterVersionNotFound", "Systems Manager could not find version " + std::to_string(version) +
                                             " of " + name + ". Verify the version and try again.");
    std::vector<std::string> gone;
    for (const std::string& label : labels) {
      Query(session, "DELETE FROM parameter_labels WHERE name = $1 AND label = $2 AND version = $3")
          ->bind(1, name)
          .bind(2, label)
          .bind(3, version)
          .run();
      if (session.connection().changes() > 0) gone.push_back(label);
    }
    return gone;
  });
}

}  // namespace millrace::secrets
