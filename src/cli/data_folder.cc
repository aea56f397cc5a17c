#include "cli/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace millrace::cli {
namespace {

std::string lock_path(const DataFolder& folder) { return folder.path + "/lock"; }

// A folder that was there already may be open to others. One that holds something else than our data is left
// as it is: its files have modes of their own.
void keep_others_out(const DataFolder& folder) {
  struct stat info{};
  if (stat(folder.path.c_str(), &info) != 0 || (info.st_mode & 077) == 0 || info.st_uid != geteuid()) return;
  std::error_code error;
  if (access(lock_path(folder).c_str(), F_OK) == 0 || std::filesystem::is_empty(folder.path, error))
    chmod(folder.path.c_str(), 0700);
}

}  // namespace

std::string default_data_folder() {
  if (const char* given = std::getenv("MILLRACE_DATA"); given && *given) return given;
  if (const char* xdg = std::getenv("XDG_DATA_HOME"); xdg && *xdg) return std::string(xdg) + "/millrace";
  const char* home = std::getenv("HOME");
  if (!home || !*home)
    throw base::UsageError("HOME is not set, so there is no default data folder; name one with --data");
  return std::string(home) + "/.local/share/millrace";
}

DataFolder name_data_folder(const std::string& path) {
  std::error_code error;
  DataFolder folder{std::filesystem::absolute(path, error).lexically_normal().string()};
  while (folder.path.size() > 1 && folder.path.back() == '/') folder.path.pop_back();
  return folder;
}

DataFolder open_data_folder(const std::string& path) {
  DataFolder folder = name_data_folder(path);
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(folder.path).parent_path(), error);
  if (mkdir(folder.path.c_str(), 0700) != 0 && errno != EEXIST)
    throw base::TransientError(base::system_message("cannot make the data folder " + folder.path, errno));
  keep_others_out(folder);
  if (access(folder.path.c_str(), W_OK | X_OK) != 0)
    throw base::DeniedError(base::system_message("cannot write to the data folder " + folder.path, errno));
  return folder;
}

base::UniqueFd lock_data_folder(const DataFolder& folder) {
  base::UniqueFd fd(open(lock_path(folder).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) throw base::TransientError(base::system_message("open " + lock_path(folder), errno));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    throw base::ConflictError("the data folder " + folder.path +
                              " is in use by another engine; stop it, or choose another folder with --data");
  return fd;
}

base::UniqueFd lock_try(const DataFolder& folder) {
  std::string path = folder.path + "/try.lock";
  base::UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) throw base::TransientError(base::system_message("open " + path, errno));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  std::fprintf(stderr, "another `millrace try` uses %s; waiting for it\n", folder.path.c_str());
  while (flock(fd.get(), LOCK_EX) != 0)
    if (errno != EINTR) throw base::TransientError(base::system_message("lock " + path, errno));
  return fd;
}

bool engine_holds(const DataFolder& folder) {
  base::UniqueFd fd(open(lock_path(folder).c_str(), O_RDONLY | O_CLOEXEC));
  return fd && flock(fd.get(), LOCK_SH | LOCK_NB) != 0;
}

std::string running_endpoint(const DataFolder& folder) {
  if (!engine_holds(folder)) return "";
  std::ifstream file(folder.endpoint());
  std::string url, ca_bundle;
  std::getline(file, url);
  std::getline(file, ca_bundle);
  if (!ca_bundle.empty()) setenv("AWS_CA_BUNDLE", ca_bundle.c_str(), 1);
  return url;
}

std::string require_endpoint(const DataFolder& folder) {
  if (std::string endpoint = running_endpoint(folder); !endpoint.empty()) return endpoint;
  if (engine_holds(folder))
    throw base::TransientError("the engine on " + folder.path + " is still starting; try again in a moment");
  throw base::NotFoundError("no engine runs on " + folder.path + "; start one with `millrace serve --data " +
                            folder.path + "`");
}

}  // namespace millrace::cli
