#include "tests/support/radosgw.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <vector>

extern char** environ;

namespace millrace::testing {
namespace {

// Ports that are free now.
std::vector<std::string> free_ports(size_t count) {
  std::vector<int> sockets;
  std::vector<std::string> ports;
  for (size_t i = 0; i < count; ++i) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no free port");
    ports.push_back(std::to_string(ntohs(address.sin_port)));
    sockets.push_back(fd);
  }
  for (int fd : sockets) close(fd);
  return ports;
}

}  // namespace

std::string Radosgw::missing() {
  for (const char* program : {"radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph", "monmaptool"})
    if (!std::filesystem::exists(std::string("/usr/bin/") + program))
      return std::string(program) +
             " is not installed (apt-get install radosgw ceph-mon ceph-osd ceph-common)";
  return "";
}

Radosgw& Radosgw::instance() {
  static Radosgw server;
  return server;
}

Radosgw::Radosgw() {
  std::string pattern = (std::filesystem::temp_directory_path() / "millrace-rgw-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
  std::vector<std::string> ports = free_ports(2);
  url_ = "http://127.0.0.1:" + ports[0];
  int input[2], output[2];
  if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], 0);
  posix_spawn_file_actions_adddup2(&actions, output[1], 1);
  std::string script = MILLRACE_SOURCE_DIR "/tests/support/radosgw.sh";
  std::vector<std::string> words = {"bash", script, folder_, ports[0], ports[1]};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int error = posix_spawnp(&script_, "bash", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(input[0]);
  close(output[1]);
  input_ = input[1];
  if (error != 0) throw std::runtime_error("bash cannot be started");
  pollfd ready{output[0], POLLIN, 0};
  constexpr int kStartMs = 120'000;
  char text[16];
  bool up = poll(&ready, 1, kStartMs) == 1 && read(output[0], text, sizeof text) >= 5;
  close(output[0]);
  if (!up) throw std::runtime_error("radosgw did not start");
}

Radosgw::~Radosgw() {
  close(input_);
  waitpid(script_, nullptr, 0);
}

}  // namespace millrace::testing
