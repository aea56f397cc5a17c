// A PostgreSQL server for one test program: its own data folder and socket, no TCP, gone when the program
// ends.
#pragma once

#include <sys/types.h>

#include <string>

namespace millrace::testing {

class Postgres {
 public:
  // The server of this process, started at the first call. Throws std::runtime_error with the server's own
  // words when it cannot start. Not thread-safe.
  static Postgres& instance();
  // The URL of a new, empty database.
  std::string new_database();
  ~Postgres();
  Postgres(const Postgres&) = delete;
  Postgres& operator=(const Postgres&) = delete;

 private:
  Postgres();
  std::string folder_;
  pid_t server_ = -1;
  int databases_ = 0;
};

}  // namespace millrace::testing
