#include "workloads/load/binary_rows.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace millrace::load {
namespace {

constexpr int64_t kDaysTo2000 = 10'957;    // PostgreSQL counts from 2000-01-01
constexpr size_t kTakeBytes = 512 * 1024;  // about when take() is called

template <typename Number>
Number big_endian(Number number) {
  static_assert(std::endian::native == std::endian::little);
  if constexpr (sizeof(Number) == 2)
    return static_cast<Number>(__builtin_bswap16(static_cast<uint16_t>(number)));
  if constexpr (sizeof(Number) == 4)
    return static_cast<Number>(__builtin_bswap32(static_cast<uint32_t>(number)));
  if constexpr (sizeof(Number) == 8)
    return static_cast<Number>(__builtin_bswap64(static_cast<uint64_t>(number)));
}

}  // namespace

BinaryRows::BinaryRows() {
  bytes_.reserve(kTakeBytes + (kTakeBytes / 8));
  bytes_.append("PGCOPY\n\377\r\n\0", 11);
  put<int32_t>(0);  // flags
  put<int32_t>(0);  // length of the header's extension
}

template <typename Number>
void BinaryRows::put(Number number) {
  number = big_endian(number);
  bytes_.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void BinaryRows::put_bytes(const void* bytes, size_t size) {
  if (size > INT32_MAX) throw base::CorruptError("a value longer than 2 GiB");
  put<int32_t>(static_cast<int32_t>(size));
  bytes_.append(static_cast<const char*>(bytes), size);
}

void BinaryRows::begin_row(size_t columns) {
  row_ = bytes_.size();
  put<int16_t>(static_cast<int16_t>(columns));
}

void BinaryRows::add_null() { put<int32_t>(-1); }

void BinaryRows::add_int64(int64_t value) {
  put<int32_t>(8);
  put<int64_t>(value);
}

void BinaryRows::add(const Column& column, const Value& value) {
  switch (column.type) {
    case Type::kBool:
      put<int32_t>(1);
      bytes_ += static_cast<char>(value.integer);
      return;
    case Type::kInt16:
      put<int32_t>(2);
      put<int16_t>(static_cast<int16_t>(value.integer));
      return;
    case Type::kInt32:
      put<int32_t>(4);
      put<int32_t>(static_cast<int32_t>(value.integer));
      return;
    case Type::kInt64:
      add_int64(value.integer);
      return;
    case Type::kNumeric:
      put_numeric(column, value.text);
      return;
    case Type::kFloat:
      put<int32_t>(4);
      put<uint32_t>(std::bit_cast<uint32_t>(static_cast<float>(value.real)));
      return;
    case Type::kDouble:
      put<int32_t>(8);
      put<uint64_t>(std::bit_cast<uint64_t>(value.real));
      return;
    case Type::kDate:
      put<int32_t>(4);
      put<int32_t>(static_cast<int32_t>(value.integer - kDaysTo2000));
      return;
    case Type::kTimestamp:
    case Type::kTimestampTz:
      put<int32_t>(8);
      put<int64_t>(value.integer - kDaysTo2000 * 86'400'000'000);
      return;
    case Type::kUuid:
      put_bytes(value.uuid.data(), value.uuid.size());
      return;
    case Type::kJsonb:
      if (value.text.size() >= INT32_MAX) throw base::CorruptError("a value longer than 2 GiB");
      put<int32_t>(static_cast<int32_t>(value.text.size() + 1));
      bytes_ += '\1';  // version of jsonb's binary form
      bytes_ += value.text;
      return;
    case Type::kJson:
    case Type::kBytes:
    case Type::kText:
    case Type::kOther:
      put_bytes(value.text.data(), value.text.size());
      return;
  }
}

// numeric_recv(): digits in base 10,000, the weight of the first, the sign, and the decimals to show.
void BinaryRows::put_numeric(const Column& column, std::string_view text) {
  constexpr int16_t kNegative = 0x4000;
  constexpr auto kNan = static_cast<int16_t>(0xc000);
  if (text == "NaN") {
    put<int32_t>(8);
    put<int16_t>(0);
    put<int16_t>(0);
    put<int16_t>(kNan);
    put<int16_t>(0);
    return;
  }
  Decimal decimal;
  parse_decimal(text, decimal);
  // As the column has it, else as written, trailing zeros included: 1.50 stays 1.50.
  const size_t point = text.find('.');
  const size_t scale = column.precision > 0              ? static_cast<size_t>(std::max(column.scale, 0))
                       : point == std::string_view::npos ? 0
                                                         : text.size() - point - 1;
  if (scale > 16'383 || decimal.whole.size() > 131'072)
    throw base::CorruptError("a number with too many digits");
  const size_t length_at = bytes_.size();
  put<int32_t>(0);
  const size_t head_at = bytes_.size();
  put<int64_t>(0);
  const size_t whole_groups = (decimal.whole.size() + 3) / 4;
  int count = 0;
  int weight = static_cast<int>(whole_groups) - 1;
  bool started = false;
  int pending_zeros = 0;
  const auto add_group = [&](int group) {
    if (group == 0) {
      if (started)
        ++pending_zeros;
      else
        --weight;
      return;
    }
    started = true;
    for (; pending_zeros > 0; --pending_zeros, ++count) put<int16_t>(0);
    put<int16_t>(static_cast<int16_t>(group));
    ++count;
  };
  for (size_t group = 0; group < whole_groups; ++group) {
    const size_t end = decimal.whole.size() - 4 * (whole_groups - group - 1);
    const size_t begin = end >= 4 ? end - 4 : 0;
    int number = 0;
    for (size_t at = begin; at < end; ++at) number = number * 10 + (decimal.whole[at] - '0');
    add_group(number);
  }
  for (size_t begin = 0; begin < decimal.fraction.size(); begin += 4) {
    int number = 0;
    for (size_t at = begin; at < begin + 4; ++at)
      number = number * 10 + (at < decimal.fraction.size() ? decimal.fraction[at] - '0' : 0);
    add_group(number);
  }
  if (!started) weight = 0;
  const std::array<int16_t, 4> head = {big_endian(static_cast<int16_t>(count)),
                                       big_endian(static_cast<int16_t>(weight)),
                                       big_endian(started && decimal.negative ? kNegative : int16_t{0}),
                                       big_endian(static_cast<int16_t>(scale))};
  std::memcpy(bytes_.data() + head_at, head.data(), 8);
  const int32_t length = big_endian(static_cast<int32_t>(bytes_.size() - head_at));
  std::memcpy(bytes_.data() + length_at, &length, 4);
}

void BinaryRows::drop_row() { bytes_.resize(row_); }

void BinaryRows::end() { put<int16_t>(-1); }

std::string BinaryRows::take() {
  std::string taken = std::exchange(bytes_, {});
  bytes_.reserve(kTakeBytes + (kTakeBytes / 8));
  row_ = 0;
  return taken;
}

}  // namespace millrace::load
