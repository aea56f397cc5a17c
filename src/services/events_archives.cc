// Archives of a bus's events, and their replays.
#include "base/error.h"
#include "events/pattern.h"
#include "services/events_operations.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using events::Kind;
using events::Registry;

constexpr int kReplaysActiveMax = 10;

json::object& required_archive(Registry& registry, const std::string& name) {
  auto found = registry.archives.find(name);
  if (found == registry.archives.end())
    events_error("ResourceNotFoundException", fmt::format("Archive {} does not exist.", name));
  return found->second;
}

json::object create_archive(EventsWrite& call) {
  const std::string name = text_of(call.input, "ArchiveName"), source = text_of(call.input, "EventSourceArn");
  if (call.registry.archives.contains(name))
    events_error("ResourceAlreadyExistsException", fmt::format("Archive {} already exists.", name));
  required_bus(call.registry, source);
  if (auto pattern = base::find_string(call.input, "EventPattern"); pattern && !pattern->empty())
    events::parse_pattern(*pattern);
  json::object& archive = call.registry.archives[name];
  copy_members(call.input, archive, {"EventSourceArn", "Description", "EventPattern", "KmsKeyIdentifier"});
  if (text_of(archive, "EventPattern").empty()) archive.erase("EventPattern");
  archive["RetentionDays"] = base::find_int(call.input, "RetentionDays").value_or(0);
  archive["CreationTime"] = call.now;
  call.registry.apply_archive(name);
  call.registry.touch(Kind::kArchive, name);
  return {{"ArchiveArn", call.registry.archive_arn(name)}, {"State", "ENABLED"}, {"CreationTime", call.now}};
}

json::object update_archive(EventsWrite& call) {
  const std::string name = text_of(call.input, "ArchiveName");
  auto pattern = base::find_string(call.input, "EventPattern");
  if (!pattern && !base::find(call.input, "RetentionDays") && !base::find(call.input, "Description"))
    events_invalid("At least one of EventPattern, RetentionDays or Description must be provided.");
  json::object& archive = required_archive(call.registry, name);
  if (pattern) events::parse_pattern(*pattern);
  copy_members(call.input, archive, {"Description", "EventPattern", "RetentionDays", "KmsKeyIdentifier"});
  call.registry.drop_archive(name);
  call.registry.apply_archive(name);
  call.registry.touch(Kind::kArchive, name);
  return {{"ArchiveArn", call.registry.archive_arn(name)},
          {"State", "ENABLED"},
          {"CreationTime", archive.at("CreationTime")}};
}

json::object delete_archive(EventsWrite& call) {
  const std::string name = text_of(call.input, "ArchiveName");
  required_archive(call.registry, name);
  call.registry.drop_archive(name);
  call.registry.archives.erase(name);
  call.registry.touch(Kind::kArchive, name);
  call.changes.dropped_archives.push_back(name);
  return {};
}

json::object show_archive(EventsRead& call, const std::string& name, const json::object& archive) {
  json::object out = archive;
  out["ArchiveName"] = name;
  out["ArchiveArn"] = call.registry.archive_arn(name);
  out["State"] = "ENABLED";
  const auto [count, bytes] = call.store.archive_size(name);
  out["EventCount"] = count;
  out["SizeBytes"] = bytes;
  return out;
}

json::object describe_archive(EventsRead& call) {
  const std::string name = text_of(call.input, "ArchiveName");
  return show_archive(call, name, required_archive(call.registry, name));
}

json::object list_archives(EventsRead& call) {
  const std::string source = text_of(call.input, "EventSourceArn"), state = text_of(call.input, "State");
  if (!source.empty()) required_bus(call.registry, source);
  return page_of(call.input, call.registry.archives, "Archives",
                 [&](const std::string& name, const json::object& archive) -> json::object {
                   if (!source.empty() && text_of(archive, "EventSourceArn") != source) return {};
                   if (!state.empty() && state != "ENABLED") return {};
                   return show_archive(call, name, archive);
                 });
}

std::string replay_arn(const Registry& registry, const std::string& name) {
  return registry.place.arn("events", "replay/" + name);
}

bool is_active(const json::object& replay) {
  const std::string state = text_of(replay, "State");
  return state == "STARTING" || state == "RUNNING";
}

json::object start_replay(EventsWrite& call) {
  const std::string name = text_of(call.input, "ReplayName"), source = text_of(call.input, "EventSourceArn");
  const json::object& destination = call.input.at("Destination").as_object();
  required_bus(call.registry, text_of(destination, "Arn"));
  const std::string archive_name = source.substr(source.rfind('/') + 1);
  auto archive = call.registry.archives.find(archive_name);
  if (archive == call.registry.archives.end())
    events_invalid(fmt::format("Parameter EventSourceArn is not valid. Reason: Archive {} does not exist.",
                               archive_name));
  if (Registry::bus_name(text_of(archive->second, "EventSourceArn")) !=
      Registry::bus_name(text_of(destination, "Arn")))
    events_invalid(
        "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.");
  if (call.registry.replays.contains(name))
    events_error("ResourceAlreadyExistsException", fmt::format("Replay {} already exists.", name));
  const auto from = call.input.at("EventStartTime").as_int64(),
             until = call.input.at("EventEndTime").as_int64();
  if (from >= until)
    events_invalid(
        "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.");
  const auto active = std::count_if(call.registry.replays.begin(), call.registry.replays.end(),
                                    [](const auto& entry) { return is_active(entry.second); });
  if (active >= kReplaysActiveMax) limit_exceeded();
  json::object& replay = call.registry.replays[name];
  copy_members(call.input, replay,
               {"Description", "EventSourceArn", "Destination", "EventStartTime", "EventEndTime"});
  replay["State"] = "STARTING";
  replay["ReplayStartTime"] = call.now;
  call.registry.touch(Kind::kReplay, name);
  return {
      {"ReplayArn", replay_arn(call.registry, name)}, {"State", "STARTING"}, {"ReplayStartTime", call.now}};
}

json::object& required_replay(Registry& registry, const std::string& name) {
  auto found = registry.replays.find(name);
  if (found == registry.replays.end())
    events_error("ResourceNotFoundException", fmt::format("Replay {} does not exist.", name));
  return found->second;
}

json::object cancel_replay(EventsWrite& call) {
  const std::string name = text_of(call.input, "ReplayName");
  json::object& replay = required_replay(call.registry, name);
  if (!is_active(replay))
    events_error("IllegalStatusException",
                 fmt::format("Replay {} is not in a valid state for this operation.", name));
  replay["State"] = "CANCELLED";
  replay["ReplayEndTime"] = call.now;
  call.registry.touch(Kind::kReplay, name);
  return {{"ReplayArn", replay_arn(call.registry, name)}, {"State", "CANCELLED"}};
}

json::object show_replay(const Registry& registry, const std::string& name, const json::object& replay) {
  json::object out = replay;
  out["ReplayName"] = name;
  out["ReplayArn"] = replay_arn(registry, name);
  return out;
}

json::object describe_replay(EventsRead& call) {
  const std::string name = text_of(call.input, "ReplayName");
  return show_replay(call.registry, name, required_replay(call.registry, name));
}

json::object list_replays(EventsRead& call) {
  const std::string source = text_of(call.input, "EventSourceArn"), state = text_of(call.input, "State");
  return page_of(call.input, call.registry.replays, "Replays",
                 [&](const std::string& name, const json::object& replay) -> json::object {
                   if (!source.empty() && text_of(replay, "EventSourceArn") != source) return {};
                   if (!state.empty() && text_of(replay, "State") != state) return {};
                   return show_replay(call.registry, name, replay);
                 });
}

constexpr EventsWriteOperation kWrites[] = {
    {"CreateArchive", create_archive}, {"UpdateArchive", update_archive}, {"DeleteArchive", delete_archive},
    {"StartReplay", start_replay},     {"CancelReplay", cancel_replay},
};
constexpr EventsReadOperation kReads[] = {
    {"DescribeArchive", describe_archive},
    {"ListArchives", list_archives},
    {"DescribeReplay", describe_replay},
    {"ListReplays", list_replays},
};

}  // namespace

OperationList<EventsWriteOperation> archive_writes() { return {kWrites, std::size(kWrites)}; }
OperationList<EventsReadOperation> archive_reads() { return {kReads, std::size(kReads)}; }

}  // namespace millrace::services
