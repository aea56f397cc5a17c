#include "services/scheduler.h"

#include <memory>
#include <optional>

#include "base/error.h"
#include "events/target_request.h"
#include "services/events_operations.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using events::Kind;
using events::Registry;
using events::ScheduledCall;

constexpr int64_t kRetriesMax = 185, kAgeMaxSeconds = 86'400, kAgeMinSeconds = 60, kWindowMaxMinutes = 1440;

[[noreturn]] void not_found(const std::string& what, const std::string& name) {
  throw aws::ApiError(404, "ResourceNotFoundException", fmt::format("{} {} does not exist.", what, name));
}
[[noreturn]] void conflict(const std::string& what, const std::string& name) {
  throw aws::ApiError(409, "ConflictException", fmt::format("{} {} already exists.", what, name));
}

std::string group_of(const json::object& input) {
  std::string group = text_of(input, "GroupName");
  return group.empty() ? "default" : group;
}

json::object& required_group(Registry& registry, const std::string& name) {
  auto found = registry.groups.find(name);
  if (found == registry.groups.end()) not_found("Schedule group", name);
  return found->second;
}

ScheduledCall& required_schedule(Registry& registry, const json::object& input) {
  auto found = registry.schedules.find(group_of(input) + "/" + text_of(input, "Name"));
  if (found == registry.schedules.end()) not_found("Schedule", text_of(input, "Name"));
  return found->second;
}

// The input as it is kept, with the defaults that AWS shows.
json::object checked_body(const json::object& input) {
  json::object body;
  copy_members(input, body,
               {"ActionAfterCompletion", "Description", "EndDate", "FlexibleTimeWindow", "KmsKeyArn",
                "ScheduleExpression", "ScheduleExpressionTimezone", "StartDate", "Target"});
  if (!body.contains("ActionAfterCompletion")) body["ActionAfterCompletion"] = "NONE";
  if (!body.contains("ScheduleExpressionTimezone")) body["ScheduleExpressionTimezone"] = "UTC";
  const json::object& window = body["FlexibleTimeWindow"].as_object();
  auto minutes = base::find_int(window, "MaximumWindowInMinutes");
  if (text_of(window, "Mode") == "FLEXIBLE") {
    if (!minutes || *minutes < 1 || *minutes > kWindowMaxMinutes)
      events_invalid("MaximumWindowInMinutes must be between 1 and 1440 when Mode is FLEXIBLE.");
  } else if (minutes) {
    events_invalid("MaximumWindowInMinutes must not be given when Mode is OFF.");
  }
  auto from = base::find_int(body, "StartDate"), until = base::find_int(body, "EndDate");
  if (from && until && *from >= *until) events_invalid("The StartDate must come before the EndDate.");
  json::object& target = body["Target"].as_object();
  events::check_schedule_target(target);
  json::object policy{{"MaximumEventAgeInSeconds", kAgeMaxSeconds}, {"MaximumRetryAttempts", kRetriesMax}};
  if (const json::object* given = base::find_object(target, "RetryPolicy"))
    for (const auto& [key, value] : *given) policy[key] = value;
  if (const auto age = policy.at("MaximumEventAgeInSeconds").as_int64();
      age < kAgeMinSeconds || age > kAgeMaxSeconds)
    events_invalid("MaximumEventAgeInSeconds must be between 60 and 86400.");
  target["RetryPolicy"] = std::move(policy);
  return body;
}

json::object put_schedule(EventsWrite& call, bool create) {
  const std::string group = group_of(call.input), name = text_of(call.input, "Name");
  required_group(call.registry, group);
  const std::string key = group + "/" + name;
  auto found = call.registry.schedules.find(key);
  if (create && found != call.registry.schedules.end()) {
    // SDKs send the same token again when they did not hear the answer.
    const std::string token = text_of(call.input, "ClientToken");
    if (!token.empty() && text_of(found->second.body, "ClientToken") == token)
      return {{"ScheduleArn", call.registry.schedule_arn(found->second)}};
    conflict("Schedule", name);
  }
  if (!create && found == call.registry.schedules.end()) not_found("Schedule", name);
  json::object body = checked_body(call.input);
  std::optional<events::Schedule> schedule;
  try {
    schedule = events::parse_schedule(body);
  } catch (const base::NotFoundError&) {
    events_invalid(fmt::format("The provided ScheduleExpressionTimezone is invalid."));
  }
  if (create) copy_members(call.input, body, {"ClientToken"});
  ScheduledCall& made = call.registry.schedules[key];
  made.group = group;
  made.name = name;
  made.body = std::move(body);
  made.schedule = std::move(schedule);
  made.enabled = text_of(call.input, "State") != "DISABLED";
  if (create) made.created = call.now;
  made.modified = call.now;
  call.registry.touch(Kind::kSchedule, key);
  return {{"ScheduleArn", call.registry.schedule_arn(made)}};
}
json::object create_schedule(EventsWrite& call) { return put_schedule(call, true); }
json::object update_schedule(EventsWrite& call) { return put_schedule(call, false); }

json::object delete_schedule(EventsWrite& call) {
  const std::string key = required_schedule(call.registry, call.input).key();
  call.registry.schedules.erase(key);
  call.registry.touch(Kind::kSchedule, key);
  return {};
}

json::object get_schedule(EventsRead& call) {
  const ScheduledCall& schedule = required_schedule(call.registry, call.input);
  json::object out = schedule.body;
  out.erase("ClientToken");
  out["Arn"] = call.registry.schedule_arn(schedule);
  out["Name"] = schedule.name;
  out["GroupName"] = schedule.group;
  out["State"] = schedule.enabled ? "ENABLED" : "DISABLED";
  out["CreationDate"] = schedule.created;
  out["LastModificationDate"] = schedule.modified;
  return out;
}

json::object list_schedules(EventsRead& call) {
  const std::string group = text_of(call.input, "GroupName"), state = text_of(call.input, "State"),
                    name_prefix = text_of(call.input, "NamePrefix");
  if (!group.empty()) required_group(call.registry, group);
  json::object input = call.input;
  input["NamePrefix"] = group.empty() ? "" : group + "/" + name_prefix;
  return page_of(input, call.registry.schedules, "Schedules",
                 [&](const std::string&, const ScheduledCall& schedule) -> json::object {
                   if (!schedule.name.starts_with(name_prefix)) return {};
                   const char* shown = schedule.enabled ? "ENABLED" : "DISABLED";
                   if (!state.empty() && state != shown) return {};
                   return {{"Arn", call.registry.schedule_arn(schedule)},
                           {"Name", schedule.name},
                           {"GroupName", schedule.group},
                           {"State", shown},
                           {"CreationDate", schedule.created},
                           {"LastModificationDate", schedule.modified},
                           {"Target", json::object{{"Arn", schedule.body.at("Target").at("Arn")}}}};
                 });
}

std::string group_arn(const Registry& registry, const std::string& name) {
  return registry.place.arn("scheduler", "schedule-group/" + name);
}

json::object create_group(EventsWrite& call) {
  const std::string name = text_of(call.input, "Name");
  if (auto found = call.registry.groups.find(name); found != call.registry.groups.end()) {
    const std::string token = text_of(call.input, "ClientToken");
    if (!token.empty() && text_of(found->second, "ClientToken") == token)
      return {{"ScheduleGroupArn", group_arn(call.registry, name)}};
    conflict("Schedule group", name);
  }
  json::object tags;
  add_tags(tags, call.input);
  json::object& group = call.registry.groups[name];
  copy_members(call.input, group, {"ClientToken"});
  group["tags"] = std::move(tags);
  group["CreationDate"] = group["LastModificationDate"] = call.now;
  call.registry.touch(Kind::kGroup, name);
  return {{"ScheduleGroupArn", group_arn(call.registry, name)}};
}

json::object delete_group(EventsWrite& call) {
  const std::string name = text_of(call.input, "Name");
  if (name == "default") events_invalid("Deleting default schedule group is not allowed.");
  required_group(call.registry, name);
  const std::string prefix = name + "/";
  for (auto schedule = call.registry.schedules.lower_bound(prefix);
       schedule != call.registry.schedules.end() && schedule->first.starts_with(prefix);) {
    call.registry.touch(Kind::kSchedule, schedule->first);
    schedule = call.registry.schedules.erase(schedule);
  }
  call.registry.groups.erase(name);
  call.registry.touch(Kind::kGroup, name);
  return {};
}

json::object show_group(const Registry& registry, const std::string& name, const json::object& group) {
  json::object out{{"Arn", group_arn(registry, name)}, {"Name", name}, {"State", "ACTIVE"}};
  copy_members(group, out, {"CreationDate", "LastModificationDate"});
  return out;
}

json::object get_group(EventsRead& call) {
  const std::string name = text_of(call.input, "Name");
  return show_group(call.registry, name, required_group(call.registry, name));
}

json::object list_groups(EventsRead& call) {
  return page_of(call.input, call.registry.groups, "ScheduleGroups",
                 [&](const std::string& name, const json::object& group) {
                   return show_group(call.registry, name, group);
                 });
}

// The group that ResourceArn names.
std::string tagged_group(Registry& registry, const json::object& input) {
  const std::string arn = text_of(input, "ResourceArn");
  const std::string name = arn.substr(arn.rfind('/') + 1);
  required_group(registry, name);
  return name;
}

json::object tag_group(EventsWrite& call) {
  const std::string name = tagged_group(call.registry, call.input);
  json::object& group = call.registry.groups[name];
  json::object tags = base::find_object(group, "tags") ? group["tags"].as_object() : json::object();
  add_tags(tags, call.input);
  group["tags"] = std::move(tags);
  call.registry.touch(Kind::kGroup, name);
  return {};
}

json::object untag_group(EventsWrite& call) {
  const std::string name = tagged_group(call.registry, call.input);
  json::object& group = call.registry.groups[name];
  if (base::find_object(group, "tags")) remove_tags(group["tags"].as_object(), call.input);
  call.registry.touch(Kind::kGroup, name);
  return {};
}

json::object list_group_tags(EventsRead& call) {
  const json::object& group = call.registry.groups.at(tagged_group(call.registry, call.input));
  const json::object* tags = base::find_object(group, "tags");
  return {{"Tags", tags ? tag_list(*tags) : json::array()}};
}

constexpr EventsWriteOperation kWrites[] = {
    {"CreateSchedule", create_schedule},   {"UpdateSchedule", update_schedule},
    {"DeleteSchedule", delete_schedule},   {"CreateScheduleGroup", create_group},
    {"DeleteScheduleGroup", delete_group}, {"TagResource", tag_group},
    {"UntagResource", untag_group},
};
constexpr EventsReadOperation kReads[] = {
    {"GetSchedule", get_schedule},
    {"ListSchedules", list_schedules},
    {"GetScheduleGroup", get_group},
    {"ListScheduleGroups", list_groups},
    {"ListTagsForResource", list_group_tags},
};

template <typename List>
auto find_in(const List& list, std::string_view name) -> decltype(&list[0]) {
  for (const auto& operation : list)
    if (operation.name == name) return &operation;
  return nullptr;
}

}  // namespace

bool SchedulerService::implements(std::string_view operation) {
  return find_in(kWrites, operation) || find_in(kReads, operation);
}

void SchedulerService::call(const aws::Operation& operation, json::object input, Reply reply) {
  auto done = [reply = std::move(reply)](json::object answer, std::exception_ptr error) {
    reply(std::move(answer), events_api_error(error, "InternalServerException"));
  };
  auto shared = std::make_shared<const json::object>(std::move(input));
  if (const EventsWriteOperation* write = find_in(kWrites, operation.name))
    return hub_.change(
        [run = write->run, shared](Registry& registry, events::EventChanges& changes, base::TimeMs now) {
          EventsWrite call{*shared, registry, changes, now};
          return run(call);
        },
        std::move(done));
  hub_.read(
      [run = find_in(kReads, operation.name)->run, shared](Registry& registry, events::EventStore& store) {
        EventsRead call{*shared, registry, store};
        return run(call);
      },
      std::move(done));
}

}  // namespace millrace::services
