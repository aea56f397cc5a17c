// Typed errors, thrown where something goes wrong and caught at the edge that can act:
// the request handler, the item loop of a workload, main. A message says what, where, and what to do.
#pragma once

#include <stdexcept>
#include <string>

namespace millrace::base {

enum class ErrorKind { kUsage, kNotFound, kConflict, kDenied, kTransient, kCorrupt, kInternal };

// Every error thrown by Millrace. `code` is a short machine-readable name (an AWS error code where there is
// one), empty when nobody needs it.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, std::string code = "")
      : std::runtime_error(message), kind_(kind), code_(std::move(code)) {}
  ErrorKind kind() const { return kind_; }
  const std::string& code() const { return code_; }

 private:
  ErrorKind kind_;
  std::string code_;
};

// The caller asked for something that makes no sense (exit 2, HTTP 400).
struct UsageError : Error {
  explicit UsageError(const std::string& m, std::string code = "")
      : Error(ErrorKind::kUsage, m, std::move(code)) {}
};
struct NotFoundError : Error {
  explicit NotFoundError(const std::string& m, std::string code = "")
      : Error(ErrorKind::kNotFound, m, std::move(code)) {}
};
// The thing exists already, or changed under the caller.
struct ConflictError : Error {
  explicit ConflictError(const std::string& m, std::string code = "")
      : Error(ErrorKind::kConflict, m, std::move(code)) {}
};
struct DeniedError : Error {
  explicit DeniedError(const std::string& m, std::string code = "")
      : Error(ErrorKind::kDenied, m, std::move(code)) {}
};
// May succeed when tried again: a time-out, a busy server, a full disk.
struct TransientError : Error {
  explicit TransientError(const std::string& m, std::string code = "")
      : Error(ErrorKind::kTransient, m, std::move(code)) {}
};
// Bytes that do not follow their format.
struct CorruptError : Error {
  explicit CorruptError(const std::string& m, std::string code = "")
      : Error(ErrorKind::kCorrupt, m, std::move(code)) {}
};
struct InternalError : Error {
  explicit InternalError(const std::string& m, std::string code = "")
      : Error(ErrorKind::kInternal, m, std::move(code)) {}
};

// "open /x/y: No such file or directory": the text for a failed system call, from `error_number` (errno).
std::string system_message(const std::string& what, int error_number);

}  // namespace millrace::base
