// Rows on their way to a table: made by many threads, bound to statements by the one that writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sql/connection.h"
#include "workloads/text.h"

namespace millrace::scan {

// Values in row order, all texts in one piece of memory.
class RowBuffer {
 public:
  void null() { values_.push_back({Kind::kNull, {}}); }
  void add(int64_t value) { values_.push_back({Kind::kInteger, {.integer = value}}); }
  void add(uint64_t value) { add(static_cast<int64_t>(value)); }
  void add(int value) { add(static_cast<int64_t>(value)); }
  void add(uint32_t value) { add(static_cast<int64_t>(value)); }
  void add(bool value) { add(static_cast<int64_t>(value)); }
  void add(double value) { values_.push_back({Kind::kReal, {.real = value}}); }
  // Any bytes; stored as workloads::storage_text() gives them.
  void add(std::string_view bytes) {
    Value value{Kind::kText, {.text = {static_cast<uint32_t>(texts_.size()), 0}}};
    if (workloads::is_storage_text(bytes)) {
      texts_ += bytes;
    } else {
      texts_ += workloads::storage_text(bytes);
    }
    value.text.length = static_cast<uint32_t>(texts_.size() - value.text.offset);
    values_.push_back(value);
  }
  void add(const char*) = delete;  // would become a bool
  // Facts that are not there: no text means that the file does not say.
  void add_if(std::string_view bytes) { bytes.empty() ? null() : add(bytes); }
  template <typename T>
  void add_if(const std::optional<T>& value) {
    value ? add(*value) : null();
  }

  void clear() {
    values_.clear();
    texts_.clear();
  }
  size_t size() const { return values_.size(); }
  size_t bytes() const { return values_.capacity() * sizeof(Value) + texts_.capacity(); }
  int64_t integer(size_t at) const { return values_[at].integer; }
  std::string_view text(size_t at) const {
    return std::string_view(texts_).substr(values_[at].text.offset, values_[at].text.length);
  }
  // Texts stay in the buffer: it must outlive the run of the statement.
  void bind(size_t at, sql::Statement& statement, int parameter) const {
    const Value& value = values_[at];
    switch (value.kind) {
      case Kind::kNull:
        statement.bind_null(parameter);
        break;
      case Kind::kInteger:
        statement.bind(parameter, value.integer);
        break;
      case Kind::kReal:
        statement.bind(parameter, value.real);
        break;
      case Kind::kText:
        statement.bind_view(parameter, text(at));
        break;
    }
  }

 private:
  enum class Kind : uint8_t { kNull, kInteger, kReal, kText };
  struct Value {
    Kind kind;
    union {
      int64_t integer;
      double real;
      struct {
        uint32_t offset, length;
      } text;
    };
  };
  std::vector<Value> values_;
  std::string texts_;
};

}  // namespace millrace::scan
