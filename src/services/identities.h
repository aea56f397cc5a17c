// Who may call: the root key of a data folder, and the short-lived keys of jobs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "aws/credentials.h"
#include "aws/sigv4_errors.h"
#include "base/time.h"

namespace millrace::services {

// Keys of jobs are derived from the root secret, so nothing has to be stored and they work across restarts.
// Thread-safe.
class Identities {
 public:
  // Reads `path`, or makes a new root key there (mode 0600, durable).
  static Identities load_or_create(const std::string& path);
  explicit Identities(aws::Credentials root) : root_(std::move(root)) {}

  const aws::Credentials& root() const { return root_; }

  // Keys for the job `job_id`, good until `expires`.
  aws::Credentials for_job(std::string_view job_id, base::TimeMs expires) const;

  struct Caller {
    std::string secret;
    std::string job_id;  // empty: root
  };
  // The secret that `access_key` signs with. Nothing when there is no such key. Throws ApiError, in the words
  // of `dialect`, when a job's token is too old or was changed.
  std::optional<Caller> find(std::string_view access_key, std::string_view session_token, base::TimeMs now,
                             aws::Dialect dialect) const;

 private:
  std::string derive(std::string_view purpose, std::string_view data) const;
  aws::Credentials root_;
};

// Reads the key file of a data folder; throws NotFoundError when there is none yet.
aws::Credentials read_root_key(const std::string& path);

}  // namespace millrace::services
