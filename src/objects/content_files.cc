#include "objects/content_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <vector>

#include "base/error.h"

namespace millrace::objects {
namespace {

using base::UniqueFd;

[[noreturn]] void fail(const std::string& what, int error) {
  if (error == ENOSPC || error == EDQUOT)
    throw base::TransientError(what + ": the disk is full; free some space and try again", "DiskFull");
  if (error == ENOENT) throw base::NotFoundError(base::system_message(what, error));
  throw base::TransientError(base::system_message(what, error));
}

std::string hex_name(ContentId content) {
  char text[17] = {};
  std::to_chars(text, text + 16, static_cast<uint64_t>(content), 16);
  std::string name(text);
  return std::string(16 - name.size(), '0') + name;
}

// 256 folders by the fastest-changing byte, so that each stays small.
std::string final_name(ContentId content) {
  std::string name = hex_name(content);
  return name.substr(14) + "/" + name;
}

UniqueFd open_folder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail("create folder " + path, errno);
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) fail("open folder " + path, errno);
  return fd;
}

}  // namespace

ContentFiles::ContentFiles(std::string folder)
    : folder_(std::move(folder)),
      incoming_(open_folder(folder_ + "/incoming")),
      content_(open_folder(folder_ + "/content")) {
  for (int i = 0; i < 256; ++i) {
    std::string name = hex_name(i).substr(14);
    if (mkdirat(content_.get(), name.c_str(), 0700) != 0 && errno != EEXIST)
      fail("create folder " + folder_ + "/content/" + name, errno);
  }
  if (fsync(content_.get()) != 0) fail("sync " + folder_ + "/content", errno);
}

UniqueFd ContentFiles::create(ContentId content) {
  UniqueFd fd(
      openat(incoming_.get(), hex_name(content).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) fail("create a file in " + folder_ + "/incoming", errno);
  return fd;
}

bool ContentFiles::link(ContentId source, ContentId content) {
  // The source may move from incoming/ to content/ between two looks: look twice.
  std::string target = hex_name(content);
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (linkat(content_.get(), final_name(source).c_str(), incoming_.get(), target.c_str(), 0) == 0)
      return true;
    if (errno == ENOENT &&
        linkat(incoming_.get(), hex_name(source).c_str(), incoming_.get(), target.c_str(), 0) == 0)
      return true;
    if (errno == EMLINK || errno == EPERM || errno == EOPNOTSUPP) return false;
    if (errno != ENOENT) break;
  }
  fail("link a file in " + folder_, errno);
}

void ContentFiles::sync_names() {
  if (fsync(incoming_.get()) != 0) fail("sync " + folder_ + "/incoming", errno);
}

void ContentFiles::publish(ContentId content) {
  if (renameat(incoming_.get(), hex_name(content).c_str(), content_.get(), final_name(content).c_str()) !=
          0 &&
      errno != ENOENT)
    fail("move a file in " + folder_, errno);
}

void ContentFiles::remove(ContentId content) {
  unlinkat(incoming_.get(), hex_name(content).c_str(), 0);
  unlinkat(content_.get(), final_name(content).c_str(), 0);
}

UniqueFd ContentFiles::open(ContentId content) const {
  for (int attempt = 0; attempt < 2; ++attempt) {
    UniqueFd fd(openat(content_.get(), final_name(content).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT)
      fd = UniqueFd(openat(incoming_.get(), hex_name(content).c_str(), O_RDONLY | O_CLOEXEC));
    if (fd) return fd;
    if (errno != ENOENT) break;
  }
  fail("open content file " + folder_ + "/content/" + final_name(content), errno);
}

void ContentFiles::for_each_incoming(const std::function<void(ContentId)>& visit) {
  struct Close {
    void operator()(DIR* d) const { closedir(d); }
  };
  std::unique_ptr<DIR, Close> stream(opendir((folder_ + "/incoming").c_str()));
  if (!stream) fail("read folder " + folder_ + "/incoming", errno);
  while (dirent* entry = readdir(stream.get())) {
    std::string_view name = entry->d_name;
    uint64_t id = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id, 16);
    if (name.size() == 16 && error == std::errc() && end == name.data() + name.size())
      visit(static_cast<ContentId>(id));
  }
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("write an object", errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void append_from(int fd, int source, uint64_t offset, uint64_t length) {
  auto position = static_cast<loff_t>(offset);
  bool in_kernel = true;
  std::vector<char> buffer;
  while (length > 0) {
    if (in_kernel) {
      ssize_t n = copy_file_range(source, &position, fd, nullptr, std::min<uint64_t>(length, 1 << 30), 0);
      if (n > 0) {
        length -= static_cast<uint64_t>(n);
        continue;
      }
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO)) fail("copy an object", errno);
      in_kernel = false;  // a file system that cannot: through memory
      buffer.resize(256 * 1024);
    }
    ssize_t n = pread(source, buffer.data(), std::min<uint64_t>(length, buffer.size()), position);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("read an object", errno);
    if (n == 0) throw base::CorruptError("a content file is shorter than the index says");
    write_all(fd, {buffer.data(), static_cast<size_t>(n)});
    position += n;
    length -= static_cast<uint64_t>(n);
  }
}

void sync_data(int fd) {
  if (fdatasync(fd) != 0) fail("sync an object", errno);
}

}  // namespace millrace::objects
