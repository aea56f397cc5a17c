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
  // How the text is read: by the widest vectors that the processor has, unless a test asks for others.
  enum class Way { kPortable, kAvx2, kAvx512 };
  static bool can(Way way);
  static Way best();

  explicit StructuralIndex(Way way = best()) : way_(way) {}

  // Finds every { } [ ] : , outside strings. Nothing is checked but that the last string ends: throws
  // CorruptError when it does not.
  void build(std::string_view text);

  const uint32_t* positions() const { return positions_.get(); }  // ascending
  size_t size() const { return size_; }
  bool has_backslash() const { return has_backslash_; }

 private:
  Way way_;
  std::unique_ptr<uint32_t[]> positions_;
  size_t capacity_ = 0;
  size_t size_ = 0;
  bool has_backslash_ = false;
};

}  // namespace millrace::events
