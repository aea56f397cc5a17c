#include "services/events.h"

#include <fmt/format.h>

#include <memory>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/random.h"
#include "events/test_pattern.h"
#include "services/events_operations.h"

namespace millrace::services {

namespace json = base::json;

namespace {

constexpr size_t kEntriesBytesMax = 256 * 1024;
constexpr size_t kTimeBytes = 14;  // that a Time counts

const EventsWriteOperation* find_write(std::string_view name) {
  for (const auto& list : {bus_writes(), rule_writes(), archive_writes(), connection_writes()})
    for (const EventsWriteOperation& operation : list)
      if (operation.name == name) return &operation;
  return nullptr;
}

const EventsReadOperation* find_read(std::string_view name) {
  for (const auto& list : {bus_reads(), rule_reads(), archive_reads(), connection_reads(), absent_reads()})
    for (const EventsReadOperation& operation : list)
      if (operation.name == name) return &operation;
  return nullptr;
}

json::object test_event_pattern(const json::object& input) {
  return {{"Result", events::test_event_pattern(text_of(input, "EventPattern"), text_of(input, "Event"))}};
}

json::object failed_entry(const char* code, const std::string& message) {
  return {{"ErrorCode", code}, {"ErrorMessage", message}};
}

// The entry as an event, or why it is none.
std::variant<events::Event, json::object> read_entry(const json::object& entry, const events::Place& place,
                                                     base::TimeMs now) {
  events::EventFields fields;
  fields.source = text_of(entry, "Source");
  fields.detail_type = text_of(entry, "DetailType");
  fields.detail = text_of(entry, "Detail");
  for (const auto& [name, value] :
       {std::pair("Source", &fields.source), std::pair("DetailType", &fields.detail_type),
        std::pair("Detail", &fields.detail)})
    if (value->empty())
      return failed_entry(
          "InvalidArgument",
          fmt::format("Parameter {} is not valid. Reason: {} is a required argument.", name, name));
  if (fields.source.starts_with("aws."))
    return failed_entry("NotAuthorizedForSource", "Not authorized for the source.");
  try {
    if (!base::parse_json(fields.detail, events::kDetailDepthMax).is_object())
      return failed_entry("MalformedDetail", "Detail is malformed.");
  } catch (const base::CorruptError&) {
    return failed_entry("MalformedDetail", "Detail is malformed.");
  }
  fields.time = base::find_int(entry, "Time").value_or(now);
  if (const json::array* resources = base::find_array(entry, "Resources"))
    for (const json::value& resource : *resources)
      fields.resources.emplace_back(base::view(resource.as_string()));
  return events::make_event(fields, place, events::Registry::bus_name(text_of(entry, "EventBusName")));
}

size_t size_of(const json::object& entry) {
  size_t size = base::find(entry, "Time") ? kTimeBytes : 0;
  for (const char* name : {"Source", "DetailType", "Detail"}) size += text_of(entry, name).size();
  if (const json::array* resources = base::find_array(entry, "Resources"))
    for (const json::value& resource : *resources) size += resource.as_string().size();
  return size;
}

}  // namespace

std::exception_ptr events_api_error(std::exception_ptr error, const char* internal_code) {
  if (!error) return error;
  try {
    std::rethrow_exception(error);
  } catch (const aws::ApiError&) {
    return error;
  } catch (const base::Error& e) {
    const bool usage = e.kind() == base::ErrorKind::kUsage;
    std::string code = e.code();
    if (code.empty()) code = usage ? "ValidationException" : internal_code;
    return std::make_exception_ptr(aws::ApiError(usage ? 400 : 500, code, e.what()));
  } catch (const std::exception&) {
    return error;
  }
}

json::array tag_list(const json::object& tags) {
  json::array out;
  for (const auto& [key, value] : tags) out.push_back(json::object{{"Key", key}, {"Value", value}});
  return out;
}

void add_tags(json::object& tags, const json::object& input) {
  constexpr size_t kTagsMax = 50;
  const json::array* given = base::find_array(input, "Tags");
  if (!given) return;
  json::object merged = tags;
  for (const json::value& tag : *given) merged[tag.at("Key").as_string()] = tag.at("Value");
  if (merged.size() > kTagsMax) limit_exceeded();
  tags = std::move(merged);
}

void remove_tags(json::object& tags, const json::object& input) {
  if (const json::array* keys = base::find_array(input, "TagKeys"))
    for (const json::value& key : *keys) tags.erase(key.as_string());
}

bool EventsService::implements(std::string_view operation) {
  return operation == "PutEvents" || operation == "TestEventPattern" || find_write(operation) ||
         find_read(operation);
}

void EventsService::call(const aws::Operation& operation, json::object input, Reply reply) {
  auto done = [reply = std::move(reply)](json::object answer, std::exception_ptr error) {
    reply(std::move(answer), events_api_error(error, "InternalException"));
  };
  try {
    if (operation.name == "TestEventPattern") return done(test_event_pattern(input), nullptr);
    if (operation.name == "PutEvents") return put_events(input, done);
  } catch (...) {
    return done({}, std::current_exception());
  }
  auto shared = std::make_shared<const json::object>(std::move(input));
  if (const EventsWriteOperation* write = find_write(operation.name))
    return hub_.change(
        [run = write->run, shared](events::Registry& registry, events::EventChanges& changes,
                                   base::TimeMs now) {
          EventsWrite call{*shared, registry, changes, now};
          return run(call);
        },
        std::move(done));
  const EventsReadOperation* read = find_read(operation.name);
  hub_.read(
      [run = read->run, shared](events::Registry& registry, events::EventStore& store) {
        EventsRead call{*shared, registry, store};
        return run(call);
      },
      std::move(done));
}

// The buses are looked up first: an entry for one that is not there fails, and says so.
void EventsService::put_events(const json::object& input, const Reply& reply) {
  const json::array& entries = input.at("Entries").as_array();
  size_t bytes = 0;
  for (const json::value& entry : entries) bytes += size_of(entry.as_object());
  if (bytes > kEntriesBytesMax) events_invalid("Total size of the entries in the request is over the limit.");
  auto results = std::make_shared<json::array>();
  std::vector<events::Event> taken;
  const base::TimeMs now = hub_.clock().now_ms();
  for (const json::value& entry : entries) {
    auto read = read_entry(entry.as_object(), hub_.place(), now);
    if (auto* failure = std::get_if<json::object>(&read)) {
      results->push_back(std::move(*failure));
    } else {
      taken.push_back(std::get<events::Event>(std::move(read)));
      results->push_back(json::object{{"EventId", taken.back().id}, {"bus", taken.back().bus}});
    }
  }
  hub_.accept(std::move(taken), [results, reply](json::object missing, std::exception_ptr error) {
    if (error) return reply({}, error);
    int64_t failed = 0;
    for (json::value& value : *results) {
      json::object& result = value.as_object();
      if (auto bus = base::find_string(result, "bus"); bus && missing.contains(*bus))
        result = failed_entry("ResourceNotFoundException", fmt::format("Event bus {} does not exist.", *bus));
      result.erase("bus");
      failed += result.contains("ErrorCode") ? 1 : 0;
    }
    reply({{"FailedEntryCount", failed}, {"Entries", std::move(*results)}}, nullptr);
  });
}

}  // namespace millrace::services
