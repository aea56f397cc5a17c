#include "workloads/ingest/ctags.h"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/child_process.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace millrace::ingest {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kLineMax = 1 << 20;  // bytes of one answer

base::ChildOptions child_options(const CtagsOptions& options) {
  const char* path = std::getenv("PATH");
  return {
      .arguments = {options.program, "--options=NONE", "--quiet", "--_interactive=sandbox", "--fields=NnKlsS",
                    "--extras=-F"},
      .environment = {std::string("PATH=") + (path != nullptr ? path : "/usr/bin:/bin"), "LC_ALL=C.UTF-8"},
      .limits = {{RLIMIT_AS, options.memory_bytes}, {RLIMIT_CORE, 0}, {RLIMIT_FSIZE, 0}}};
}

std::string text(const base::json::object& from, std::string_view name) {
  return std::string(base::find_string(from, name).value_or(""));
}

int milliseconds_until(steady_clock::time_point until) {
  const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now()).count();
  return static_cast<int>(std::max<int64_t>(0, left + 1));
}

}  // namespace

struct Ctags::Process {
  explicit Process(const base::ChildOptions& options)
      : child(options, base::ChildProcess::kInput | base::ChildProcess::kOutput) {}
  base::ChildProcess child;
  std::string read;  // what came and was not looked at yet
  size_t looked = 0;
};

Ctags::Ctags(CtagsOptions options) : options_(std::move(options)) {}
Ctags::~Ctags() = default;

std::string Ctags::read_line(steady_clock::time_point until) {
  std::string& read = process_->read;
  size_t searched = process_->looked;
  for (;;) {
    const size_t end = read.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = read.substr(process_->looked, end - process_->looked);
      process_->looked = end + 1;
      return line;
    }
    read.erase(0, process_->looked);
    process_->looked = 0;
    searched = read.size();
    if (read.size() > kLineMax) throw base::TransientError("ctags answers without end", "died");
    pollfd waited{process_->child.output(), POLLIN, 0};
    const int ready = poll(&waited, 1, milliseconds_until(until));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) throw base::TransientError("ctags took too long", "timeout");
    std::array<char, 16 << 10> buffer;
    const ssize_t got = ::read(process_->child.output(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) throw base::TransientError("ctags ended: " + process_->child.end().text(), "died");
    read.append(buffer.data(), static_cast<size_t>(got));
  }
}

void Ctags::send(std::string_view bytes, steady_clock::time_point until) {
  while (!bytes.empty()) {
    const ssize_t sent = process_->child.write_input(bytes);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) throw base::TransientError("ctags ended: " + process_->child.end().text(), "died");
    pollfd waited{process_->child.input(), POLLOUT, 0};
    if (poll(&waited, 1, milliseconds_until(until)) == 0)
      throw base::TransientError("ctags took too long", "timeout");
  }
}

void Ctags::symbols(std::string_view name, std::string_view content,
                    const std::function<void(Symbol&&)>& found) {
  const auto until = steady_clock::now() + options_.file_time;
  try {
    if (!process_) {
      process_ = std::make_unique<Process>(child_options(options_));
      read_line(until);  // who it is
    }
    const base::json::object request = {{"command", "generate-tags"},
                                        {"filename", base::to_utf8(name.substr(name.rfind('/') + 1))},
                                        {"size", content.size()}};
    send(base::json::serialize(request) + '\n', until);
    send(content, until);
    for (;;) {
      const std::string line = read_line(until);
      // What it says of a file that is no UTF-8 is none either.
      const base::json::value value = base::parse_json(base::is_utf8(line) ? line : base::to_utf8(line));
      if (!value.is_object()) throw base::CorruptError("it is no object");
      const base::json::object& answer = value.as_object();
      const std::string type = text(answer, "_type");
      if (type == "completed") return;
      if (type == "error") throw base::TransientError("ctags: " + text(answer, "message"), "died");
      if (type != "tag") continue;
      Symbol symbol;
      symbol.name = text(answer, "name");
      symbol.kind = text(answer, "kind");
      symbol.language = text(answer, "language");
      symbol.scope = text(answer, "scope");
      symbol.scope_kind = text(answer, "scopeKind");
      symbol.signature = text(answer, "signature");
      symbol.line = static_cast<uint64_t>(std::max<int64_t>(0, base::find_int(answer, "line").value_or(0)));
      found(std::move(symbol));
    }
  } catch (const base::CorruptError& error) {
    process_.reset();
    throw base::TransientError(std::string("ctags answered what is no JSON: ") + error.what(), "died");
  } catch (...) {
    process_.reset();  // whatever it still wants to say belongs to that file
    throw;
  }
}

std::optional<std::string> why_no_ctags(const CtagsOptions& options) {
  try {
    Ctags ctags(options);
    bool main = false;
    ctags.symbols("probe.c", "int main(void) { return 0; }\n",
                  [&](const Symbol& symbol) { main = main || symbol.name == "main"; });
    if (!main) return options.program + " finds no symbols: it is not Universal Ctags";
    return std::nullopt;
  } catch (const base::NotFoundError&) {
    return options.program + " is not installed (Debian: universal-ctags)";
  } catch (const base::Error& error) {
    return options.program +
           " cannot be used: it must be Universal Ctags with JSON and its sandbox (Debian: " +
           "universal-ctags); " + error.what();
  }
}

}  // namespace millrace::ingest
