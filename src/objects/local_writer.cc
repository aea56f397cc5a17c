#include "objects/local_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "base/strings.h"

namespace millrace::objects {
namespace {

using base::UniqueFd;

constexpr size_t kNameBytesMax = 255;  // NAME_MAX

[[noreturn]] void fail(const std::string& what, int error) {
  std::string text = base::system_message(what, error);
  switch (error) {
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENOTEMPTY:
    case EEXIST:
      throw base::ConflictError(text, "KeyCollision");
    case EACCES:
    case EPERM:
    case EROFS:
      throw base::DeniedError(text);
    case ENOENT:
      throw base::NotFoundError(text);
    default:
      throw base::TransientError(text, error == ENOSPC || error == EDQUOT ? "DiskFull" : "");
  }
}

}  // namespace

LocalWriter::NewFile::~NewFile() {
  if (folder_ && !draft_.empty()) unlinkat(folder_.get(), draft_.c_str(), 0);
}

void LocalWriter::NewFile::publish(int64_t mtime_ns) {
  if (mtime_ns != 0) {
    timespec times[2] = {{0, UTIME_OMIT},
                         {static_cast<time_t>(mtime_ns / 1'000'000'000), mtime_ns % 1'000'000'000}};
    if (utimensat(folder_.get(), draft_.c_str(), times, 0) != 0) fail("set the time of " + shown_, errno);
  }
  if (renameat(folder_.get(), draft_.c_str(), folder_.get(), name_.c_str()) != 0)
    fail("write " + shown_, errno);
  draft_.clear();
}

int LocalWriter::root() {
  std::lock_guard lock(mutex_);
  if (!root_) {
    std::error_code error;
    std::filesystem::create_directories(root_path_, error);
    root_.reset(open(root_path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_) fail("open folder " + root_path_, errno);
  }
  return root_.get();
}

UniqueFd LocalWriter::folder_of(std::string_view key, bool make, std::string& name) {
  auto unsafe = [&](const char* why) {
    return base::UsageError("the key '" + std::string(key) + "' cannot be a file name: " + why, "UnsafeKey");
  };
  std::vector<std::string_view> parts = base::split(key, '/');
  for (std::string_view part : parts) {
    if (part.empty()) throw unsafe("it has an empty part");
    if (part == "." || part == "..") throw unsafe("it has a part '.' or '..'");
    if (part.size() > kNameBytesMax) throw unsafe("a part is longer than 255 bytes");
    if (part.find('\0') != std::string_view::npos) throw unsafe("it holds a NUL");
    if (part.starts_with(kUnfinishedFilePrefix)) throw unsafe("it is like those of unfinished files");
  }
  name = parts.back();
  parts.pop_back();
  UniqueFd folder(fcntl(root(), F_DUPFD_CLOEXEC, 0));
  if (!folder) fail("open folder " + root_path_, errno);
  for (std::string_view part : parts) {
    std::string text(part);
    UniqueFd next(openat(folder.get(), text.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next && errno == ENOENT && make) {
      if (mkdirat(folder.get(), text.c_str(), 0777) != 0 && errno != EEXIST)
        fail("make the folder of " + shown(key), errno);
      next.reset(openat(folder.get(), text.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
    if (!next) fail("open the folder of " + shown(key), errno);
    folder = std::move(next);
  }
  return folder;
}

LocalWriter::NewFile LocalWriter::create(std::string_view key) {
  NewFile file;
  written_ = true;
  file.folder_ = folder_of(key, true, file.name_);
  file.shown_ = shown(key);
  struct stat st{};
  if (fstatat(file.folder_.get(), file.name_.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
    fail("write " + file.shown_, EISDIR);
  for (;;) {
    std::string draft = std::string(kUnfinishedFilePrefix) + base::random_hex(16);
    UniqueFd fd(openat(file.folder_.get(), draft.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!fd) fail("write " + file.shown_, errno);
    // Whoever finds the file sees that it is still being written. Where there are no locks, none are found.
    // It may have been found before it had its lock: then another one.
    bool taken = flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (taken || (fstat(fd.get(), &st) == 0 && st.st_nlink == 0)) continue;
    file.file_ = std::move(fd);
    file.draft_ = std::move(draft);
    return file;
  }
}

void LocalWriter::put(std::string_view key, std::string_view body) {
  NewFile file = create(key);
  while (!body.empty()) {
    ssize_t n = write(file.fd(), body.data(), body.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("write " + shown(key), errno);
    body.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(file.fd()) != 0) fail("write " + shown(key), errno);
  file.publish(0);
  if (fsync(file.folder_.get()) != 0) fail("write " + shown(key), errno);
}

void LocalWriter::make_folder(std::string_view key) {
  while (key.ends_with('/')) key.remove_suffix(1);
  std::string name;
  UniqueFd folder = folder_of(key, true, name);
  if (mkdirat(folder.get(), name.c_str(), 0777) == 0) return;
  struct stat st{};
  if (errno != EEXIST || fstatat(folder.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISDIR(st.st_mode))
    fail("make folder " + shown(key), errno);
}

void LocalWriter::remove(std::string_view key) {
  std::string name;
  try {
    UniqueFd folder = folder_of(key, false, name);
    if (unlinkat(folder.get(), name.c_str(), 0) != 0 && errno != ENOENT) fail("remove " + shown(key), errno);
  } catch (const base::NotFoundError&) {
    // Its folder is gone, and so is it.
  }
}

bool remove_unfinished(int folder, const std::string& name) {
  UniqueFd file(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return errno == ENOENT;
  struct stat st{};
  if (fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
  return unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT;
}

void LocalWriter::remove_leftovers() {
  if (looked_for_leftovers_.exchange(true)) return;
  DIR* stream = opendir(root_path_.c_str());
  if (!stream) return;
  while (dirent* entry = readdir(stream))
    if (std::string name = entry->d_name; name.starts_with(kUnfinishedFilePrefix))
      remove_unfinished(dirfd(stream), name);
  closedir(stream);
}

void LocalWriter::sync() {
  written_ = false;
  if (syncfs(root()) != 0) fail("write to the disk of " + root_path_, errno);
}

}  // namespace millrace::objects
