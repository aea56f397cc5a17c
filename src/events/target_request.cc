#include "events/target_request.h"

#include <fmt/format.h>

#include <algorithm>

#include "aws/model.h"
#include "base/error.h"
#include "base/strings.h"
#include "events/capitalised.h"
#include "events/json_path.h"

namespace millrace::events {
namespace {

constexpr std::string_view kUniversal = ":scheduler:::aws-sdk:";
constexpr int64_t kArraySizeMin = 2, kArraySizeMax = 10'000, kAttemptsMin = 1, kAttemptsMax = 10;

[[noreturn]] void invalid(const std::string& message) {
  throw base::UsageError(message, "ValidationException");
}

std::string text(const json::object& object, std::string_view name) {
  return std::string(base::find_string(object, name).value_or(""));
}

// arn:partition:service:region:account:resource
struct Arn {
  std::string_view service, resource;
};
std::optional<Arn> parse_arn(std::string_view arn) {
  if (!arn.starts_with("arn:")) return std::nullopt;
  size_t starts[5];
  size_t at = 0;
  for (size_t& start : starts) {
    at = arn.find(':', at);
    if (at == std::string_view::npos) return std::nullopt;
    start = ++at;
  }
  return Arn{arn.substr(starts[1], starts[2] - starts[1] - 1), arn.substr(starts[4])};
}

// "job-queue/NAME" without "job-queue/".
std::string after(std::string_view resource, std::string_view prefix) {
  return std::string(resource.substr(prefix.size()));
}

std::string log_group(std::string_view resource) {
  std::string group = after(resource, "log-group:");
  if (group.ends_with(":*")) group.resize(group.size() - 2);
  return group;
}

std::string unsupported(std::string_view arn) {
  return fmt::format(
      "{} cannot be a target in this version of Millrace, which delivers to Batch job queues, log groups, "
      "event "
      "buses and API destinations.",
      arn);
}

const aws::Shape& submit_shape() {
  static const aws::Shape& shape = *aws::find_operation(*aws::find_service("batch"), "SubmitJob")->input;
  return shape;
}

void add_batch_parameters(const json::object& target, json::object& submit) {
  const json::object* parameters = base::find_object(target, "BatchParameters");
  if (!parameters) return;
  submit["jobName"] = text(*parameters, "JobName");
  submit["jobDefinition"] = text(*parameters, "JobDefinition");
  if (const json::object* array = base::find_object(*parameters, "ArrayProperties"))
    if (auto size = base::find_int(*array, "Size"); size && *size != 0)
      submit["arrayProperties"] = json::object{{"size", *size}};
  if (const json::object* retry = base::find_object(*parameters, "RetryStrategy"))
    if (auto attempts = base::find_int(*retry, "Attempts"); attempts && *attempts != 0)
      submit["retryStrategy"] = json::object{{"attempts", *attempts}};
}

json::object problem(std::string why) { return {{"to", "none"}, {"problem", std::move(why)}}; }

// What the (transformed) input may say about the job: Parameters and ContainerOverrides.
json::object batch_request(const Target& target, const std::string& rendered) {
  json::object submit;
  submit["jobQueue"] = text(target.body, "Arn");
  add_batch_parameters(target.body, submit);
  json::value input;
  try {
    input = base::parse_json(rendered, kEventDepthMax);
  } catch (const base::CorruptError& error) {
    return problem(fmt::format("the input is not valid JSON ({})", error.what()));
  }
  if (const json::object* object = input.if_object()) {
    json::object given;
    for (const char* name : {"Parameters", "ContainerOverrides"})
      if (const json::value* value = base::find(*object, name)) given[name] = *value;
    std::vector<std::string> unknown;
    json::value members = uncapitalised(given, submit_shape(), &unknown);
    if (!unknown.empty())
      return problem(
          fmt::format("the input has members that SubmitJob does not know: {}", base::join(unknown, ", ")));
    for (auto& [key, value] : members.get_object()) submit[key] = std::move(value);
  }
  return {{"to", "batch"}, {"submit", std::move(submit)}};
}

std::string destination_name(std::string_view resource) {
  std::string name = after(resource, "api-destination/");
  return name.substr(0, name.find('/'));
}

// The PascalCase input of a universal target, its keywords replaced.
json::object universal_submit(std::string_view input, std::vector<std::string>* unknown) {
  json::value given = base::parse_json(input);
  if (!given.is_object()) throw base::CorruptError("it is not an object");
  return uncapitalised(given, submit_shape(), unknown).as_object();
}

void name_attempt(json::value& value, int attempt) {
  constexpr std::string_view kKeyword = "<aws.scheduler.attempt-number>";
  if (json::object* object = value.if_object()) {
    for (auto& [key, member] : *object) name_attempt(member, attempt);
  } else if (json::array* array = value.if_array()) {
    for (json::value& element : *array) name_attempt(element, attempt);
  } else if (json::string* string = value.if_string()) {
    if (base::view(*string).find(kKeyword) != std::string_view::npos)
      *string = base::replace_all(std::string(base::view(*string)), kKeyword, std::to_string(attempt));
  }
}

}  // namespace

std::string target_kind(const json::object& target) {
  const std::string target_arn = text(target, "Arn");
  auto arn = parse_arn(target_arn);
  if (!arn)
    invalid(
        fmt::format("Parameter {} is not valid. Reason: Provided Arn is not in correct format.", target_arn));
  if (arn->service == "batch" && arn->resource.starts_with("job-queue/")) {
    const json::object* parameters = base::find_object(target, "BatchParameters");
    if (!parameters)
      invalid(
          fmt::format("BatchParameters must be given for target {}, a Batch job queue.", text(target, "Id")));
    auto within = [&](const char* outer, const char* inner, int64_t least, int64_t most) {
      const json::object* object = base::find_object(*parameters, outer);
      auto number = object ? base::find_int(*object, inner) : std::nullopt;
      if (number && *number != 0 && (*number < least || *number > most))
        invalid(fmt::format("BatchParameters.{}.{} of target {} must be between {} and {}.", outer, inner,
                            text(target, "Id"), least, most));
    };
    within("ArrayProperties", "Size", kArraySizeMin, kArraySizeMax);
    within("RetryStrategy", "Attempts", kAttemptsMin, kAttemptsMax);
    return "batch";
  }
  if (arn->service == "logs" && arn->resource.starts_with("log-group:")) return "logs";
  if (arn->service == "events" && arn->resource.starts_with("event-bus/")) {
    for (const char* name : {"Input", "InputPath", "InputTransformer"})
      if (base::find(target, name))
        invalid(fmt::format("{} cannot be given for target {}: an event bus gets the event as it is.", name,
                            text(target, "Id")));
    return "events";
  }
  if (arn->service == "events" && arn->resource.starts_with("api-destination/")) return "http";
  invalid(unsupported(target_arn));
}

json::object rule_request(const Registry& registry, const Rule& rule, const Target& target,
                          const Event& event, TimeMs received) {
  const std::string kind = target_kind(target.body);
  const std::string target_arn = text(target.body, "Arn");
  const std::string resource(parse_arn(target_arn)->resource);
  if (kind == "events") return {{"to", "events"}, {"bus", Registry::bus_name(target_arn)}};
  InputTransformer::Rendered rendered =
      target.input->render(event.body, {registry.rule_arn(rule), rule.name, received});
  if (!rendered.problem.empty()) return problem(std::move(rendered.problem));
  if (kind == "batch") return batch_request(target, rendered.text);
  if (kind == "logs")
    return {{"to", "logs"}, {"group", log_group(resource)}, {"stream", rule.name}, {"text", rendered.text}};
  json::object request{{"to", "http"}, {"destination", destination_name(resource)}, {"text", rendered.text}};
  if (const json::object* parameters = base::find_object(target.body, "HttpParameters"))
    request["parameters"] = *parameters;
  return request;
}

void check_schedule_target(const json::object& target) {
  const std::string target_arn = text(target, "Arn");
  if (const size_t at = target_arn.find(kUniversal); at != std::string::npos) {
    if (std::string_view(target_arn).substr(at + kUniversal.size()) != "batch:submitJob")
      invalid(fmt::format(
          "{} is not a target that this version of Millrace can call; it calls {}batch:submitJob.",
          target_arn, target_arn.substr(0, at + kUniversal.size())));
    auto input = base::find_string(target, "Input");
    if (!input) invalid("Invalid RequestJson provided. Reason The request has no Input.");
    std::vector<std::string> unknown;
    json::object submit;
    try {
      submit = universal_submit(*input, &unknown);
    } catch (const base::CorruptError& error) {
      invalid(fmt::format("Invalid RequestJson provided. Reason {}", error.what()));
    }
    if (!unknown.empty())
      invalid(fmt::format("Invalid RequestJson provided. Reason The field '{}' is not supported.",
                          unknown.front()));
    for (const char* required : {"jobName", "jobQueue", "jobDefinition"})
      if (!submit.contains(required))
        invalid(
            fmt::format("Invalid RequestJson provided. Reason The field '{}{}' is required but was missing.",
                        static_cast<char>(required[0] - 'a' + 'A'), required + 1));
    return;
  }
  auto arn = parse_arn(target_arn);
  if (!arn) invalid("Provided Arn is not in correct format.");
  if (arn->service == "events" && arn->resource.starts_with("event-bus/")) {
    if (!base::find_object(target, "EventBridgeParameters"))
      invalid("EventBridgeParameters must be given for an event bus as target.");
    if (auto input = base::find_string(target, "Input")) {
      bool object = false;
      try {
        object = base::parse_json(*input).is_object();
      } catch (const base::CorruptError&) {
      }
      if (!object) invalid("The Input of an event bus as target must be a JSON object.");
    }
    return;
  }
  if (arn->service == "logs" && arn->resource.starts_with("log-group:")) return;
  invalid(unsupported(target_arn));
}

json::object schedule_request(const Registry& registry, const ScheduledCall& call, const Firing& firing) {
  const json::object& target = call.body.at("Target").as_object();
  std::string input = text(target, "Input");
  input = base::replace_all(input, "<aws.scheduler.schedule-arn>", registry.schedule_arn(call));
  input = base::replace_all(input, "<aws.scheduler.scheduled-time>", base::iso8601(firing.scheduled));
  input = base::replace_all(input, "<aws.scheduler.execution-id>", firing.execution_id);
  const std::string target_arn = text(target, "Arn");
  if (target_arn.find(kUniversal) != std::string::npos) {
    std::vector<std::string> unknown;
    try {
      return {{"to", "batch"}, {"submit", universal_submit(input, &unknown)}};
    } catch (const base::CorruptError& error) {
      return problem(fmt::format("the input is not valid JSON ({})", error.what()));
    }
  }
  const std::string resource(parse_arn(target_arn)->resource);
  if (resource.starts_with("log-group:"))
    return {{"to", "logs"},
            {"group", log_group(resource)},
            {"stream", call.group + "/" + call.name},
            {"text", input}};
  const json::object& parameters = target.at("EventBridgeParameters").as_object();
  EventFields fields;
  fields.source = text(parameters, "Source");
  fields.detail_type = text(parameters, "DetailType");
  fields.time = firing.scheduled;
  fields.resources = {registry.schedule_arn(call)};
  if (!input.empty()) fields.detail = input;
  const std::string bus = Registry::bus_name(target_arn);
  Event event = make_event(fields, registry.place, bus);
  return {{"to", "events"},         {"bus", bus},
          {"event", event.body},    {"id", event.id},
          {"source", event.source}, {"detail-type", event.detail_type},
          {"time", event.time}};
}

void name_attempt(json::object& request, int attempt) {
  for (auto& [key, member] : request) name_attempt(member, attempt);
}

void check_dead_letter(const std::string& arn) {
  if (arn.empty()) return;
  auto parsed = parse_arn(arn);
  if (parsed && (parsed->service == "sqs" || parsed->service == "s3" ||
                 (parsed->service == "logs" && parsed->resource.starts_with("log-group:"))))
    return;
  invalid(fmt::format("{} cannot be a dead-letter destination; it must be a log group, a bucket or a queue.",
                      arn));
}

json::object dead_letter_request(const std::string& arn, const Delivery& delivery, const Registry& registry,
                                 std::string_view event, const std::string& error_code,
                                 const std::string& exhausted, TimeMs now) {
  json::object letter;
  const bool of_rule = delivery.owner.starts_with("rule:");
  if (const Rule* rule = of_rule ? registry.find_rule(delivery.owner.substr(5)) : nullptr) {
    letter["RULE_ARN"] = registry.rule_arn(*rule);
    if (auto target = rule->targets.find(delivery.target); target != rule->targets.end())
      letter["TARGET_ARN"] = text(target->second.body, "Arn");
  }
  letter["OWNER"] = delivery.owner;
  letter["TARGET_ID"] = delivery.target;
  letter["ERROR_CODE"] = error_code;
  letter["ERROR_MESSAGE"] = delivery.outcome;
  if (!exhausted.empty()) letter["EXHAUSTED_RETRY_CONDITION"] = exhausted;
  letter["RETRY_ATTEMPTS"] = std::max(0, delivery.attempts - 1);
  letter["REQUEST"] = delivery.request;
  if (!event.empty()) letter["EVENT"] = base::parse_json(event, kEventDepthMax);
  const std::string body = json::serialize(letter);
  auto parsed = parse_arn(arn);
  const std::string_view service = parsed ? parsed->service : std::string_view();
  if (service == "logs" && parsed->resource.starts_with("log-group:"))
    return {
        {"to", "logs"}, {"group", log_group(parsed->resource)}, {"stream", "dead-letters"}, {"text", body}};
  if (service == "sqs")
    return {{"to", "logs"},
            {"group", "/millrace/dead-letters/" + std::string(parsed->resource)},
            {"stream", "dead-letters"},
            {"text", body}};
  if (service == "s3") {
    const std::string_view resource = parsed->resource;
    const size_t slash = resource.find('/');
    std::string prefix(slash == std::string_view::npos ? "" : resource.substr(slash + 1));
    if (!prefix.empty() && !prefix.ends_with('/')) prefix += '/';
    return {{"to", "s3"},
            {"bucket", std::string(resource.substr(0, slash))},
            {"key", fmt::format("{}{}-{}.json", prefix, base::amz_date(now), delivery.seq)},
            {"text", body}};
  }
  return problem("a dead-letter destination must be a log group, a bucket or a queue, not " + arn);
}

}  // namespace millrace::events
