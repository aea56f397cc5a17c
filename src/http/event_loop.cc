#include "http/event_loop.h"

#include <time.h>

#include <boost/asio/post.hpp>

#include "base/time.h"

namespace millrace::http {
namespace {

thread_local const Mailbox* mailbox_of_this_thread = nullptr;

}  // namespace

void Mailbox::adopt_this_thread() const { mailbox_of_this_thread = this; }

void Mailbox::deliver(std::shared_ptr<Slot> slot, Response response) {
  // An answer from within handle() needs no detour. With a waiter it does: resuming a coroutine from inside
  // some other request's handler would nest handlers without bound.
  if (mailbox_of_this_thread == this && !slot->waiter) {
    slot->response = std::move(response);
    slot->answered = true;
    return;
  }
  std::lock_guard lock(mutex_);
  if (!io_) return;
  answers_.push_back({std::move(slot), std::move(response)});
  if (answers_.size() == 1) boost::asio::post(*io_, [self = shared_from_this()] { self->drain(); });
}

void Mailbox::drain() {
  std::vector<Answer> answers;
  {
    std::lock_guard lock(mutex_);
    answers.swap(answers_);
  }
  for (Answer& answer : answers) {
    answer.slot->response = std::move(answer.response);
    answer.slot->answered = true;
    answer.slot->wake();
  }
}

void Mailbox::close() {
  std::vector<Answer> dropped;
  std::lock_guard lock(mutex_);
  io_ = nullptr;
  dropped.swap(answers_);
}

std::string_view EventLoop::http_date() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != date_second_) {
    date_second_ = now.tv_sec;
    date_ = base::http_date(now.tv_sec * 1000);
  }
  return date_;
}

int64_t coarse_now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace millrace::http
