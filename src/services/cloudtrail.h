// What CloudTrail records of a call, and its LookupEvents.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "audit/audit_log.h"
#include "aws/model.h"
#include "base/json.h"
#include "http/message.h"
#include "services/authorizer.h"

namespace millrace::services {

// Thread-safe. What is passed in outlives it.
class CloudTrailService {
 public:
  CloudTrailService(audit::AuditLog& log, const Authorizer& authorizer, const base::Clock& clock,
                    std::string account, std::string region);
  static bool implements(std::string_view operation) { return operation == "LookupEvents"; }
  base::json::object call(const aws::Operation& operation, const base::json::object& input);

  // Whether a call is recorded: those that change something, as CloudTrail's management events are. Calls
  // that carry data (objects, log events, events) and reads are not.
  static bool is_recorded(const aws::Operation& operation);
  // Gives what answers in the place of `respond`, and records the call when that is used. `input` is copied
  // without what is sensitive.
  http::Respond watch(const aws::Operation& operation, const http::RequestHead& head, const Caller& caller,
                      const base::json::object& input, const std::string& request_id, http::Respond respond);
  // Records a call that was refused before it came so far.
  void refused(const aws::Operation& operation, const http::RequestHead& head, const Caller& caller,
               const std::string& code, const std::string& message);

 private:
  struct Call;
  std::shared_ptr<Call> note(const aws::Operation& operation, const http::RequestHead& head,
                             const Caller& caller) const;
  void record(std::shared_ptr<Call> call);

  audit::AuditLog& log_;
  const Authorizer& authorizer_;
  const base::Clock& clock_;
  std::string account_, region_;
};

}  // namespace millrace::services
