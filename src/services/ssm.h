// The Parameter Store part of the Systems Manager API over secrets::ParameterStore.
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <string_view>

#include "aws/model.h"
#include "base/json.h"
#include "base/worker_pool.h"
#include "secrets/parameter_store.h"
#include "secrets/secret_store.h"

namespace millrace::services {

// Thread-safe. Inputs are as aws::decode() gives them, outputs as aws::encode() takes them.
class SsmService {
 public:
  using Reply = std::function<void(base::json::object, std::exception_ptr)>;

  // Both outlive it. Names under /aws/reference/secretsmanager/ are read from `secrets`.
  SsmService(secrets::ParameterStore& store, secrets::SecretStore& secrets);
  static bool implements(std::string_view operation);
  // Answers when what was changed is durable, from another thread; errors are aws::ApiError. `user` is the
  // ARN of who asks. Values in `input` are wiped.
  void call(const aws::Operation& operation, base::json::object input, const std::string& user, Reply reply);

 private:
  using Input = base::json::object;
  using Output = base::json::object;
  struct Handler;
  static const Handler* find_handler(std::string_view operation);

  Output put_parameter(Input& input);
  Output get_parameter(Input& input);
  Output get_parameters(Input& input);
  Output get_parameters_by_path(Input& input);
  Output get_parameter_history(Input& input);
  Output describe_parameters(Input& input);
  Output delete_parameter(Input& input);
  Output delete_parameters(Input& input);
  Output label_parameter_version(Input& input);
  Output unlabel_parameter_version(Input& input);
  Output add_tags_to_resource(Input& input);
  Output remove_tags_from_resource(Input& input);
  Output list_tags_for_resource(Input& input);

  Output shown(const secrets::Parameter& parameter, bool decrypted) const;
  Output one(const std::string& name, bool decrypted);
  Output reference(std::string_view name, bool decrypted);

  secrets::ParameterStore& store_;
  secrets::SecretStore& secrets_;
  base::WorkerPool workers_;  // last: what it runs uses the others
};

}  // namespace millrace::services
