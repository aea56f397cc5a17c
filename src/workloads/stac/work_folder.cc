#include "workloads/stac/work_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/durable_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "workloads/stac/spool_files.h"

namespace millrace::stac {

std::string default_work() {
  std::string folder =
      (std::filesystem::temp_directory_path() / ("millrace-stac-" + std::to_string(getuid()))).string();
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) raise_errno("make " + folder, errno);
  struct stat facts{};
  if (lstat(folder.c_str(), &facts) != 0) raise_errno("look at " + folder, errno);
  if (!S_ISDIR(facts.st_mode) || facts.st_uid != getuid() || (facts.st_mode & 022) != 0)
    throw base::DeniedError(folder + " is no folder of this user alone; say --work FOLDER");
  return folder;
}

WorkFolder::WorkFolder(const std::string& parent, std::string_view identity)
    : path_(parent + "/" + base::sha256_hex(identity).substr(0, 16)) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) raise_errno("make " + path_, error.value());
  lock_ = open_file(path_ + "/lock", O_RDWR | O_CREAT);
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) raise_errno("lock " + path_, errno);
    throw base::ConflictError("another run of the same job works in " + path_, "Locked");
  }
  base::write_durably(path_ + "/job", identity);  // for people who wonder what the folder is
}

void WorkFolder::remove() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace millrace::stac
