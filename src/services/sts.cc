#include "services/sts.h"

namespace millrace::services {

bool sts_implements(std::string_view operation) { return operation == "GetCallerIdentity"; }

base::json::object sts_call(const aws::Operation&, const std::string& principal,
                            const std::string& access_key, const std::string& account) {
  base::json::object out;
  out["Account"] = account;
  if (principal == account) {
    out["UserId"] = account;
    out["Arn"] = "arn:aws:iam::" + account + ":root";
  } else {
    out["UserId"] = access_key + ":" + principal;
    out["Arn"] = "arn:aws:sts::" + account + ":assumed-role/millrace-job/" + principal;
  }
  return out;
}

}  // namespace millrace::services
