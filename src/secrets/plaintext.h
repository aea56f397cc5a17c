// A secret while it is in memory.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace millrace::secrets {

// Overwrites `text` so that nothing of it is left in its memory, and empties it.
void wipe(std::string& text);

// Text that is wiped when it goes. Moving leaves nothing behind.
class Plaintext {
 public:
  Plaintext() = default;
  explicit Plaintext(std::string text) : text_(std::move(text)) {}
  Plaintext(Plaintext&& other) noexcept : text_(std::move(other.text_)) { wipe(other.text_); }
  Plaintext& operator=(Plaintext&& other) noexcept {
    wipe(text_);
    text_ = std::move(other.text_);
    wipe(other.text_);
    return *this;
  }
  Plaintext(const Plaintext&) = delete;
  Plaintext& operator=(const Plaintext&) = delete;
  ~Plaintext() { wipe(text_); }

  std::string_view view() const { return text_; }

 private:
  std::string text_;
};

}  // namespace millrace::secrets
