// Where the brackets, colons and commas of a JSON text are: the skeleton by which events are walked without
// being parsed.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace millrace::events {

// Reused from event to event; not thread-safe. Texts of 4 GiB or more throw UsageError.
class StructuralIndex {
 public:
  // Finds every { } [ ] : , outside strings. Nothing is checked but that the last string ends: throws
  // CorruptError when it does not.
  void build(std::string_view text);

  const uint32_t* positions() const { return positions_.get(); }  // ascending
  size_t size() const { return size_; }
  bool has_backslash() const { return has_backslash_; }

 private:
  std::unique_ptr<uint32_t[]> positions_;
  size_t capacity_ = 0;
  size_t size_ = 0;
  bool has_backslash_ = false;
};

}  // namespace millrace::events
