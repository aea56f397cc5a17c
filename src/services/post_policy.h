// The policy of a POST form: what its signer allows the form to say (S3 API reference, "POST Policy").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "services/multipart_form.h"

namespace millrace::services {

class PostPolicy {
 public:
  // Takes the base64 text of the field. Throws ApiError InvalidPolicyDocument.
  explicit PostPolicy(std::string_view base64);
  // Throws AccessDenied when the policy has expired, a condition does not hold, or a field has none. `fields`
  // include "bucket", and "key" with ${filename} replaced.
  void check(const FormFields& fields, base::TimeMs now) const;
  // Throws EntityTooSmall or EntityTooLarge.
  void check_size(uint64_t bytes) const;
  // Above this many bytes no file is allowed.
  uint64_t bytes_max() const { return bytes_max_; }

 private:
  struct Condition {
    bool prefix = false;  // starts-with, else eq
    std::string field;    // lower case
    std::string value;
    std::string text;  // as it stands in the policy, for messages
  };
  base::TimeMs expires_ = 0;
  std::vector<Condition> conditions_;
  uint64_t bytes_min_ = 0, bytes_max_ = UINT64_MAX;
};

}  // namespace millrace::services
