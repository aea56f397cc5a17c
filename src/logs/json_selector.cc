#include "logs/json_selector.h"

#include <boost/json/basic_parser_impl.hpp>

#include "base/strings.h"

namespace millrace::logs {
namespace {

namespace json = boost::json;

constexpr size_t kDepthMax = 64;
constexpr size_t kIndexDigitsMax = 9;

// Follows all selectors at once while the parser walks over the message.
class Follower {
 public:
  static constexpr size_t max_object_size = SIZE_MAX;
  static constexpr size_t max_array_size = SIZE_MAX;
  static constexpr size_t max_key_size = SIZE_MAX;
  static constexpr size_t max_string_size = SIZE_MAX;

  explicit Follower(const std::vector<JsonSelector>& selectors)
      : selectors_(selectors), found_(selectors.size()) {
    for (uint32_t i = 0; i < selectors.size(); ++i) here_.push_back(i);
  }
  std::vector<std::vector<JsonValue>> take() { return std::move(found_); }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return begin(false); }
  bool on_object_end(size_t, json::error_code&) { return end(); }
  bool on_array_begin(json::error_code&) { return begin(true); }
  bool on_array_end(size_t, json::error_code&) { return end(); }

  bool on_key_part(json::string_view part, size_t, json::error_code&) {
    if (!levels_.back().selectors.empty()) key_.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, size_t total, json::error_code& error) {
    on_key_part(part, total, error);
    here_.clear();
    for (uint32_t i : levels_.back().selectors) {
      const JsonSelector::Step& step = selectors_[i].steps[levels_.size() - 1];
      if (step.kind == JsonSelector::Step::Kind::kAny ||
          (step.kind == JsonSelector::Step::Kind::kKey && step.key == key_))
        here_.push_back(i);
    }
    key_.clear();
    return true;
  }

  bool on_string_part(json::string_view part, size_t, json::error_code&) {
    if (!in_text_) element();
    in_text_ = true;
    if (!here_.empty()) text_.append(part.data(), part.size());
    return true;
  }
  bool on_string(json::string_view part, size_t total, json::error_code& error) {
    on_string_part(part, total, error);
    return scalar(JsonValue::Kind::kString);
  }
  bool on_number_part(json::string_view part, json::error_code& error) {
    return on_string_part(part, 0, error);
  }
  bool on_int64(int64_t, json::string_view part, json::error_code& error) { return number(part, error); }
  bool on_uint64(uint64_t, json::string_view part, json::error_code& error) { return number(part, error); }
  bool on_double(double, json::string_view part, json::error_code& error) { return number(part, error); }
  bool on_bool(bool value, json::error_code&) {
    element();
    return scalar(value ? JsonValue::Kind::kTrue : JsonValue::Kind::kFalse);
  }
  bool on_null(json::error_code&) {
    element();
    return scalar(JsonValue::Kind::kNull);
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  // A container that is open: which selectors go on inside it.
  struct Level {
    bool is_array;
    size_t next_index;
    std::vector<uint32_t> selectors;
  };

  // Before a value: in an array its place decides which selectors point here; a key has done so already.
  void element() {
    if (levels_.empty() || !levels_.back().is_array) return;
    Level& level = levels_.back();
    const size_t index = level.next_index++;
    here_.clear();
    for (uint32_t i : level.selectors) {
      const JsonSelector::Step& step = selectors_[i].steps[levels_.size() - 1];
      if (step.kind == JsonSelector::Step::Kind::kAny ||
          (step.kind == JsonSelector::Step::Kind::kIndex && step.index == index))
        here_.push_back(i);
    }
  }

  bool number(json::string_view part, json::error_code& error) {
    on_string_part(part, 0, error);
    return scalar(JsonValue::Kind::kNumber);
  }

  bool scalar(JsonValue::Kind kind) {
    for (uint32_t i : here_)
      if (selectors_[i].steps.size() == levels_.size()) found_[i].push_back({kind, text_});
    text_.clear();
    in_text_ = false;
    return true;
  }

  bool begin(bool is_array) {
    if (!levels_.empty()) element();
    Level level{is_array, 0, {}};
    for (uint32_t i : here_) {
      if (selectors_[i].steps.size() == levels_.size())
        found_[i].push_back({JsonValue::Kind::kContainer, ""});
      else
        level.selectors.push_back(i);
    }
    levels_.push_back(std::move(level));
    return true;
  }
  bool end() {
    levels_.pop_back();
    return true;
  }

  const std::vector<JsonSelector>& selectors_;
  std::vector<std::vector<JsonValue>> found_;
  std::vector<Level> levels_;
  std::vector<uint32_t> here_;  // selectors whose steps so far lead to the value that comes
  std::string key_, text_;
  bool in_text_ = false;
};

size_t read_index(PatternReader& reader) {
  const std::string digits = reader.word(false);
  const auto index = base::parse_number<size_t>(digits);
  if (!index || digits.size() > kIndexDigitsMax) PatternReader::refuse();
  return *index;
}

}  // namespace

JsonSelector JsonSelector::read(PatternReader& reader) {
  JsonSelector selector;
  reader.expect("$");
  selector.text = "$";
  auto add = [&](Step step, std::string_view written) {
    if (step.kind == Step::Kind::kAny) {
      if (selector.has_wildcard) PatternReader::refuse();
      selector.has_wildcard = true;
    }
    selector.text += written;
    selector.steps.push_back(std::move(step));
  };
  for (;;) {
    const bool dotted = reader.take(".");
    if (reader.take("[")) {
      if (reader.take("*")) {
        add({Step::Kind::kAny, "", 0}, "[*]");
      } else if (reader.peek() == '\'' || reader.peek() == '"') {
        std::string key = reader.peek() == '"' ? reader.quoted() : reader.single_quoted();
        add({Step::Kind::kKey, key, 0}, (dotted ? ".['" : "['") + key + "']");
      } else {
        const size_t index = read_index(reader);
        add({Step::Kind::kIndex, "", index}, "[" + std::to_string(index) + "]");
      }
      reader.expect("]");
    } else if (dotted) {
      if (reader.take("*")) {
        add({Step::Kind::kAny, "", 0}, ".*");
        continue;
      }
      std::string key = reader.property();
      if (key.empty()) reader.refuse_characters();
      add({Step::Kind::kKey, key, 0}, "." + key);
    } else {
      break;
    }
  }
  if (selector.steps.empty()) PatternReader::refuse();
  return selector;
}

std::optional<std::vector<std::vector<JsonValue>>> select_json(const std::vector<JsonSelector>& selectors,
                                                               std::string_view message) {
  message = base::trim(message);
  if (!message.starts_with('{')) return std::nullopt;
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::basic_parser<Follower> parser(options, selectors);
  json::error_code error;
  const size_t used = parser.write_some(false, message.data(), message.size(), error);
  if (error || used != message.size()) return std::nullopt;
  return parser.handler().take();
}

}  // namespace millrace::logs
