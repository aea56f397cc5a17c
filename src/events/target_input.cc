#include "events/target_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/json.h"
#include "events/event.h"

namespace millrace::events {
namespace {

constexpr std::string_view kRuleArn = "aws.events.rule-arn", kRuleName = "aws.events.rule-name",
                           kIngestionTime = "aws.events.event.ingestion-time", kEvent = "aws.events.event",
                           kWholeEvent = "aws.events.event.json";
constexpr std::array<std::string_view, 5> kReserved = {kRuleArn, kRuleName, kIngestionTime, kEvent,
                                                       kWholeEvent};

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.';
}

// The event without its detail. The other spelling of detail-type is AWS's.
std::string envelope(std::string_view event) {
  static constexpr std::array<std::pair<const char*, const char*>, 8> kMembers = {
      {{"version", "version"},
       {"id", "id"},
       {"detail-type", "detailType"},
       {"source", "source"},
       {"account", "account"},
       {"time", "time"},
       {"region", "region"},
       {"resources", "resources"}}};
  std::string out = "{";
  for (const auto& [from, to] : kMembers) {
    const auto value = JsonPath(std::string("$.") + from).find(event);
    if (!value) continue;
    out += fmt::format("{}\"{}\":{}", out.size() > 1 ? "," : "", to, *value);
  }
  return out + "}";
}

}  // namespace

InputTransformer::InputTransformer(const std::map<std::string, std::string>& paths,
                                   std::string_view input_template, const std::string& target_id) {
  for (const auto& [name, path] : paths) paths_.emplace(name, JsonPath(path));
  const size_t first = input_template.find_first_not_of(" \t\r\n");
  is_string_ = first != std::string_view::npos && input_template[first] == '"';
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) parts_.push_back({std::move(literal), false, false});
    literal.clear();
  };
  bool quoted = false;
  for (size_t i = 0; i < input_template.size(); ++i) {
    const char c = input_template[i];
    if (c == '\\' && i + 1 < input_template.size()) {
      const char following = input_template[++i];
      if (!quoted && following == 'n') {
        literal += '\n';  // between quoted lines
      } else {
        literal += c;
        literal += following;
      }
      continue;
    }
    if (c == '<') {
      size_t end = i + 1;
      while (end < input_template.size() && is_name_byte(input_template[end])) ++end;
      if (end > i + 1 && end < input_template.size() && input_template[end] == '>') {
        const std::string name(input_template.substr(i + 1, end - i - 1));
        const bool known =
            paths_.contains(name) || std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
        if (!known) {
          throw base::UsageError(
              fmt::format("InputTemplate for target {} contains invalid placeholder {}.", target_id, name),
              "ValidationException");
        }
        flush();
        parts_.push_back({name, true, quoted});
        i = end;
        continue;
      }
    }
    if (c == '"') quoted = !quoted;
    literal += c;
  }
  flush();
}

// The value as JSON.
std::optional<std::string> InputTransformer::value_of(const std::string& name, std::string_view event,
                                                      const Variables& variables) const {
  if (const auto path = paths_.find(name); path != paths_.end()) {
    const auto found = path->second.find(event);
    if (!found) return std::nullopt;
    return std::string(*found);
  }
  if (name == kRuleArn) return encode_json_string(variables.rule_arn);
  if (name == kRuleName) return encode_json_string(variables.rule_name);
  if (name == kIngestionTime) return encode_json_string(base::iso8601(variables.ingestion_time));
  if (name == kEvent) return envelope(event);
  return std::string(event);
}

InputTransformer::Rendered InputTransformer::render(std::string_view event,
                                                    const Variables& variables) const {
  Rendered out;
  std::string nested;  // the name of an object or list inside quotes
  for (const Part& part : parts_) {
    if (!part.name) {
      out.text += part.text;
      continue;
    }
    const auto value = value_of(part.text, event, variables);
    if (!part.quoted) {
      out.text += value ? *value : "\"\"";
    } else if (value && value->front() == '"') {
      out.text += decode_json_string(*value);
    } else if (value && (value->front() == '{' || value->front() == '[')) {
      nested = part.text;
      std::string compact = compact_json(*value);
      if (is_string_) std::erase(compact, '"');
      out.text += compact;
    } else if (value) {
      out.text += *value;
    }
  }
  if (is_string_) return out;
  try {
    base::parse_json(out.text, kEventDepthMax);
  } catch (const base::CorruptError& e) {
    out.problem = fmt::format("the transformed input is not valid JSON ({})", e.what());
    if (!nested.empty())
      out.problem += fmt::format(": <{}> is an object or a list and stands inside quotes", nested);
  }
  return out;
}

TargetInput::TargetInput(std::optional<std::string> input, std::optional<std::string> input_path,
                         std::optional<Transformer> transformer, const std::string& target_id)
    : input_(std::move(input)) {
  if ((input_ ? 1 : 0) + (input_path ? 1 : 0) + (transformer ? 1 : 0) > 1) {
    throw base::UsageError(
        fmt::format("Only one of Input, InputPath, or InputTransformer must be provided for target {}.",
                    target_id),
        "ValidationException");
  }
  if (input_path) {
    path_.emplace(*input_path);
    path_text_ = *input_path;
  }
  if (transformer) transformer_.emplace(transformer->paths, transformer->input_template, target_id);
}

InputTransformer::Rendered TargetInput::render(std::string_view event,
                                               const InputTransformer::Variables& variables) const {
  if (transformer_) return transformer_->render(event, variables);
  if (input_) return {*input_, ""};
  if (!path_) return {std::string(event), ""};
  const auto found = path_->find(event);
  if (!found) return {"", fmt::format("the event has nothing at InputPath {}", path_text_)};
  return {std::string(*found), ""};
}

}  // namespace millrace::events
