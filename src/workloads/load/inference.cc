#include "workloads/load/inference.h"

#include "base/strings.h"
#include "workloads/load/json_check.h"
#include "workloads/load/value.h"
#include "workloads/text.h"

namespace millrace::load {
namespace {

constexpr size_t kExampleBytes = 40;
constexpr size_t kDigitsMax = 18;

}  // namespace

TypeGuess::Kind TypeGuess::kind_of(const Cell& cell, bool strings_are_text) {
  const std::string_view text = cell.text;
  if (text.empty()) return kText;
  int64_t number = 0;
  bool zoned = false;
  if (!(strings_are_text && cell.quoted)) {
    const char first = text.front();
    if ((first >= '0' && first <= '9') || first == '-' || first == '.') {
      Decimal decimal;
      if (parse_decimal(text, decimal)) {
        if (decimal.leading_zeros) return kText;
        if (decimal.has_exponent) return kExponent;
        const bool point = text.find('.') != std::string_view::npos;
        if (!point && decimal.whole.size() > kDigitsMax) return kText;
        return point ? kDecimal : kWhole;
      }
    }
    for (const char* word : {"true", "false", "t", "f"})
      if (base::equals_ignore_case(text, word)) return kBool;
  }
  if (text.size() >= 10 && text[4] == '-') {
    if (parse_date(text, number)) return kDate;
    if (parse_time(text, number, zoned)) return zoned ? kInstant : kTime;
  }
  std::array<unsigned char, 16> uuid{};
  if (parse_uuid(text, uuid)) return kUuid;
  if ((text.front() == '{' || text.front() == '[') && is_json(text)) return kJson;
  return kText;
}

void TypeGuess::add(const Cell& cell, bool strings_are_text) {
  if (cell.null) {
    ++nulls_;
    return;
  }
  const Kind kind = kind_of(cell, strings_are_text);
  const Type before = values_ ? type() : Type::kText;
  ++seen_[kind];
  if (values_++ == 0)
    example_ = workloads::shortened(workloads::printable(cell.text.substr(0, 200)), kExampleBytes);
  if (before != Type::kText && spoiler_.empty() && type() == Type::kText)
    spoiler_ = workloads::shortened(workloads::printable(cell.text.substr(0, 200)), kExampleBytes);
}

Type TypeGuess::type() const {
  if (values_ == 0) return Type::kText;
  const auto all = [this](std::initializer_list<Kind> kinds) {
    uint64_t sum = 0;
    for (const Kind kind : kinds) sum += seen_[kind];
    return sum == values_;
  };
  if (all({kBool})) return Type::kBool;
  if (all({kWhole})) return Type::kInt64;
  if (all({kWhole, kDecimal})) return Type::kNumeric;
  if (all({kWhole, kDecimal, kExponent})) return Type::kDouble;
  if (all({kDate})) return Type::kDate;
  if (all({kDate, kTime})) return Type::kTimestamp;
  if (all({kInstant})) return Type::kTimestampTz;
  if (all({kUuid})) return Type::kUuid;
  if (all({kJson})) return Type::kJson;
  return Type::kText;
}

std::string plain_name(std::string_view name) {
  std::string plain;
  for (const char c : base::to_lower(base::trim(name))) {
    const bool word =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
    if (word) {
      plain += c;
    } else if (!plain.empty() && plain.back() != '_') {
      plain += '_';
    }
  }
  while (!plain.empty() && plain.back() == '_' && name.back() != '_') plain.pop_back();
  return plain;
}

}  // namespace millrace::load
