// The canonical request of Signature Version 4, shared by signing and checking.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace millrace::aws {

struct CanonicalInput {
  std::string_view method;
  std::string_view path;   // as on the wire
  std::string_view query;  // as on the wire; X-Amz-Signature is left out
  const http::Headers& headers;
  const std::vector<std::string>& signed_headers;  // lower case, in the order to be used
  std::string_view payload_hash;
  bool is_s3;  // path encoded once and never normalised
};

std::string canonical_request(const CanonicalInput& input);
std::string canonical_path(std::string_view path, bool is_s3);
std::string canonical_query(std::string_view query);

}  // namespace millrace::aws
