// A COPY … FROM STDIN in a thread of its own.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <thread>

#include "sql/copy_in.h"
#include "workloads/bounded_queue.h"

namespace millrace::load {

// Encoding and the server work at the same time. The connection is its own until finish().
class CopySender {
 public:
  CopySender(sql::Connection& connection, const std::string& command)
      : copy_(sql::copy_in(connection, command)), queue_(kQueue), thread_([this] { send(); }) {}
  ~CopySender() {
    queue_.abort();
    if (thread_.joinable()) thread_.join();
  }
  CopySender(const CopySender&) = delete;
  CopySender& operator=(const CopySender&) = delete;

  // False: sending failed; finish() says why.
  bool push(std::string bytes) { return queue_.push(std::move(bytes)); }
  int64_t finish() {
    queue_.close();
    thread_.join();
    if (error_) std::rethrow_exception(error_);
    return copy_->finish();
  }

 private:
  static constexpr size_t kQueue = 8;

  void send() {
    try {
      while (auto bytes = queue_.pop()) copy_->write(*bytes);
    } catch (...) {
      error_ = std::current_exception();
      queue_.abort();
    }
  }

  std::unique_ptr<sql::CopyIn> copy_;
  workloads::BoundedQueue<std::string> queue_;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace millrace::load
