#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/unique_fd.h"
#include "workloads/copy/listing.h"

namespace millrace::copy {
namespace {

using base::system_message;
using base::UniqueFd;

std::unique_ptr<base::Error> error_of(const std::string& what, int number) {
  std::string text = system_message(what, number);
  if (number == ENOENT || number == ELOOP) return std::make_unique<base::NotFoundError>(text);
  if (number == EACCES || number == EPERM) return std::make_unique<base::DeniedError>(text);
  return std::make_unique<base::TransientError>(text);
}

class FolderListing final : public Listing {
 public:
  FolderListing(const std::string& folder, KeyRange range, Unreadable unreadable, Leftovers leftovers)
      : folder_(folder), range_(std::move(range)), unreadable_(std::move(unreadable)), leftovers_(leftovers) {
    root_.reset(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_) {
      if (errno == ENOENT) return;
      int number = errno;
      std::string text = system_message("list " + folder, number);
      if (number == EACCES || number == EPERM) throw base::DeniedError(text);
      throw base::NotFoundError(text);
    }
    enter("");
  }

  bool next(objects::ObjectInfo& out) override {
    while (!stack_.empty()) {
      Level& level = stack_.back();
      if (level.names.empty()) {
        stack_.pop_back();
        continue;
      }
      std::string key = level.key + level.names.back();
      level.names.pop_back();
      if (!range_.until.empty() && key > range_.until) {
        stack_.clear();
        return false;
      }
      if (key.ends_with('/')) {
        // Everything in it lies before the range when its own name does and is no beginning of the bound.
        if (key <= range_.after && !range_.after.starts_with(key)) continue;
        enter(key);
        continue;
      }
      if (key <= range_.after) continue;
      struct stat st{};
      if (fstatat(root_.get(), key.c_str(), &st, 0) != 0) {
        // Gone since its folder was read; unless it is a link that leads nowhere.
        struct stat link{};
        if (errno == ENOENT && fstatat(root_.get(), key.c_str(), &link, AT_SYMLINK_NOFOLLOW) != 0) continue;
        tell(key, errno == 0 ? ENOENT : errno);
        continue;
      }
      if (!S_ISREG(st.st_mode)) continue;
      out = {};
      out.key = std::move(key);
      out.size = static_cast<uint64_t>(st.st_size);
      out.mtime_ns = static_cast<int64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + st.st_mtim.tv_nsec;
      out.last_modified = out.mtime_ns / 1'000'000;
      return true;
    }
    return false;
  }
  void shorten(const std::string& until) override { range_.until = until; }

 private:
  struct Level {
    std::string key;  // "" or "a/b/"
    std::vector<std::string>
        names;  // in descending order; folders with a slash, so that keys sort as a whole
  };

  void tell(const std::string& key, int number) {
    auto error = error_of("read " + folder_ + "/" + key, number);
    if (!unreadable_) throw *error;
    unreadable_(key, *error);
  }

  void enter(const std::string& key) {
    UniqueFd fd(openat(root_.get(), key.empty() ? "." : key.c_str(),
                       O_RDONLY | O_DIRECTORY | O_CLOEXEC | (key.empty() ? 0 : O_NOFOLLOW)));
    DIR* stream = fd ? fdopendir(fd.get()) : nullptr;
    if (!stream) {
      if (errno != ENOENT) tell(key, errno);
      return;
    }
    fd.release();
    Level level{key, {}};
    errno = 0;
    while (dirent* entry = readdir(stream)) {
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (name.starts_with(kUnfinishedPrefix)) {
        if (leftovers_ == Leftovers::kRemove) objects::remove_unfinished(dirfd(stream), name);
        errno = 0;
        continue;
      }
      unsigned char type = entry->d_type;
      if (type == DT_UNKNOWN) {
        struct stat st{};
        if (fstatat(dirfd(stream), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
        type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : S_ISLNK(st.st_mode) ? DT_LNK : 0;
      }
      if (type == DT_DIR)
        level.names.push_back(name + "/");
      else if (type == DT_REG || type == DT_LNK)
        level.names.push_back(std::move(name));
      errno = 0;
    }
    int number = errno;
    closedir(stream);
    if (number != 0) tell(key, number);
    std::sort(level.names.begin(), level.names.end(), std::greater<>());
    stack_.push_back(std::move(level));
  }

  const std::string folder_;
  KeyRange range_;
  Unreadable unreadable_;
  const Leftovers leftovers_;
  UniqueFd root_;
  std::vector<Level> stack_;
};

}  // namespace

std::unique_ptr<Listing> list_folder(const std::string& folder, KeyRange range, Unreadable unreadable,
                                     Leftovers leftovers) {
  return std::make_unique<FolderListing>(folder, std::move(range), std::move(unreadable), leftovers);
}

}  // namespace millrace::copy
