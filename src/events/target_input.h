// What a rule's target gets: the event, a constant, a part of the event, or a text made from parts of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "events/json_path.h"

namespace millrace::events {

// A template with <names>, as InputTransformer has it. Immutable; thread-safe.
class InputTransformer {
 public:
  // What the reserved names stand for, beside the event itself.
  struct Variables {
    std::string rule_arn;
    std::string rule_name;
    base::TimeMs ingestion_time = 0;
  };
  struct Rendered {
    std::string text;
    // Why the target cannot get it; empty when it can. AWS drops such events without a word.
    std::string problem;
  };

  static constexpr size_t kPathsMax = 100;
  static constexpr size_t kTemplateBytesMax = 8192;

  // `paths` are JSON paths by name. Throws UsageError with AWS's message (ValidationException) when the
  // template asks for a name that is neither there nor reserved.
  InputTransformer(const std::map<std::string, std::string>& paths, std::string_view input_template,
                   const std::string& target_id);

  // `event` is well-formed JSON. Where a value belongs it is put in as JSON, within quotes as bare text: a
  // string unescaped, and in a template that is itself a string objects and lists lose their quotes. What a
  // path does not find is "" or nothing.
  Rendered render(std::string_view event, const Variables& variables) const;

 private:
  struct Part {
    std::string text;  // literally, or the name
    bool name = false;
    bool quoted = false;  // a name inside quotes
  };
  std::optional<std::string> value_of(const std::string& name, std::string_view event,
                                      const Variables& variables) const;

  std::map<std::string, JsonPath> paths_;
  std::vector<Part> parts_;
  bool is_string_ = false;  // the template is one or more quoted lines, not JSON
};

// Input, InputPath and InputTransformer of a target: at most one of them.
class TargetInput {
 public:
  struct Transformer {
    std::map<std::string, std::string> paths;
    std::string input_template;
  };
  // Throws UsageError with AWS's message when more than one is given, and as InputTransformer does.
  TargetInput(std::optional<std::string> input, std::optional<std::string> input_path,
              std::optional<Transformer> transformer, const std::string& target_id);

  InputTransformer::Rendered render(std::string_view event,
                                    const InputTransformer::Variables& variables) const;

 private:
  std::optional<std::string> input_;
  std::optional<JsonPath> path_;
  std::string path_text_;
  std::optional<InputTransformer> transformer_;
};

}  // namespace millrace::events
