// A work tree as git would see it, read through open folders only: no link is ever followed, also not one
// that a build left running puts in the place of a folder meanwhile.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "workloads/ingest/tree.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

constexpr size_t kDepthMax = 128;        // open folders at once
constexpr size_t kNamesMax = 5'000'000;  // of one folder
constexpr size_t kLinkMax = 64 << 10;    // bytes of a link's target

[[noreturn]] void fail(const std::string& call, const std::string& path, int error_number) {
  const std::string message = base::system_message(call + " " + workloads::printable(path), error_number);
  if (error_number == EACCES || error_number == EPERM) throw base::DeniedError(message);
  // Gone, or something else since it was listed: somebody is still writing there.
  if (error_number == ENOENT || error_number == ELOOP || error_number == ENOTDIR)
    throw base::TransientError(message, "changed");
  throw base::TransientError(message);
}

struct Name {
  std::string text;
  struct stat status{};
  bool folder() const { return S_ISDIR(status.st_mode); }
};

// As git orders them: a folder as if its name ended in '/'.
bool comes_before(const Name& a, const Name& b) {
  const size_t common = std::min(a.text.size(), b.text.size());
  if (const int order = a.text.compare(0, common, b.text, 0, common); order != 0) return order < 0;
  auto next = [&](const Name& name) {
    if (name.text.size() > common) return static_cast<unsigned char>(name.text[common]);
    return static_cast<unsigned char>(name.folder() ? '/' : '\0');
  };
  return next(a) < next(b);
}

std::string_view what_is(mode_t mode) {
  if (S_ISBLK(mode)) return "block device";
  if (S_ISCHR(mode)) return "character device";
  if (S_ISFIFO(mode)) return "pipe";
  if (S_ISSOCK(mode)) return "socket";
  return "of an unknown kind";
}

class FolderTree final : public Tree {
 public:
  explicit FolderTree(std::string folder) : folder_(std::move(folder)) {}

  void visit(const Visit& visit) override {
    base::UniqueFd root(open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root && (errno == ENOENT || errno == ENOTDIR))
      throw base::NotFoundError(base::system_message("open " + folder_, errno));
    if (!root) fail("open", folder_, errno);
    std::string path;
    walk(root.get(), path, 0, visit);
  }

 private:
  static std::vector<Name> names_of(int folder, const std::string& path) {
    base::UniqueFd copy(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!copy) fail("open", path, errno);
    DIR* stream = fdopendir(copy.get());
    if (stream == nullptr) fail("open", path, errno);
    static_cast<void>(copy.release());  // closedir() closes it
    struct Close {
      DIR* stream;
      ~Close() { closedir(stream); }
    } close{stream};
    std::vector<Name> names;
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(stream);
      if (entry == nullptr && errno != 0) fail("read", path, errno);
      if (entry == nullptr) break;
      const std::string_view text = entry->d_name;
      if (text == "." || text == ".." || base::equals_ignore_case(text, ".git")) continue;
      if (names.size() == kNamesMax)
        throw base::CorruptError(
            "more than " + std::to_string(kNamesMax) + " names in " + workloads::printable(path),
            "too-large");
      Name name;
      name.text = text;
      if (fstatat(folder, entry->d_name, &name.status, AT_SYMLINK_NOFOLLOW) != 0)
        fail("stat", path + name.text, errno);
      names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end(), comes_before);
    return names;
  }

  // `path` is empty or ends in '/', and is the same again afterwards.
  static void walk(int folder, std::string& path, size_t depth, const Visit& visit) {
    if (depth == kDepthMax)
      throw base::CorruptError("folders are nested deeper than " + std::to_string(kDepthMax), "too-deep");
    const size_t length = path.size();
    for (const Name& name : names_of(folder, path)) {
      path.resize(length);
      path += name.text;
      if (!name.folder()) {
        visit_one(folder, name, path, visit);
        continue;
      }
      base::UniqueFd below(
          openat(folder, name.text.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!below) fail("open", path, errno);
      path += '/';
      walk(below.get(), path, depth + 1, visit);
    }
    path.resize(length);
  }

  static void visit_one(int folder, const Name& name, const std::string& path, const Visit& visit) {
    static const Read kNothing = [](char*, size_t) { return size_t{0}; };
    TreeEntry entry;
    entry.path = path;
    const mode_t mode = name.status.st_mode;
    if (S_ISLNK(mode)) {
      entry.kind = TreeEntry::Kind::kSymlink;
      entry.link.resize(kLinkMax);
      const ssize_t got = readlinkat(folder, name.text.c_str(), entry.link.data(), entry.link.size());
      if (got < 0) fail("readlink", path, errno);
      entry.link.resize(static_cast<size_t>(got));
      return visit(entry, kNothing);
    }
    if (!S_ISREG(mode)) {
      entry.kind = TreeEntry::Kind::kOther;
      entry.link = what_is(mode);
      return visit(entry, kNothing);
    }
    // O_NONBLOCK: it may have become a pipe meanwhile.
    base::UniqueFd file(openat(folder, name.text.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status{};
    if (!file || fstat(file.get(), &status) != 0) fail("open", path, errno);
    if (!S_ISREG(status.st_mode))
      throw base::TransientError(workloads::printable(path) + " is no file any more", "changed");
    entry.kind = (status.st_mode & S_IXUSR) != 0 ? TreeEntry::Kind::kExecutable : TreeEntry::Kind::kFile;
    entry.size = static_cast<uint64_t>(status.st_size);
    visit(entry, [&](char* out, size_t size) {
      for (;;) {
        const ssize_t got = ::read(file.get(), out, size);
        if (got >= 0) return static_cast<size_t>(got);
        if (errno != EINTR) fail("read", path, errno);
      }
    });
  }

  const std::string folder_;
};

}  // namespace

std::unique_ptr<Tree> open_folder_tree(const std::string& folder) {
  return std::make_unique<FolderTree>(folder);
}

}  // namespace millrace::ingest
