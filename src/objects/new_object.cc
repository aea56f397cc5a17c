#include "objects/new_object.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "objects/s3_client.h"

namespace millrace::objects {
namespace {

[[noreturn]] void raise(const std::string& what, int error) {
  std::string message = base::system_message(what, error);
  if (error == ENOENT || error == ENOTDIR) throw base::NotFoundError(message);
  if (error == EACCES || error == EPERM || error == EROFS || error == EISDIR)
    throw base::DeniedError(message);
  throw base::TransientError(message);
}

// A file without a name, gone with its descriptor. Not every file system has O_TMPFILE.
base::UniqueFd nameless_file() {
  std::string folder = std::filesystem::temp_directory_path().string();
  base::UniqueFd fd(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd) return fd;
  std::string name = folder + "/millrace-" + base::random_hex(16);
  fd.reset(open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) raise("make a temporary file in " + folder, errno);
  unlink(name.c_str());
  return fd;
}

std::string path_of(const base::UniqueFd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

base::UniqueFd folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return base::UniqueFd(open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

// A file without a name in the folder of `path`: whoever dies while it is written leaves nothing behind.
// Nothing where the file system has none, or where it could not be given a name later.
base::UniqueFd nameless_draft(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  base::UniqueFd fd(open(folder.empty() ? "." : folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644));
  if (fd && access(path_of(fd).c_str(), F_OK) != 0) fd.reset();
  return fd;
}

// Nobody who publishes through this class renames between a comparison and a rename below it. Others may hold
// such a lock for as long as they like (`flock FOLDER millrace …` does): it is waited for only as long as
// one of us could need it. Then, and where a file system has no locks, the window is as small as it gets.
void lock(const base::UniqueFd& folder) {
  constexpr auto kWait = std::chrono::seconds(3);
  const auto due = std::chrono::steady_clock::now() + kWait;
  while (folder && flock(folder.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK || std::chrono::steady_clock::now() >= due) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

bool is_still(const std::string& path, const std::optional<ObjectInfo>& before) {
  struct stat now{};
  if (stat(path.c_str(), &now) != 0) return !before && errno == ENOENT;
  return before && static_cast<uint64_t>(now.st_size) == before->size &&
         now.st_mtim.tv_sec * int64_t{1'000'000'000} + now.st_mtim.tv_nsec == before->mtime_ns;
}

}  // namespace

NewObject::NewObject(const Location& destination, std::string content_type)
    : path_(destination.path), content_type_(std::move(content_type)) {
  shown_ = destination.is_s3 ? "s3://" + destination.bucket + "/" + path_ : path_;
  if (path_.empty() || path_.ends_with('/'))
    throw base::UsageError(shown_ + " names no object; give it a name behind the last slash");
  if (!destination.is_s3) {
    fd_ = nameless_draft(path_);
    if (fd_) return;
    draft_ = path_ + ".new-" + base::random_hex(8);
    fd_.reset(open(draft_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!fd_) raise("write " + shown_, errno);
    return;
  }
  client_ = open_s3(destination.bucket);
  if (!client_->bucket_exists())
    throw base::NotFoundError("there is no bucket " + destination.bucket + " (" + shown_ + ")",
                              "NoSuchBucket");
  fd_ = nameless_file();
}

NewObject::~NewObject() {
  if (fd_ && !draft_.empty()) unlink(draft_.c_str());
}

void NewObject::write(std::string_view bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) raise("write " + shown_, errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

std::string NewObject::path_to_fill() const { return path_of(fd_); }

void NewObject::publish() { publish_if(nullptr); }

void NewObject::publish_over(const std::optional<ObjectInfo>& before) { publish_if(&before); }

void NewObject::publish_if(const std::optional<ObjectInfo>* before) {
  if (client_)
    put(before);
  else
    rename_draft(before);
  fd_.reset();
}

void NewObject::put(const std::optional<ObjectInfo>* before) {
  UploadOptions options;
  options.headers.add("Content-Type", content_type_);
  if (before) {
    options.if_none_match = !*before;
    if (*before) options.if_match = (*before)->etag;
  }
  try {
    // A server without ETags knows no condition either: then the window is as small as it gets.
    if (before && *before && options.if_match.empty()) {
      const ObjectInfo now = client_->head(path_);
      if (now.size != (*before)->size || now.last_modified != (*before)->last_modified) raise_changed();
    }
    client_->put_file(path_, path_to_fill(), options);
  } catch (const base::ConflictError&) {
    if (!before) throw;
    raise_changed();
  } catch (const base::NotFoundError& error) {
    // What was to be replaced is gone.
    if (!before || !*before || error.code() == "NoSuchBucket") throw;
    raise_changed();
  }
}

void NewObject::rename_draft(const std::optional<ObjectInfo>* before) {
  if (fsync(fd_.get()) != 0) raise("write " + shown_, errno);
  const base::UniqueFd folder = folder_of(path_);
  lock(folder);
  if (before && !is_still(path_, *before)) raise_changed();
  if (draft_.empty()) {
    const std::string name = path_ + ".new-" + base::random_hex(8);
    if (linkat(AT_FDCWD, path_to_fill().c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0)
      raise("write " + shown_, errno);
    draft_ = name;
  }
  if (rename(draft_.c_str(), path_.c_str()) != 0) raise("write " + shown_, errno);
  draft_.clear();
  // The name in its folder is durable only when the folder is. EINVAL: a file system that cannot say.
  if (folder && fsync(folder.get()) != 0 && errno != EINVAL) raise("write " + shown_, errno);
}

void NewObject::raise_changed() const {
  throw base::ConflictError(shown_ + " is no longer what it was when it was read: another run has written it",
                            "PreconditionFailed");
}

}  // namespace millrace::objects
