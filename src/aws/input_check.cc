#include "aws/input_check.h"

#include <algorithm>
#include <bitset>
#include <cctype>
#include <cmath>

#include "aws/error_wording.h"
#include "aws/pattern.h"
#include "aws/scalar.h"
#include "base/hash.h"
#include "base/strings.h"

namespace millrace::aws {

namespace json = base::json;

namespace {

constexpr size_t kMembersMax = 256;      // of one structure; the tables' largest has fewer than 64
constexpr size_t kBrokenMax = 64;        // constraints named in one message
constexpr size_t kShownBytesMax = 1024;  // of a value in a message

json::string_view boost_view(std::string_view text) { return {text.data(), text.size()}; }

// Where the walk is, as a chain through the stack: costs nothing until an error wants it as text.
struct Place {
  const Place* parent;
  std::string_view name;  // of a member or map key; empty for an element
  size_t index;           // of an element, from 1
};

// "containerOverrides.environment.1.member.name": member names begin in lower case.
std::string text_of(const Place* place) {
  if (!place || !place->parent) return "";
  std::string text = text_of(place->parent);
  if (!text.empty()) text += '.';
  if (place->index) return text + std::to_string(place->index) + ".member";
  std::string name(place->name);
  if (!name.empty()) name[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(name[0])));
  return text + name;
}

// As AWS's front prints a value: bare strings, [a, b], {k=v}.
void show(const json::value& value, std::string& out) {
  if (out.size() > kShownBytesMax) return;
  if (value.is_string()) {
    out += base::view(value.get_string());
  } else if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const json::value& element : value.get_array()) {
      if (!first) out += ", ";
      first = false;
      show(element, out);
      if (out.size() > kShownBytesMax) return;
    }
    out += ']';
  } else if (value.is_object()) {
    out += '{';
    bool first = true;
    for (const auto& [key, element] : value.get_object()) {
      if (!first) out += ", ";
      first = false;
      out.append(key.data(), key.size());
      out += '=';
      show(element, out);
      if (out.size() > kShownBytesMax) return;
    }
    out += '}';
  } else {
    out += json::serialize(value);
  }
}

bool has_value(const Shape& shape, std::string_view text) {
  if (std::binary_search(shape.values.begin(), shape.values.end(), text)) return true;
  return enum_ignores_case(shape) &&
         std::any_of(shape.values.begin(), shape.values.end(),
                     [&](std::string_view value) { return base::equals_ignore_case(value, text); });
}

// What a value of this shape has to be, each as one sentence; empty when nothing is broken.
std::vector<std::string> broken_constraints(const Shape& shape, std::string_view text) {
  std::vector<std::string> broken;
  if (shape.is_enum) {
    if (has_value(shape, text) || enum_is_checked_by_service(shape)) return broken;
    std::string values;
    for (std::string_view value : shape.values) values += (values.empty() ? "" : ", ") + std::string(value);
    broken.push_back("Member must satisfy enum value set: [" + values + "]");
    return broken;
  }
  if (shape.min != kNoMin || shape.max != kNoMax) {
    size_t length = base::utf8_length(text);
    if (shape.max != kNoMax && length > static_cast<size_t>(shape.max))
      broken.push_back("Member must have length less than or equal to " + std::to_string(shape.max));
    if (shape.min > 0 && length < static_cast<size_t>(shape.min))
      broken.push_back("Member must have length greater than or equal to " + std::to_string(shape.min));
  }
  if (!shape.pattern.empty() && !matches_pattern(shape, text))
    broken.push_back("Member must satisfy regular expression pattern: " + std::string(shape.pattern));
  return broken;
}

// Every constraint of a shape, broken or not: how AWS describes what the entries of a map or list must be.
std::string all_constraints(const Shape& shape) {
  std::string text;
  auto add = [&](const std::string& sentence) { text += (text.empty() ? "" : ", ") + sentence; };
  if (shape.max != kNoMax) add("Member must have length less than or equal to " + std::to_string(shape.max));
  if (shape.min > 0) add("Member must have length greater than or equal to " + std::to_string(shape.min));
  if (!shape.pattern.empty())
    add("Member must satisfy regular expression pattern: " + std::string(shape.pattern));
  if (shape.is_enum) {
    std::string values;
    for (std::string_view value : shape.values) values += (values.empty() ? "" : ", ") + std::string(value);
    add("Member must satisfy enum value set: [" + values + "]");
  }
  return "[" + text + "]";
}

// Whether a value of this shape may have something in it that is told nobody.
bool holds_secrets(const Shape& shape, int levels = 4) {
  if (shape.sensitive) return true;
  return levels > 0 && std::any_of(shape.members.begin(), shape.members.end(), [&](const Member& member) {
           return holds_secrets(*member.shape, levels - 1);
         });
}

class InputCheck {
 public:
  // `lenient`: strings are the service's business (S3 has its own errors for query parameters and headers).
  InputCheck(const ServiceModel& service, InputForm form, bool lenient = false)
      : service_(service), wire_(form == InputForm::kWireJson), lenient_(lenient) {}

  void structure(const Shape& shape, json::object& object, const Place* place) {
    std::bitset<kMembersMax> seen;
    bool sweep = false;
    bool rename = false;
    for (auto& entry : object) {
      std::string_view key(entry.key().data(), entry.key().size());
      const Member* member = wire_ ? find_member_by_wire(shape, key) : find_member(shape, key);
      if (!member || entry.value().is_null() || (wire_ && !in_body(*member))) {
        sweep = true;
        continue;
      }
      Place here{place, member->name, 0};
      value(*member, entry.value(), &here);
      seen.set(static_cast<size_t>(member - shape.members.data()));
      rename |= wire_ && member->name != member->wire;
    }
    for (size_t i = 0; i < shape.members.size(); ++i) {
      const Member& member = shape.members[i];
      // What is bound elsewhere than the body was checked when it was bound.
      if (!member.required || seen[i] || !in_body(member) || member.shape->streaming) continue;
      Place here{place, member.name, 0};
      report("Value null at '" + text_of(&here) + "' failed to satisfy constraint: Member must not be null");
    }
    if (shape.is_union && seen.count() != 1 && place->parent)
      syntax("Unions must have exactly one member set at '" + text_of(place) + "'");
    if (sweep || rename) rebuild(shape, object);
  }

  void finish() const {
    if (!broken_.empty()) throw constraint_error(service_, broken_);
  }

  static bool in_body(const Member& member) {
    return member.location == Location::kBody || member.location == Location::kPayload;
  }

  void value(const Member& member, json::value& value, const Place* place) {
    const Shape& shape = *member.shape;
    switch (shape.type) {
      case ShapeType::kStructure:
        if (!value.is_object()) wrong_type(shape, value);
        structure(shape, value.get_object(), place);
        return;
      case ShapeType::kList:
        list(shape, value, place);
        return;
      case ShapeType::kMap:
        map(shape, value, place);
        return;
      case ShapeType::kString: {
        if (!value.is_string()) wrong_type(shape, value);
        if (lenient_ || !constrained(shape)) return;
        for (const std::string& constraint : broken_constraints(shape, base::view(value.get_string())))
          report(shape, value, place, constraint);
        return;
      }
      case ShapeType::kBlob: {
        if (!value.is_string()) wrong_type(shape, value);
        auto bytes = base::unbase64(base::view(value.get_string()));
        if (!bytes) syntax("Invalid base64 at '" + text_of(place) + "'");
        count_entries(shape, value, bytes->size(), place);
        return;
      }
      case ShapeType::kBoolean:
        if (!value.is_bool()) wrong_type(shape, value);
        return;
      case ShapeType::kInteger:
      case ShapeType::kLong:
        integer(shape, value, place);
        return;
      case ShapeType::kFloat:
      case ShapeType::kDouble: {
        if (!value.is_number()) wrong_type(shape, value);
        double number = value.to_number<double>();
        value = number;
        if (shape.max != kNoMax && number > static_cast<double>(shape.max))
          report(shape, value, place,
                 "Member must have value less than or equal to " + std::to_string(shape.max));
        if (shape.min != kNoMin && number < static_cast<double>(shape.min))
          report(shape, value, place,
                 "Member must have value greater than or equal to " + std::to_string(shape.min));
        return;
      }
      case ShapeType::kTimestamp:
        if (wire_) timestamp(member, value);
        return;
      case ShapeType::kDocument:
        return;
    }
  }

 private:
  [[noreturn]] void syntax(const std::string& message) const { throw syntax_error(service_, message); }
  [[noreturn]] void wrong_type(const Shape& shape, const json::value& value) const {
    if (value.is_object()) syntax("Start of structure or map found where not expected.");
    if (value.is_array()) syntax("Start of list found where not expected");
    syntax(std::string(json_token(value)) + " can not be converted to a" +
           (shape.type == ShapeType::kInteger ? "n " : " ") + std::string(type_name(shape.type)));
  }

  void report(std::string text) {
    if (broken_.size() < kBrokenMax) broken_.push_back(std::move(text));
  }

  void report(const Shape& shape, const json::value& value, const Place* place,
              const std::string& constraint) {
    if (holds_secrets(shape))
      return report("Value at '" + text_of(place) + "' failed to satisfy constraint: " + constraint);
    std::string shown;
    show(value, shown);
    if (shown.size() > kShownBytesMax) {
      shown.resize(kShownBytesMax);
      while (!base::is_utf8(shown)) shown.pop_back();
      shown += "...";
    }
    report("Value '" + shown + "' at '" + text_of(place) + "' failed to satisfy constraint: " + constraint);
  }

  void count_entries(const Shape& shape, const json::value& value, size_t count, const Place* place) {
    if (shape.max != kNoMax && count > static_cast<size_t>(shape.max))
      report(shape, value, place,
             "Member must have length less than or equal to " + std::to_string(shape.max));
    if (shape.min > 0 && count < static_cast<size_t>(shape.min))
      report(shape, value, place,
             "Member must have length greater than or equal to " + std::to_string(shape.min));
  }

  void list(const Shape& shape, json::value& value, const Place* place) {
    if (!value.is_array()) wrong_type(shape, value);
    json::array& array = value.get_array();
    array.erase(std::remove_if(array.begin(), array.end(), [](const json::value& v) { return v.is_null(); }),
                array.end());
    count_entries(shape, value, array.size(), place);
    const Member& element = shape.members[0];
    if (element.shape->type == ShapeType::kString) {
      // AWS names the whole list, and all that its elements must be.
      bool fine = true;
      for (json::value& item : array) {
        if (!item.is_string()) wrong_type(*element.shape, item);
        if (fine && !lenient_ && constrained(*element.shape))
          fine = broken_constraints(*element.shape, base::view(item.get_string())).empty();
      }
      if (!fine)
        report(shape, value, place, "Member must satisfy constraint: " + all_constraints(*element.shape));
      return;
    }
    for (size_t i = 0; i < array.size(); ++i) {
      Place here{place, "", i + 1};
      this->value(element, array[i], &here);
    }
  }

  void map(const Shape& shape, json::value& value, const Place* place) {
    if (!value.is_object()) wrong_type(shape, value);
    json::object& object = value.get_object();
    const Member& key = shape.members[0];
    const Member& element = shape.members[1];
    bool nulls = false, keys_fine = true, values_fine = true;
    for (auto& entry : object) {
      if (entry.value().is_null()) {
        nulls = true;
        continue;
      }
      std::string_view name(entry.key().data(), entry.key().size());
      if (keys_fine && constrained(*key.shape)) keys_fine = broken_constraints(*key.shape, name).empty();
      if (element.shape->type == ShapeType::kString) {
        if (!entry.value().is_string()) wrong_type(*element.shape, entry.value());
        if (values_fine && constrained(*element.shape))
          values_fine = broken_constraints(*element.shape, base::view(entry.value().get_string())).empty();
      } else {
        Place here{place, name, 0};
        this->value(element, entry.value(), &here);
      }
    }
    if (nulls) {
      json::object kept(object.storage());
      for (auto& entry : object)
        if (!entry.value().is_null()) kept.emplace(entry.key(), std::move(entry.value()));
      object = std::move(kept);
    }
    count_entries(shape, value, value.get_object().size(), place);
    if (!keys_fine)
      report(shape, value, place, "Map keys must satisfy constraint: " + all_constraints(*key.shape));
    if (!values_fine)
      report(shape, value, place, "Map value must satisfy constraint: " + all_constraints(*element.shape));
  }

  void integer(const Shape& shape, json::value& value, const Place* place) {
    if (value.is_double()) {
      double number = value.get_double();
      if (std::floor(number) != number || std::abs(number) >= 9.2e18) wrong_type(shape, value);
      value = static_cast<int64_t>(number);
    }
    if (!value.is_int64()) wrong_type(shape, value);
    int64_t number = value.get_int64();
    if (shape.type == ShapeType::kInteger && (number < INT32_MIN || number > INT32_MAX))
      wrong_type(shape, value);
    if (shape.max != kNoMax && number > shape.max)
      report(shape, value, place,
             "Member must have value less than or equal to " + std::to_string(shape.max));
    if (shape.min != kNoMin && number < shape.min)
      report(shape, value, place,
             "Member must have value greater than or equal to " + std::to_string(shape.min));
  }

  void timestamp(const Member& member, json::value& value) const {
    std::optional<base::TimeMs> time;
    if (member.format == TimestampFormat::kEpochSeconds) {
      time = epoch_seconds_to_ms(value);
    } else if (value.is_string()) {
      auto read = scalar_from_text(member, base::view(value.get_string()));
      if (read) time = read->get_int64();
    }
    if (!time) wrong_type(*member.shape, value);
    value = *time;
  }

  // Keeps the known members, under our names.
  void rebuild(const Shape& shape, json::object& object) const {
    json::object kept(object.storage());
    kept.reserve(object.size());
    for (auto& entry : object) {
      std::string_view key(entry.key().data(), entry.key().size());
      const Member* member = wire_ ? find_member_by_wire(shape, key) : find_member(shape, key);
      if (member && !entry.value().is_null() && (!wire_ || in_body(*member)))
        kept.emplace(boost_view(member->name), std::move(entry.value()));
    }
    object = std::move(kept);
  }

  static bool constrained(const Shape& shape) {
    return shape.is_enum || !shape.pattern.empty() || shape.max != kNoMax || shape.min > 0;
  }

  const ServiceModel& service_;
  const bool wire_;
  const bool lenient_;
  std::vector<std::string> broken_;
};

}  // namespace

void check_input(const ServiceModel& service, const Shape& shape, json::object& input, InputForm form,
                 json::object bound) {
  InputCheck check(service, form);
  Place root{nullptr, "", 0};
  check.structure(shape, input, &root);
  InputCheck check_bound(service, InputForm::kOurs, service.protocol == Protocol::kRestXml);
  for (const Member& member : shape.members) {
    if (InputCheck::in_body(member)) continue;
    json::value* value = bound.if_contains(boost_view(member.name));
    if (!value) {
      if (member.required) throw missing_parameter_error(service, member);
      continue;
    }
    Place here{&root, member.name, 0};
    check_bound.value(member, *value, &here);
  }
  check.finish();
  check_bound.finish();
  for (auto& entry : bound) input.insert_or_assign(entry.key(), std::move(entry.value()));
}

}  // namespace millrace::aws
