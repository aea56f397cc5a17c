#include "base/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "base/unique_fd.h"

namespace millrace::base {

void write_durably(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".new";
  auto fail = [&](const char* what) {
    const int error = errno;
    unlink(temporary.c_str());
    throw TransientError(system_message(std::string(what) + " " + path, error));
  };
  // A leftover may belong to a time when others could open it.
  unlink(temporary.c_str());
  UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) fail("cannot write");
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t n = write(fd.get(), bytes.data() + at, bytes.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("cannot write");
    at += static_cast<size_t>(n);
  }
  if (fsync(fd.get()) != 0 || rename(temporary.c_str(), path.c_str()) != 0) fail("cannot write");
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const UniqueFd directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || fsync(directory.get()) != 0) fail("cannot make durable");
}

std::string read_small_file(const std::string& path, size_t bytes_max) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) throw NotFoundError(path + " is not there");
    if (errno == EACCES) throw DeniedError(system_message("cannot read " + path, errno));
    throw TransientError(system_message("cannot read " + path, errno));
  }
  std::string bytes(bytes_max + 1, '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t n = read(fd.get(), bytes.data() + have, bytes.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw TransientError(system_message("cannot read " + path, errno));
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  if (have > bytes_max) throw CorruptError(path + " is longer than " + std::to_string(bytes_max) + " bytes");
  bytes.resize(have);
  return bytes;
}

}  // namespace millrace::base
