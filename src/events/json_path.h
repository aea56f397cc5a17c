// The part of JSONPath that EventBridge's targets know: $, names with dots between, [n].
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace millrace::events {

// A path is never refused, as at AWS: one that cannot be read finds nothing.
class JsonPath {
 public:
  explicit JsonPath(std::string_view path);

  // The text of the value in `json`, as it stands there without space around; nothing when there is none. Of
  // members with the same name the last counts. `json` is taken to be well-formed: of anything else nothing
  // is found.
  std::optional<std::string_view> find(std::string_view json) const;

 private:
  using Step = std::variant<std::string, size_t>;  // a member's name or an element's number
  std::vector<Step> steps_;
  bool readable_ = false;
};

// The text between the quotes of a JSON string, escapes resolved; half of a surrogate pair becomes '?'.
std::string decode_json_string(std::string_view quoted);

// `text` as a JSON string with its quotes.
std::string encode_json_string(std::string_view text);

// JSON text without the space between its tokens.
std::string compact_json(std::string_view json);

}  // namespace millrace::events
