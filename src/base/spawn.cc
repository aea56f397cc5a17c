#include "base/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::base {
namespace {

constexpr size_t kStackBytes = 128 << 10;

struct Child {
  const SpawnRequest* request;
  char* const* argv;
  char* const* envp;
  pid_t parent;
  const std::pair<int, rlimit>* limits;
  size_t limit_count;
  const struct sigaction* usual;
  SpawnResult::Step step;
  int error;
};

// Runs in the parent's memory while the parent sleeps: system calls only, nothing that allocates or locks.
// Not instrumented: the sanitizer does not know this stack.
__attribute__((no_sanitize("address", "undefined"))) int child_main(void* argument) {
  Child& child = *static_cast<Child*>(argument);
  const SpawnRequest& request = *child.request;
  // The parent may have died before prctl: then nobody would ever send the signal.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != child.parent) _exit(127);
  child.step = SpawnResult::Step::kSession;
  pid_t self = setsid();
  if (self < 0) goto failed;
  if (request.pid_written_to) request.pid_written_to->store(self, std::memory_order_relaxed);
  child.step = SpawnResult::Step::kCgroup;
  if (request.cgroup_procs_fd >= 0 && write(request.cgroup_procs_fd, "0", 1) != 1) goto failed;
  child.step = SpawnResult::Step::kFiles;
  if (dup2(request.stdin_fd, 0) < 0 || dup2(request.stdout_fd, 1) < 0 || dup2(request.stderr_fd, 2) < 0)
    goto failed;
  if (syscall(SYS_close_range, 3U, ~0U, 0) != 0) goto failed;
  child.step = SpawnResult::Step::kLimits;
  for (size_t i = 0; i < child.limit_count; ++i)
    if (setrlimit(static_cast<__rlimit_resource_t>(child.limits[i].first), &child.limits[i].second) != 0)
      goto failed;
  child.step = SpawnResult::Step::kDirectory;
  if (chdir(request.directory.c_str()) != 0) goto failed;
  child.step = SpawnResult::Step::kExec;
  sigaction(SIGPIPE, child.usual, nullptr);  // the table of the child: CLONE_SIGHAND is not set
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(request.program.c_str(), child.argv, child.envp);
failed:
  child.error = errno;
  _exit(127);
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

// One for each thread that spawns: their children run at the same time.
class Stack {
 public:
  Stack() {
    memory_ =
        mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory_ == MAP_FAILED) throw TransientError(system_message("mmap", errno));
  }
  ~Stack() { munmap(memory_, kStackBytes); }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  char* top() { return static_cast<char*>(memory_) + kStackBytes; }

 private:
  void* memory_;
};

// Handlers of the parent must not run in the child, which shares its memory.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

SpawnResult spawn(const SpawnRequest& request) {
  std::vector<char*> argv = pointers(request.arguments);
  std::vector<char*> envp = pointers(request.environment);
  struct sigaction usual = {};
  usual.sa_handler = SIG_DFL;
  Child child{&request,
              argv.data(),
              envp.data(),
              getpid(),
              request.limits.data(),
              request.limits.size(),
              &usual,
              SpawnResult::Step::kClone,
              0};
  thread_local Stack stack;
  SignalsBlocked blocked;
  pid_t pid = clone(child_main, stack.top(), CLONE_VM | CLONE_VFORK | SIGCHLD, &child);
  if (pid < 0) return {-1, errno, SpawnResult::Step::kClone};
  if (child.error == 0) return {pid, 0, SpawnResult::Step::kExec};
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return {-1, child.error, child.step};
}

std::optional<std::string> find_program(const std::string& name, const std::optional<std::string>& path,
                                        const std::string& directory) {
  auto executable = [&](const std::string& candidate) {
    std::string absolute = candidate.starts_with('/') ? candidate : directory + "/" + candidate;
    struct stat status;
    return access(absolute.c_str(), X_OK) == 0 && stat(absolute.c_str(), &status) == 0 &&
           S_ISREG(status.st_mode);
  };
  if (name.find('/') != std::string::npos)
    return executable(name) ? std::optional<std::string>(name) : std::nullopt;
  if (name.empty()) return std::nullopt;
  const std::string usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (std::string_view folder : base::split(path ? *path : usual, ':')) {
    std::string candidate = (folder.empty() ? std::string(".") : std::string(folder)) + "/" + name;
    if (executable(candidate)) return candidate;
  }
  return std::nullopt;
}

}  // namespace millrace::base
