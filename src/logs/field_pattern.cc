#include "logs/field_pattern.h"

#include <optional>
#include <string>
#include <vector>

#include "logs/condition_tree.h"
#include "logs/pattern_reader.h"
#include "logs/value_test.h"

namespace millrace::logs {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// A field of a message, and where it begins with its signs.
struct Field {
  std::string_view value;
  size_t begin;
};

std::vector<Field> fields_of(std::string_view message) {
  std::vector<Field> fields;
  size_t at = 0;
  for (;;) {
    while (at < message.size() && is_blank(message[at])) ++at;
    if (at == message.size()) return fields;
    const char close = message[at] == '"' ? '"' : message[at] == '[' ? ']' : '\0';
    const size_t end = close == '\0' ? std::string_view::npos : message.find(close, at + 1);
    if (end != std::string_view::npos) {
      fields.push_back({message.substr(at + 1, end - at - 1), at});
      at = end + 1;
      continue;
    }
    const size_t begin = at;
    while (at < message.size() && !is_blank(message[at])) ++at;
    fields.push_back({message.substr(begin, at - begin), begin});
  }
}

class FieldPattern final : public MessageMatcher {
 public:
  explicit FieldPattern(std::string_view text) {
    PatternReader reader(text);
    reader.expect("[");
    reader.skip_blanks();
    if (!reader.take("]")) {
      do {
        reader.skip_blanks();
        if (reader.take("...")) {
          if (ellipsis_) PatternReader::refuse();
          ellipsis_ = names_.size();
          reader.skip_blanks();
          continue;
        }
        names_.push_back(read_name(reader));
      } while (reader.take(","));
      reader.expect("]");
    }
    reader.skip_blanks();
    if (!reader.at_end()) PatternReader::refuse();
    bool conditional = false;
    for (const Name& name : names_) conditional |= name.condition.has_value();
    rest_in_last_ = conditional && !ellipsis_ && !names_.back().condition;
  }

  bool matches(std::string_view message) const override {
    if (names_.empty()) return true;
    const std::vector<Field> fields = assign(message);
    if (fields.empty()) return false;
    for (size_t i = 0; i < names_.size(); ++i)
      if (names_[i].condition && !holds(names_[i], fields[field_of(i, fields.size())].value)) return false;
    return true;
  }

  ExtractedValues extract(std::string_view message) const override {
    const std::vector<Field> fields = names_.empty() ? fields_of(message) : assign(message);
    std::vector<std::string> labels(fields.size());
    for (size_t i = 0; i < names_.size() && !fields.empty(); ++i)
      labels[field_of(i, fields.size())] = names_[i].name;
    ExtractedValues values;
    for (size_t i = 0; i < fields.size(); ++i)
      values.emplace_back("$" + (labels[i].empty() ? std::to_string(i + 1) : labels[i]), fields[i].value);
    return values;
  }

 private:
  struct Name {
    std::string name;
    std::vector<ValueTest> tests;
    std::optional<ConditionTree> condition;
  };

  static Name read_name(PatternReader& reader) {
    Name name;
    name.name = read_identifier(reader);
    reader.skip_blanks();
    if (reader.peek() == ',' || reader.peek() == ']') return name;
    bool first = true;
    name.condition = ConditionTree::read(reader, false, [&] {
      // The name stands before each operator, and was read before the first.
      if (!first && read_identifier(reader) != name.name) PatternReader::refuse();
      first = false;
      name.tests.push_back(ValueTest::read(reader));
      return static_cast<uint32_t>(name.tests.size() - 1);
    });
    return name;
  }

  static std::string read_identifier(PatternReader& reader) {
    reader.skip_blanks();
    std::string word = reader.word(false);
    if (word.find_first_of("./+") != std::string::npos) PatternReader::refuse();
    return word;
  }

  // The fields as the names see them; none when they are too few or too many.
  std::vector<Field> assign(std::string_view message) const {
    std::vector<Field> fields = fields_of(message);
    if (fields.size() < names_.size()) return {};
    if (fields.size() == names_.size() || ellipsis_) return fields;
    if (!rest_in_last_) return {};
    Field& last = fields[names_.size() - 1];
    last.value = message.substr(last.begin);
    fields.resize(names_.size());
    return fields;
  }

  // Names after "..." count from the end.
  size_t field_of(size_t name, size_t field_count) const {
    return ellipsis_ && name >= *ellipsis_ ? field_count - (names_.size() - name) : name;
  }

  static bool holds(const Name& name, std::string_view value) {
    return name.condition->holds([&](uint32_t i) {
      const ValueTest& test = name.tests[i];
      return test.holds(value, test.wants_number() ? number_in(value) : std::nullopt);
    });
  }

  std::vector<Name> names_;
  std::optional<size_t> ellipsis_;  // how many names stand before it
  bool rest_in_last_ = false;
};

}  // namespace

std::unique_ptr<MessageMatcher> parse_field_pattern(std::string_view text) {
  return std::make_unique<FieldPattern>(text);
}

}  // namespace millrace::logs
