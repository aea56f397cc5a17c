// The test program is also the runner that the tests start, and the `millrace` that their jobs call.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "exec/runner_process.h"

extern char** environ;

namespace {

int runner(int argc, char** argv) {
  millrace::exec::RunnerProcessOptions options;
  for (int i = 2; i + 1 < argc; i += 2) {
    std::string name = argv[i], value = argv[i + 1];
    if (name == "--data") options.data_dir = value;
    if (name == "--listen-fd") options.listen_fd = std::stoi(value);
    if (name == "--lock-fd") options.lock_fd = std::stoi(value);
    if (name == "--idle-exit-ms") options.idle_exit_ms = std::stoll(value);
  }
  return millrace::exec::run_runner(options);
}

// Prints its environment and descriptors, as a job finds them.
int show() {
  for (char** variable = environ; *variable; ++variable) std::printf("env %s\n", *variable);
  for (int fd = 0; fd < 4096; ++fd)
    if (fcntl(fd, F_GETFD) >= 0) std::printf("fd %d\n", fd);
  std::printf("session %d\n", getsid(0) == getpid() && getpgrp() == getpid());
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, nullptr, &blocked);
  int odd = 0;
  for (int number = 1; number < 32; ++number) {
    struct sigaction action;
    if (sigismember(&blocked, number) ||
        (sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN))
      ++odd;
  }
  std::printf("odd signals %d\n", odd);
  return 0;
}

// Takes `mib` MiB and touches them.
int eat(int mib) {
  for (int i = 0; i < mib; ++i) {
    void* memory = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 3;
    std::memset(memory, i + 1, 1 << 20);
    asm volatile("" : : "r"(memory) : "memory");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string command = argc > 1 ? argv[1] : "";
  if (command == "runner") return runner(argc, argv);
  if (command == "show") return show();
  if (command == "eat") return eat(std::stoi(argv[2]));
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
