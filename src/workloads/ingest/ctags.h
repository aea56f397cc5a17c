// Symbols of source files through Universal Ctags, which reads hostile text: a process of its own, without
// access to files or the network (its sandbox), with limits of time and memory, and one for many files.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::base {
class ChildProcess;
}

namespace millrace::ingest {

struct Symbol {
  std::string name, kind, language, scope, scope_kind, signature;
  uint64_t line = 0;  // 1-based; 0: not known
};

struct CtagsOptions {
  std::string program = "ctags";  // looked for in PATH
  std::chrono::milliseconds file_time{10'000};
  uint64_t memory_bytes = 512ull << 20;  // of its address space
};

// Where there is a ctags that can do it: nothing, or why not, in a sentence for people. Starts it once.
std::optional<std::string> why_no_ctags(const CtagsOptions& options = {});

// One thread at a time. The process starts with the first file, and again after one that it died of; it ends
// with this object.
class Ctags {
 public:
  explicit Ctags(CtagsOptions options = {});
  ~Ctags();
  Ctags(const Ctags&) = delete;
  Ctags& operator=(const Ctags&) = delete;

  // The symbols of one file of that name (only its ending counts). Throws TransientError when it took too
  // long or ctags died of it (code "timeout" or "died"), NotFoundError when there is no ctags.
  void symbols(std::string_view name, std::string_view content, const std::function<void(Symbol&&)>& found);

 private:
  struct Process;
  std::string read_line(std::chrono::steady_clock::time_point until);
  void send(std::string_view bytes, std::chrono::steady_clock::time_point until);

  CtagsOptions options_;
  std::unique_ptr<Process> process_;
};

}  // namespace millrace::ingest
