#include "objects/local_reader.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "base/unique_fd.h"

namespace millrace::objects {
namespace {

using base::system_message;
using base::UniqueFd;

// Directories held open during a walk. Deeper ones are read into memory whole: a tree of that depth with a
// large folder at its end is not worth more code.
constexpr size_t kOpenDirectoriesMax = 128;

[[noreturn]] void fail(const std::string& what, int error) {
  std::string text = system_message(what, error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
      throw base::NotFoundError(text);
    case EACCES:
    case EPERM:
      throw base::DeniedError(text);
    default:
      throw base::TransientError(text);
  }
}

ObjectInfo describe(std::string key, const struct stat& st) {
  ObjectInfo info;
  info.key = std::move(key);
  info.size = static_cast<uint64_t>(st.st_size);
  info.mtime_ns = static_cast<int64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + st.st_mtim.tv_nsec;
  info.last_modified = info.mtime_ns / 1'000'000;
  return info;
}

struct Entry {
  std::string name;
  unsigned char type = DT_UNKNOWN;
};

// The entries of one directory, one after the other.
class Directory {
 public:
  Directory(UniqueFd fd, std::string key) : key_(std::move(key)), stream_(fdopendir(fd.get())) {
    if (!stream_) fail("open " + key_, errno);
    fd.release();
  }
  ~Directory() {
    if (stream_) closedir(stream_);
  }
  Directory(Directory&& other) noexcept
      : key_(std::move(other.key_)),
        stream_(std::exchange(other.stream_, nullptr)),
        names_(std::move(other.names_)),
        stored_(other.stored_) {}
  Directory& operator=(Directory&&) = delete;

  const std::string& key() const { return key_; }  // "" or "a/b/"
  int fd() const { return dirfd(stream_); }

  // False at the end.
  bool next(Entry& out) {
    if (stored_) {
      if (names_.empty()) return false;
      out = std::move(names_.back());
      names_.pop_back();
      return true;
    }
    for (;;) {
      errno = 0;
      dirent* entry = readdir(stream_);
      if (!entry) {
        if (errno != 0) fail("read folder " + key_, errno);
        return false;
      }
      std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      out.name = name;
      out.type = entry->d_type;
      return true;
    }
  }

  // Reads the rest into memory and closes the directory. Entries are then found through `root` and key().
  void store() {
    if (stored_) return;
    Entry entry;
    while (next(entry)) names_.push_back(std::move(entry));
    closedir(std::exchange(stream_, nullptr));
    stored_ = true;
  }
  bool stored() const { return stored_; }

 private:
  std::string key_;
  DIR* stream_;
  std::vector<Entry> names_;
  bool stored_ = false;
};

bool has_parent_segment(std::string_view key) {
  for (std::string_view part : base::split(key, '/'))
    if (part == "..") return true;
  return false;
}

class LocalReader final : public ObjectReader {
 public:
  LocalReader(UniqueFd root, std::string folder) : root_(std::move(root)), folder_(std::move(folder)) {}

  void list(std::string_view prefix, const std::function<bool(const ObjectInfo&)>& visit) override {
    walk(prefix, visit, nullptr);
  }
  void list_tolerant(std::string_view prefix, const std::function<bool(const ObjectInfo&)>& visit,
                     const Unreadable& unreadable) override {
    walk(prefix, visit, &unreadable);
  }

  ObjectInfo head(std::string_view key) override {
    std::string name = checked(key);
    struct stat st{};
    if (fstatat(root_.get(), name.c_str(), &st, 0) != 0) fail("read " + shown(key), errno);
    if (!S_ISREG(st.st_mode)) throw base::NotFoundError("read " + shown(key) + ": not a regular file");
    return describe(std::move(name), st);
  }

  size_t read(std::string_view key, uint64_t offset, char* out, size_t length,
              std::string_view etag) override {
    return open_file(key, etag).read(offset, out, length);
  }

  std::unique_ptr<ObjectHandle> open_object(std::string_view key, std::string_view etag) override {
    return std::make_unique<OpenFile>(open_file(key, etag));
  }

  std::string url() const override { return folder_; }

 private:
  class OpenFile final : public ObjectHandle {
   public:
    OpenFile(UniqueFd fd, const LocalReader& reader, std::string key)
        : fd_(std::move(fd)), reader_(reader), key_(std::move(key)) {}
    size_t read(uint64_t offset, char* out, size_t length) override {
      size_t got = 0;
      while (got < length) {
        ssize_t n = pread(fd_.get(), out + got, length - got, static_cast<off_t>(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("read " + reader_.shown(key_), errno);
        if (n == 0) break;
        got += static_cast<size_t>(n);
      }
      return got;
    }

   private:
    UniqueFd fd_;
    const LocalReader& reader_;
    std::string key_;
  };

  OpenFile open_file(std::string_view key, std::string_view etag) const {
    if (!etag.empty()) throw base::ConflictError("read " + shown(key) + ": plain files have no ETag");
    std::string name = checked(key);
    // O_NONBLOCK: a pipe that took the place of the file must not hang the reader.
    UniqueFd fd(openat(root_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (fd.get() < 0) {
      // A walk comes deeper than a path may be long: the file is there.
      if (errno == ENAMETOOLONG)
        throw base::UsageError(system_message("read " + shown(key), errno), "PathTooLong");
      fail("read " + shown(key), errno);
    }
    return {std::move(fd), *this, std::move(name)};
  }

  std::string shown(std::string_view key) const { return folder_ + "/" + std::string(key); }

  std::string checked(std::string_view key) const {
    if (key.empty() || key.front() == '/' || key.find('\0') != std::string_view::npos ||
        has_parent_segment(key))
      throw base::NotFoundError("read " + shown(key) + ": not a path below the folder");
    return std::string(key);
  }

  UniqueFd open_directory(int parent, const std::string& name, const std::string& key, bool follow) const {
    UniqueFd fd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW)));
    if (fd.get() < 0) fail("read folder " + shown(key), errno);
    return fd;
  }

  void walk(std::string_view prefix, const std::function<bool(const ObjectInfo&)>& visit,
            const Unreadable* unreadable) {
    // Only the folder that the prefix names needs walking; the rest of the prefix filters the names in it.
    if (has_parent_segment(prefix) || (!prefix.empty() && prefix.front() == '/')) return;
    size_t slash = prefix.rfind('/');
    std::string start(slash == std::string_view::npos ? std::string_view() : prefix.substr(0, slash + 1));
    std::string_view name_prefix = prefix.substr(start.size());
    std::vector<Directory> stack;
    auto guarded = [&](const std::string& key, auto&& action) {
      if (!unreadable) return action();
      try {
        action();
      } catch (const base::Error& error) {
        (*unreadable)(key, error);
      }
    };
    UniqueFd first(
        openat(root_.get(), start.empty() ? "." : start.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (first.get() < 0) {
      if (errno == ENOENT || errno == ENOTDIR) return;  // a prefix that nothing has
      fail("read folder " + shown(start), errno);
    }
    stack.emplace_back(std::move(first), start);
    while (!stack.empty()) {
      Entry entry;
      bool more = false;
      guarded(stack.back().key(), [&] { more = stack.back().next(entry); });
      if (!more) {
        stack.pop_back();
        continue;
      }
      Directory& top = stack.back();
      if (stack.size() == 1 && !entry.name.starts_with(name_prefix)) continue;
      std::string key = top.key() + entry.name;
      const std::string& name = top.stored() ? key : entry.name;
      int parent = top.stored() ? root_.get() : top.fd();
      std::optional<ObjectInfo> file;
      guarded(key, [&] {
        if (entry.type != DT_DIR && entry.type != DT_REG && entry.type != DT_LNK && entry.type != DT_UNKNOWN)
          return;
        struct stat st{};
        if (entry.type == DT_UNKNOWN) {
          if (fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return gone_or_fail(key);
          entry.type = S_ISDIR(st.st_mode) ? DT_DIR : DT_REG;
        }
        if (entry.type == DT_DIR) {
          UniqueFd fd = open_directory(parent, name, key, false);
          if (stack.size() >= kOpenDirectoriesMax) stack.back().store();
          stack.emplace_back(std::move(fd), key + "/");  // `top` is gone from here
          return;
        }
        if (fstatat(parent, name.c_str(), &st, 0) != 0) {
          if (entry.type == DT_LNK) fail("follow link " + shown(key), errno);
          return gone_or_fail(key);
        }
        if (S_ISREG(st.st_mode)) file = describe(key, st);
      });
      // Outside the guard: an error of the visitor is not an unreadable file.
      if (file && !visit(*file)) return;
    }
  }

  // A file removed between readdir and stat was not there; anything else is an error.
  void gone_or_fail(const std::string& key) const {
    if (errno != ENOENT) fail("read " + shown(key), errno);
  }

  UniqueFd root_;
  std::string folder_;
};

}  // namespace

std::unique_ptr<ObjectReader> open_local(const std::string& folder) {
  UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) fail("open folder " + folder, errno);
  std::string shown = folder;
  while (shown.size() > 1 && shown.back() == '/') shown.pop_back();
  return std::make_unique<LocalReader>(std::move(fd), std::move(shown));
}

}  // namespace millrace::objects
