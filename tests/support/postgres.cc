#include "tests/support/postgres.h"

#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

namespace millrace::testing {
namespace {

namespace fs = std::filesystem;

// Debian keeps the server's programs in /usr/lib/postgresql/<version>/bin, off the PATH.
fs::path program(const std::string& name) {
  fs::path best;
  std::error_code none;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", none)) {
    fs::path candidate = version.path() / "bin" / name;
    if (fs::exists(candidate) && candidate > best) best = candidate;
  }
  if (best.empty()) throw std::runtime_error("PostgreSQL is not installed: apt-get install postgresql");
  return best;
}

// Starts a program with its output in `log`. The server refuses to run as root, so root steps down to
// `postgres`.
pid_t start(const std::vector<std::string>& words, const fs::path& log) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const passwd* user = geteuid() == 0 ? getpwnam("postgres") : nullptr;
  pid_t parent = getpid();
  pid_t child = fork();
  if (child != 0) return child;
  int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(out, 1);
  dup2(out, 2);
  if (user != nullptr &&
      (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)) {
    _exit(126);
  }
  // A test that crashes must not leave a server behind.
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (getppid() != parent) _exit(125);
  execv(argv[0], argv.data());
  _exit(127);
}

std::string contents(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

std::string url(const std::string& folder, const std::string& database) {
  return "postgresql://postgres@/" + database + "?host=" + folder;
}

}  // namespace

Postgres& Postgres::instance() {
  static Postgres server;
  return server;
}

Postgres::Postgres() {
  std::string pattern = (fs::temp_directory_path() / "millrace-pg-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
  if (const passwd* user = geteuid() == 0 ? getpwnam("postgres") : nullptr) {
    if (chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) throw std::runtime_error("chown " + folder_);
  }
  fs::permissions(folder_, fs::perms(0755));  // tests may connect as other users
  fs::path log = folder_ + ".log";
  std::string data = folder_ + "/data";
  pid_t made = start({program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--locale=C.UTF-8", "--no-sync"},
                     log);
  int status = 0;
  waitpid(made, &status, 0);
  if (status != 0) throw std::runtime_error("initdb failed: " + contents(log));
  server_ = start({program("postgres"), "-D", data, "-k", folder_, "-c", "listen_addresses=", "-c",
                   "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=40"},
                  log);
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (PQping(url(folder_, "postgres").c_str()) != PQPING_OK) {
    if (waitpid(server_, &status, WNOHANG) == server_ || std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error("postgres did not start: " + contents(log));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the server offers nothing to wait for
  }
}

Postgres::~Postgres() {
  kill(server_, SIGQUIT);  // at once: nothing in it is worth a checkpoint
  waitpid(server_, nullptr, 0);
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
  fs::remove(folder_ + ".log", ignored);
}

std::string Postgres::new_database() {
  std::string name = "test" + std::to_string(++databases_);
  PGconn* connection = PQconnectdb(url(folder_, "postgres").c_str());
  PGresult* result = PQexec(connection, ("CREATE DATABASE " + name).c_str());
  std::string error = PQresultStatus(result) == PGRES_COMMAND_OK ? "" : PQerrorMessage(connection);
  PQclear(result);
  PQfinish(connection);
  if (!error.empty()) throw std::runtime_error("CREATE DATABASE: " + error);
  return url(folder_, name);
}

}  // namespace millrace::testing
