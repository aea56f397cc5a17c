#include "http/live_body.h"

#include <utility>

namespace millrace::http {

bool LiveBody::write(std::string piece) {
  std::function<void()> wake;
  {
    std::lock_guard lock(mutex_);
    if (abandoned_ || ended_) return false;
    if (pieces_.size() >= pieces_max_) pieces_.pop_front();
    pieces_.push_back(std::move(piece));
    wake = wake_;
  }
  if (wake) wake();
  return true;
}

void LiveBody::end() {
  std::function<void()> wake;
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    wake = wake_;
  }
  if (wake) wake();
}

void LiveBody::attach(std::function<void()> wake) {
  std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

std::optional<std::string> LiveBody::take() {
  std::lock_guard lock(mutex_);
  if (pieces_.empty()) return std::nullopt;
  std::string piece = std::move(pieces_.front());
  pieces_.pop_front();
  return piece;
}

bool LiveBody::ended() const {
  std::lock_guard lock(mutex_);
  return ended_ && pieces_.empty();
}

void LiveBody::abandon() {
  std::lock_guard lock(mutex_);
  abandoned_ = true;
  wake_ = nullptr;
  pieces_.clear();
}

}  // namespace millrace::http
