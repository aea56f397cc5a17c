#include "logs/json_pattern.h"

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "logs/condition_tree.h"
#include "logs/json_selector.h"
#include "logs/pattern_reader.h"
#include "logs/value_test.h"

namespace millrace::logs {
namespace {

constexpr int kWildcardsMax = 3;  // user guide, "Quotas" of compound expressions

using Values = std::vector<std::vector<JsonValue>>;

class JsonPattern final : public MessageMatcher {
 public:
  explicit JsonPattern(std::string_view text) {
    PatternReader reader(text);
    reader.expect("{");
    tree_ = ConditionTree::read(reader, true, [&] { return read_condition(reader); });
    reader.skip_blanks();
    reader.expect("}");
    reader.skip_blanks();
    if (!reader.at_end()) PatternReader::refuse();
    const auto wildcards = std::count_if(selectors_.begin(), selectors_.end(),
                                         [](const JsonSelector& s) { return s.has_wildcard; });
    if (wildcards > kWildcardsMax) PatternReader::refuse();
  }

  bool matches(std::string_view message) const override {
    const auto values = select_json(selectors_, message);
    return values && tree_.holds([&](uint32_t i) { return holds(i, *values); });
  }

  ExtractedValues extract(std::string_view message) const override {
    ExtractedValues extracted;
    const auto values = select_json(selectors_, message);
    for (size_t i = 0; values && i < selectors_.size(); ++i) {
      const auto seen = std::find_if(extracted.begin(), extracted.end(),
                                     [&](const auto& each) { return each.first == selectors_[i].text; });
      if (seen != extracted.end()) continue;
      for (const JsonValue& value : (*values)[i]) {
        if (value.kind == JsonValue::Kind::kContainer) continue;
        extracted.emplace_back(selectors_[i].text, text_of(value));
        break;
      }
    }
    return extracted;
  }

 private:
  // A condition has the number of its selector.
  using Condition = std::variant<ValueTest, JsonValue::Kind, std::monostate>;  // monostate: NOT EXISTS

  uint32_t read_condition(PatternReader& reader) {
    reader.skip_blanks();
    selectors_.push_back(JsonSelector::read(reader));
    reader.skip_blanks();
    if (reader.take("NOT ")) {
      reader.skip_blanks();
      reader.expect("EXISTS");
      conditions_.emplace_back(std::monostate());
    } else if (reader.take("IS ")) {
      reader.skip_blanks();
      if (reader.take("NULL"))
        conditions_.emplace_back(JsonValue::Kind::kNull);
      else if (reader.take("TRUE"))
        conditions_.emplace_back(JsonValue::Kind::kTrue);
      else if (reader.take("FALSE"))
        conditions_.emplace_back(JsonValue::Kind::kFalse);
      else
        PatternReader::refuse();  // IS NOT is no operator of CloudWatch Logs, nor is EXISTS alone
    } else {
      conditions_.emplace_back(ValueTest::read(reader));
    }
    return static_cast<uint32_t>(conditions_.size() - 1);
  }

  bool holds(uint32_t i, const Values& values) const {
    const Condition& condition = conditions_[i];
    if (std::holds_alternative<std::monostate>(condition)) return values[i].empty();
    return std::any_of(values[i].begin(), values[i].end(), [&](const JsonValue& value) {
      if (const auto* kind = std::get_if<JsonValue::Kind>(&condition)) return value.kind == *kind;
      const auto& test = std::get<ValueTest>(condition);
      if (value.kind == JsonValue::Kind::kString) return test.holds(value.text, std::nullopt);
      return value.kind == JsonValue::Kind::kNumber && test.holds(value.text, number_in(value.text));
    });
  }

  static std::string text_of(const JsonValue& value) {
    switch (value.kind) {
      case JsonValue::Kind::kTrue:
        return "true";
      case JsonValue::Kind::kFalse:
        return "false";
      case JsonValue::Kind::kNull:
        return "null";
      default:
        return value.text;
    }
  }

  std::vector<JsonSelector> selectors_;
  std::vector<Condition> conditions_;
  ConditionTree tree_;
};

}  // namespace

std::unique_ptr<MessageMatcher> parse_json_pattern(std::string_view text) {
  return std::make_unique<JsonPattern>(text);
}

}  // namespace millrace::logs
