#include "workloads/stac/spool_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace millrace::stac {

void raise_errno(const std::string& what, int error) {
  std::string message = base::system_message(what, error);
  if (error == ENOENT || error == ENOTDIR) throw base::NotFoundError(message);
  if (error == EACCES || error == EPERM || error == EROFS) throw base::DeniedError(message);
  throw base::TransientError(message);
}

base::UniqueFd open_file(const std::string& path, int flags) {
  base::UniqueFd file(open(path.c_str(), flags | O_CLOEXEC, 0600));
  if (!file) raise_errno("open " + path, errno);
  return file;
}

void write_all(int file, std::string_view bytes, const std::string& shown) {
  while (!bytes.empty()) {
    ssize_t n = write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) raise_errno("write " + shown, errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

bool read_at(int file, uint64_t offset, char* out, size_t length) {
  while (length > 0) {
    ssize_t n = pread(file, out, length, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) raise_errno("read a chunk of items", errno);
    if (n == 0) return false;
    out += n, offset += static_cast<uint64_t>(n), length -= static_cast<size_t>(n);
  }
  return true;
}

std::vector<ItemRecord> read_records(int file, const std::string& shown) {
  struct stat facts{};
  if (fstat(file, &facts) != 0) raise_errno("read " + shown, errno);
  std::vector<ItemRecord> records(static_cast<size_t>(facts.st_size) / sizeof(ItemRecord));
  if (!read_at(file, 0, reinterpret_cast<char*>(records.data()), records.size() * sizeof(ItemRecord)))
    throw base::CorruptError(shown + " became shorter while it was read");
  return records;
}

void sync_folder(const std::string& folder) {
  base::UniqueFd fd = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (fsync(fd.get()) != 0) raise_errno("write " + folder, errno);
}

}  // namespace millrace::stac
