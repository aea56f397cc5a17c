// Parameters with their versions, as AWS Systems Manager's Parameter Store keeps them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "secrets/database.h"

namespace millrace::secrets {

namespace json = base::json;
using base::TimeMs;

// One version of a parameter.
struct Parameter {
  std::string name;
  int64_t version = 0;
  TimeMs modified = 0;
  // Type, DataType, Tier, and where given Description, KeyId, AllowedPattern, Policies, LastModifiedUser.
  // Never the value.
  json::object body;
  std::string sealed;  // the value as it is on disk
  std::vector<std::string> labels;

  std::string type() const { return std::string(base::find_string(body, "Type").value_or("")); }
};

struct PutParameter {
  std::string name;
  Plaintext value;
  json::object body;  // as Parameter::body, Type may be missing of one that is there
  json::array tags;   // of a new one
  bool overwrite = false;
};

// Errors are aws::ApiError with Systems Manager's codes and sentences. A parameter is named by its name or
// its ARN, where reading also by "name:version" or "name:label". Everything that changes something is durable
// on return. Thread-safe. All arguments outlive it.
class ParameterStore {
 public:
  ParameterStore(Database& database, const base::Clock& clock, std::string region, std::string account);

  std::string arn(std::string_view name) const;

  // The version that it made.
  Parameter put(PutParameter parameter);
  Parameter get(std::string_view selector);
  Plaintext value(const Parameter& parameter) const;
  // False when there was none.
  bool remove(std::string_view name);
  // Newest versions of those whose name begins with `prefix` and comes after `after`, by name; at most
  // `limit` that `wanted` takes. `next` is the name to go on after, empty at the end.
  std::vector<Parameter> list(std::string_view prefix, const std::string& after, size_t limit,
                              const std::function<bool(const Parameter&)>& wanted, std::string& next);
  // Versions above `after`, oldest first, at most `limit`.
  std::vector<Parameter> history(std::string_view name, int64_t after, size_t limit);
  json::array tags(std::string_view name);
  void set_tags(std::string_view name, const std::function<void(json::array&)>& change);
  // Puts `labels` on a version (0: the newest), where they leave another; gives the version, and those that
  // are no labels in `invalid`.
  int64_t label(std::string_view name, int64_t version, const std::vector<std::string>& labels,
                std::vector<std::string>& invalid);
  // Takes them off; gives those that were there.
  std::vector<std::string> unlabel(std::string_view name, int64_t version,
                                   const std::vector<std::string>& labels);

 private:
  std::string name_of(std::string_view name_or_arn) const;
  std::optional<Parameter> find(Session& session, std::string_view name, int64_t version) const;
  int64_t required_latest(Session& session, std::string_view name) const;
  void read_labels(Session& session, Parameter& parameter) const;

  Database& database_;
  const base::Clock& clock_;
  std::string region_, account_;
};

}  // namespace millrace::secrets
