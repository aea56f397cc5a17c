#include "events/event.h"

#include <fmt/format.h>

#include "base/random.h"
#include "events/json_path.h"

namespace millrace::events {

std::string Place::arn(std::string_view service, std::string_view resource) const {
  const char* partition = region.starts_with("cn-")       ? "aws-cn"
                          : region.starts_with("us-gov-") ? "aws-us-gov"
                                                          : "aws";
  return fmt::format("arn:{}:{}:{}:{}:{}", partition, service, region, account, resource);
}

Event make_event(const EventFields& fields, const Place& place, std::string_view bus) {
  Event event;
  event.id = fields.id.empty() ? base::uuid4() : fields.id;
  event.bus = bus;
  event.source = fields.source;
  event.detail_type = fields.detail_type;
  event.time = fields.time;
  std::string resources;
  for (const std::string& resource : fields.resources)
    resources += (resources.empty() ? "" : ",") + encode_json_string(resource);
  event.body = fmt::format(
      R"({{"version":"0","id":"{}","detail-type":{},"source":{},"account":"{}","time":"{}","region":"{}",)"
      R"("resources":[{}],"detail":{}}})",
      event.id, encode_json_string(fields.detail_type), encode_json_string(fields.source), place.account,
      base::iso8601(fields.time), place.region, resources, fields.detail);
  return event;
}

Event replayed(const Event& event, std::string_view replay) {
  Event copy = event;
  copy.replay = true;
  copy.body.pop_back();  // the brace
  copy.body += fmt::format(",\"replay-name\":{}}}", encode_json_string(replay));
  return copy;
}

}  // namespace millrace::events
