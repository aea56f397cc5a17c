// The Secrets Manager API over secrets::SecretStore.
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <string_view>

#include "aws/model.h"
#include "base/json.h"
#include "base/worker_pool.h"
#include "secrets/secret_store.h"

namespace millrace::services {

// Thread-safe. Inputs are as aws::decode() gives them, outputs as aws::encode() takes them.
class SecretsManagerService {
 public:
  using Reply = std::function<void(base::json::object, std::exception_ptr)>;

  // Both outlive it.
  SecretsManagerService(secrets::SecretStore& store, std::string region);
  static bool implements(std::string_view operation);
  // Answers when what was changed is durable, from another thread; errors are aws::ApiError. Values in
  // `input` are wiped.
  void call(const aws::Operation& operation, base::json::object input, Reply reply);

 private:
  using Input = base::json::object;
  using Output = base::json::object;
  struct Handler;
  static const Handler* find_handler(std::string_view operation);

  Output create_secret(Input& input);
  Output put_secret_value(Input& input);
  Output get_secret_value(Input& input);
  Output batch_get_secret_value(Input& input);
  Output update_secret(Input& input);
  Output update_secret_version_stage(Input& input);
  Output describe_secret(Input& input);
  Output list_secrets(Input& input);
  Output list_secret_version_ids(Input& input);
  Output delete_secret(Input& input);
  Output restore_secret(Input& input);
  Output tag_resource(Input& input);
  Output untag_resource(Input& input);
  Output get_resource_policy(Input& input);
  Output put_resource_policy(Input& input);
  Output delete_resource_policy(Input& input);
  Output validate_resource_policy(Input& input);
  Output get_random_password(Input& input);
  Output rotate_secret(Input& input);
  Output cancel_rotate_secret(Input& input);
  Output replicate_secret_to_regions(Input& input);
  Output remove_regions_from_replication(Input& input);
  Output stop_replication_to_replica(Input& input);

  Output value_of(const secrets::Secret& secret, const secrets::Value& value) const;
  Output described(const secrets::Secret& secret) const;
  Output named(const secrets::Secret& secret) const;

  secrets::SecretStore& store_;
  std::string region_;
  base::WorkerPool workers_;  // last: what it runs uses the others
};

}  // namespace millrace::services
