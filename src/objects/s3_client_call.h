// One request of the S3 client; sent as often as it takes. Internal to the client.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "objects/s3_client.h"

namespace millrace::objects {

struct S3Client::Call {
  std::string method;
  std::string_view key;  // empty: of the bucket
  std::string query;
  http::Headers headers;
  std::string_view body;
  // Instead of `body`: `upload_size` bytes of a file from `offset`, whose SHA-256 in hex is known.
  int file = -1;
  uint64_t offset = 0, upload_size = 0;
  std::string payload_sha256;
  // Before every attempt; may change the headers.
  std::function<void()> restart;
  std::function<void(int status, const http::Headers& headers)> on_head;
  std::function<bool(std::string_view)> on_body;
  // An answer of 200 may be an error all the same (copies and completions).
  bool error_in_success = false;
  bool outside_gate = false;
  // Statuses that are an answer and not an error.
  std::vector<int> accepted;
};

// What a <CopyObjectResult> says, with the version of the answer's head; without an ETag when it is none.
CopyResult copy_result(const http::ClientResponse& response);

// pread until `length` bytes are there. Throws TransientError, and ConflictError when the file is shorter.
void read_exactly(int file, uint64_t offset, char* out, size_t length);

// Calls `work` for 0 … count-1, `threads` at a time; after the first exception no further one is begun, and
// it is thrown again.
void in_parallel(size_t count, unsigned threads, const std::function<void(size_t)>& work);

}  // namespace millrace::objects
