// CloudWatch Logs: putting, reading, filtering and tailing of events.
#include <algorithm>
#include <optional>
#include <vector>

#include "aws/api_error.h"
#include "aws/protocol.h"
#include "base/error.h"
#include "base/random.h"
#include "base/strings.h"
#include "services/logs.h"
#include "services/logs_input.h"

namespace millrace::services {

using namespace logs_input;

namespace {

namespace json = base::json;

// Limits of PutLogEvents (CloudWatch Logs API reference); an event counts its UTF-8 bytes and 26 more.
constexpr size_t kBatchBytesMax = 1'048'576;
constexpr size_t kEventBytesMax = 1'048'576;
constexpr size_t kEventOverheadBytes = 26;
constexpr base::TimeMs kBatchSpanMs = 24 * 3'600'000;
constexpr size_t kEventsLimit = 10'000;
constexpr size_t kTailedGroupsMax = 10;

}  // namespace

logs::FilterPattern LogsService::pattern_of(const Input& input, std::string_view name) {
  try {
    return logs::FilterPattern::parse(text(input, name));
  } catch (const base::UsageError& error) {
    invalid(error.what());
  }
}

json::object LogsService::put_log_events(const Input& input) {
  std::vector<logs::InputEvent> events;
  size_t batch_bytes = 0;
  const json::array* given = base::find_array(input, "logEvents");
  if (given == nullptr)
    invalid(
        "1 validation error detected: Value null at 'logEvents' failed to satisfy constraint: "
        "Member must not be null");
  events.reserve(given->size());
  for (const json::value& value : *given) {
    const json::object& event = value.as_object();
    const std::string_view message = base::find_string(event, "message").value_or("");
    const base::TimeMs timestamp = base::find_int(event, "timestamp").value_or(0);
    const size_t bytes = message.size() + kEventOverheadBytes;
    if (bytes > kEventBytesMax)
      invalid("Log event too large: " + std::to_string(bytes) + " bytes exceeds limit of " +
              std::to_string(kEventBytesMax));
    if (!events.empty() && timestamp < events.back().timestamp)
      invalid("Log events in a single PutLogEvents request must be in chronological order.");
    batch_bytes += bytes;
    events.push_back({timestamp, message});
  }
  if (batch_bytes > kBatchBytesMax)
    invalid("Upload too large: " + std::to_string(batch_bytes) + " bytes exceeds limit of " +
            std::to_string(kBatchBytesMax));
  if (!events.empty() && events.back().timestamp - events.front().timestamp > kBatchSpanMs)
    invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");

  logs::Rejections rejections =
      store_.put_events(text(input, "logGroupName"), text(input, "logStreamName"), events);
  Output output{{"nextSequenceToken", kSequenceToken}};
  json::object rejected;
  auto tell = [&](const char* name, const std::optional<size_t>& index) {
    if (index) rejected[name] = static_cast<int64_t>(*index);
  };
  tell("tooNewLogEventStartIndex", rejections.too_new_start);
  tell("tooOldLogEventEndIndex", rejections.too_old_end);
  tell("expiredLogEventEndIndex", rejections.expired_end);
  if (!rejected.empty()) output["rejectedLogEventsInfo"] = std::move(rejected);
  return output;
}

json::object LogsService::get_log_events(const Input& input) {
  logs::GetQuery query;
  query.group = group_of(input);
  query.stream = text(input, "logStreamName");
  query.from = base::find_int(input, "startTime");
  query.until = base::find_int(input, "endTime");
  query.from_head = base::find_bool(input, "startFromHead").value_or(false);
  query.limit = limit_of(input, kEventsLimit);
  query.token = text(input, "nextToken");
  logs::GetPage page = store_.get_events(query);
  json::array events;
  events.reserve(page.events.size());
  for (const logs::Event& event : page.events)
    events.push_back(json::object{{"timestamp", event.key.timestamp},
                                  {"message", base::to_utf8(event.message)},
                                  {"ingestionTime", event.key.ingestion}});
  return {{"events", std::move(events)},
          {"nextForwardToken", page.forward},
          {"nextBackwardToken", page.backward}};
}

json::object LogsService::filter_log_events(const Input& input) {
  logs::FilterQuery query;
  query.group = group_of(input);
  query.streams = strings_of(input, "logStreamNames");
  query.prefix = text(input, "logStreamNamePrefix");
  if (!query.streams.empty() && !query.prefix.empty())
    invalid("The parameters logStreamNames and logStreamNamePrefix are mutually exclusive.");
  query.from = base::find_int(input, "startTime");
  query.to = base::find_int(input, "endTime");
  query.newest_first = !base::find_bool(input, "startFromHead").value_or(true);
  query.limit = limit_of(input, kEventsLimit);
  query.token = text(input, "nextToken");
  query.pattern = pattern_of(input, "filterPattern");
  logs::FilterPage page = store_.filter_events(query);
  json::array events;
  events.reserve(page.events.size());
  for (const logs::Event& event : page.events)
    events.push_back(json::object{{"logStreamName", *event.stream},
                                  {"timestamp", event.key.timestamp},
                                  {"message", base::to_utf8(event.message)},
                                  {"ingestionTime", event.key.ingestion},
                                  {"eventId", event.key.event_id()}});
  Output output{{"events", std::move(events)}, {"searchedLogStreams", json::array{}}};
  if (!page.next.empty()) output["nextToken"] = page.next;
  return output;
}

http::Response LogsService::start_live_tail(const aws::Operation& operation, const Input& input,
                                            const std::string& request_id) {
  LiveTailRequest request;
  request.group_identifiers = strings_of(input, "logGroupIdentifiers");
  request.query.streams = strings_of(input, "logStreamNames");
  request.query.prefixes = strings_of(input, "logStreamNamePrefixes");
  const size_t groups = request.group_identifiers.size();
  if (groups == 0 || groups > kTailedGroupsMax)
    invalid("A Live Tail session has 1 to " + std::to_string(kTailedGroupsMax) + " log groups.");
  if (!request.query.streams.empty() && !request.query.prefixes.empty())
    invalid("The parameters logStreamNames and logStreamNamePrefixes are mutually exclusive.");
  if (groups > 1 && !(request.query.streams.empty() && request.query.prefixes.empty()))
    invalid("logStreamNames and logStreamNamePrefixes can be specified only with one log group.");
  for (const std::string& identifier : request.group_identifiers) {
    request.query.groups.push_back(group_of_identifier(identifier));
    if (!store_.has_group(request.query.groups.back()))
      throw aws::ApiError(400, "ResourceNotFoundException", "The specified log group does not exist.");
  }
  try {
    request.query.pattern = logs::FilterPattern::parse(text(input, "logEventFilterPattern"));
  } catch (const base::UsageError& error) {
    const std::string words = error.what();
    invalid(words.starts_with("Invalid filter pattern") ? words : "Invalid filter pattern: " + words);
  }
  request.start = {{"requestId", request_id}, {"sessionId", base::uuid4()}};
  for (const char* name :
       {"logGroupIdentifiers", "logStreamNames", "logStreamNamePrefixes", "logEventFilterPattern"})
    if (const json::value* given = base::find(input, name)) request.start[name] = *given;

  http::Response response = aws::encode(operation, {}, request_id);
  response.body.clear();
  response.headers.set("Content-Type", "application/vnd.amazon.eventstream");
  response.live = tails_.start(std::move(request));
  return response;
}

}  // namespace millrace::services
