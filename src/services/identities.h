// Who may call: the root key of a data folder, users' keys, and temporary credentials.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "aws/credentials.h"
#include "aws/sigv4_errors.h"
#include "base/time.h"
#include "iam/directory.h"
#include "services/caller.h"

namespace millrace::services {

// Temporary credentials are derived from the root secret, so nothing has to be stored and they work across
// restarts. Thread-safe.
class Identities {
 public:
  // Reads the root key from `path`, or makes a new one there (mode 0600, durable). `directory` knows the
  // users; without one there is only root. It outlives this object.
  static Identities load_or_create(const std::string& path, const iam::Directory* directory = nullptr);
  explicit Identities(aws::Credentials root, const iam::Directory* directory = nullptr)
      : root_(std::move(root)), directory_(directory), living_(std::make_unique<Living>()) {}

  const aws::Credentials& root() const { return root_; }

  // Credentials for a session, good until it expires; of a job also not longer than its attempt lives.
  aws::Credentials issue(const Session& session) const;

  // Attempts whose jobs may use their credentials. One that is not told of may not.
  void attempt_lives(uint64_t attempt);
  void attempt_ended(uint64_t attempt);

  // Who signs with `access_key`. Nothing when there is no such key, or it is inactive. Throws ApiError, in
  // the words of `dialect`, when a token is too old, was changed, or its job has ended.
  std::optional<Caller> find(std::string_view access_key, std::string_view session_token, base::TimeMs now,
                             aws::Dialect dialect) const;

  // A text that only this engine can have written, in letters and digits: what a job proves itself with.
  std::string seal(std::string_view purpose, std::string_view text) const;
  std::optional<std::string> unseal(std::string_view purpose, std::string_view sealed) const;
  bool lives(uint64_t attempt) const;

 private:
  struct Living {
    std::mutex mutex;
    std::unordered_set<uint64_t> attempts;
  };
  std::string derive(std::string_view purpose, std::string_view data) const;

  aws::Credentials root_;
  const iam::Directory* directory_;
  std::unique_ptr<Living> living_;
};

// Reads the key file of a data folder; throws NotFoundError when there is none yet.
aws::Credentials read_root_key(const std::string& path);

// A new id of an IAM thing or key: `prefix` ("AKIA", "AROA" …) and random letters, 20 in all.
std::string new_key_id(std::string_view prefix);

}  // namespace millrace::services
