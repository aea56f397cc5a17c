#include "cli/log_lines.h"

#include <utility>

#include "aws/api_error.h"
#include "base/json.h"

namespace millrace::cli {

namespace json = base::json;

bool LogLines::read_new(const std::function<void(std::string_view line)>& take) {
  bool any = false;
  for (;;) {
    json::object input{{"logGroupName", group_}, {"logStreamName", stream_}, {"startFromHead", true}};
    if (!token_.empty()) input["nextToken"] = token_;
    json::object page;
    try {
      page = api_.logs("GetLogEvents", input);
    } catch (const aws::ApiError& error) {
      if (error.code().find("ResourceNotFoundException") != std::string::npos) return any;
      throw;
    }
    for (const json::value& event : page.at("events").as_array()) {
      take(base::find_string(event.as_object(), "message").value_or(""));
      any = true;
    }
    const std::string before =
        std::exchange(token_, std::string(base::find_string(page, "nextForwardToken").value_or("")));
    if (token_ == before || page.at("events").as_array().empty()) return any;
  }
}

}  // namespace millrace::cli
