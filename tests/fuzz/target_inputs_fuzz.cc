// libFuzzer entry: a template, two JSON paths and an event, divided by NUL bytes. Whatever they are, nothing
// crashes; a path finds what a parsed event has there; what is rendered without a problem and is not a string
// is JSON; and what a target is asked, and the two events of an object's change, can be written and read.
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "events/http_call.h"
#include "events/json_path.h"
#include "events/registry.h"
#include "events/s3_event.h"
#include "events/target_input.h"
#include "events/target_request.h"

namespace {

using namespace millrace;
using namespace millrace::events;

void must(bool holds) {
  if (!holds) __builtin_trap();
}

// The value at $.a.b[0] for plain names, step by step; nothing for paths that are written otherwise.
struct Plain {
  bool plain = false;
  const json::value* found = nullptr;
};
Plain walk(std::string_view path, const json::value& root) {
  Plain out;
  if (!path.starts_with('$')) return out;
  const json::value* at = &root;
  path.remove_prefix(1);
  while (!path.empty()) {
    const bool name = path[0] == '.';
    if (!name && path[0] != '[') return {};
    size_t end = 1;
    auto fits = [&](char c) {
      return name ? (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'
                  : c >= '0' && c <= '9';
    };
    while (end < path.size() && fits(path[end])) ++end;
    const std::string_view step = path.substr(1, end - 1);
    if (step.empty() || step.size() > 15) return {};
    if (!name) {
      if (end == path.size() || path[end] != ']') return {};
      ++end;
    }
    path.remove_prefix(end);
    if (!at) continue;
    const json::value* next = nullptr;
    if (name) {
      if (const json::object* object = at->if_object()) next = object->if_contains(step);
    } else if (const json::array* array = at->if_array()) {
      const auto index = base::parse_number<size_t>(step);
      if (index && *index < array->size()) next = &(*array)[*index];
    }
    at = next;
  }
  return {true, at};
}

void check_path(std::string_view text, std::string_view event, const json::value* parsed) {
  const auto found = JsonPath(text).find(event);
  if (!parsed) return;
  const Plain wanted = walk(text, *parsed);
  if (!wanted.plain) return;
  must(found.has_value() == (wanted.found != nullptr));
  if (found) must(base::parse_json(*found, kEventDepthMax) == *wanted.found);
}

void check_request(const std::string& input_template, const std::map<std::string, std::string>& paths,
                   std::string_view event, const char* arn) {
  Registry registry{Place{}};
  Rule rule;
  rule.bus = "default";
  rule.name = "r";
  Target target;
  json::object map;
  for (const auto& [name, path] : paths) map[name] = path;
  target.body = {{"Id", "t"},
                 {"Arn", arn},
                 {"BatchParameters", {{"JobName", "n"}, {"JobDefinition", "d"}}},
                 {"InputTransformer", {{"InputPathsMap", map}, {"InputTemplate", input_template}}}};
  target.input = parse_target_input(target.body);
  Event given;
  given.body = event;
  const json::object request = rule_request(registry, rule, target, given, 0);
  must(base::parse_json(json::serialize(request), 300).is_object());
  Delivery delivery;
  delivery.owner = "rule:default/r";
  delivery.target = "t";
  delivery.request = request;
  dead_letter_request("arn:aws:s3:::b/p", delivery, registry, event, "CODE", "", 0);
  if (base::find_string(request, "to") == "http") http_call(registry, request);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  std::vector<std::string_view> parts;
  size_t at = 0;
  for (int i = 0; i < 3; ++i) {
    const size_t end = all.find('\0', at);
    if (end == std::string_view::npos) return 0;
    parts.push_back(all.substr(at, end - at));
    at = end + 1;
  }
  const std::string_view event = all.substr(at);
  if (!base::is_utf8(all)) return 0;  // no request that is not gets so far
  const std::string input_template(parts[0]);
  const std::map<std::string, std::string> paths{{"a", std::string(parts[1])}, {"b", std::string(parts[2])}};

  must(decode_json_string(encode_json_string(event)) == event);
  json::value parsed;
  bool valid = true;
  try {
    parsed = base::parse_json(event, kEventDepthMax);
  } catch (const base::CorruptError&) {
    valid = false;
  }
  if (valid) must(base::parse_json(compact_json(event), kEventDepthMax) == parsed);
  for (int i = 1; i <= 2; ++i) check_path(parts[static_cast<size_t>(i)], event, valid ? &parsed : nullptr);

  try {
    const InputTransformer transformer(paths, input_template, "t");
    const InputTransformer::Rendered out = transformer.render(event, {"arn:rule", "r\"ule", 0});
    const size_t first = input_template.find_first_not_of(" \t\r\n");
    const bool is_string = first != std::string::npos && input_template[first] == '"';
    if (out.problem.empty() && !is_string) base::parse_json(out.text, kEventDepthMax);
  } catch (const base::UsageError&) {  // an unknown placeholder
  }
  if (!valid || !parsed.is_object()) return 0;
  for (const char* arn : {"arn:aws:batch:us-east-1:1:job-queue/q", "arn:aws:logs:us-east-1:1:log-group:g",
                          "arn:aws:events:us-east-1:1:api-destination/d/1"})
    try {
      check_request(input_template, paths, event, arn);
    } catch (const base::UsageError&) {
    }

  objects::ObjectEvent change;
  change.reason = "PutObject";
  change.bucket = "b";
  change.key = event;
  change.details = input_template;
  for (auto make : {native_s3_event, trail_s3_event}) base::parse_json(make(change, Place{}).body);
  return 0;
}
