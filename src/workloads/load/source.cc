#include "workloads/load/source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "base/error.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "objects/s3_client.h"
#include "objects/store.h"

namespace millrace::load {
namespace {

constexpr size_t kRangeBytes = 8ull << 20;  // of one request

base::UniqueFd temporary_file() {
  const char* folder = std::getenv("TMPDIR");
  std::string pattern = std::string(folder && *folder ? folder : "/tmp") + "/millrace-load-XXXXXX";
  base::UniqueFd file(mkostemp(pattern.data(), O_CLOEXEC));
  if (!file) throw base::TransientError(base::system_message("make a temporary file " + pattern, errno));
  unlink(pattern.c_str());
  return file;
}

void write_all(const base::UniqueFd& file, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t put = write(file.get(), bytes, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw base::TransientError(base::system_message("write a temporary file", errno));
    bytes += put;
    size -= static_cast<size_t>(put);
  }
}

std::string path_of(const base::UniqueFd& file) { return "/proc/self/fd/" + std::to_string(file.get()); }

std::string change_of(const struct stat& status) {
  return "size-" + std::to_string(status.st_size) + "-mtime-" + std::to_string(status.st_mtim.tv_sec) + "." +
         std::to_string(status.st_mtim.tv_nsec);
}

// A file by its descriptor. Changes while it is read are found at its end: better late than never.
class FileStream final : public ByteStream {
 public:
  FileStream(int file, const SourceVersion& version, bool pinned)
      : file_(file), version_(version), pinned_(pinned) {}
  size_t read(char* out, size_t size) override {
    for (;;) {
      const ssize_t got = pread(file_, out, size, static_cast<off_t>(offset_));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw base::TransientError(base::system_message("read " + version_.name, errno));
      if (got == 0 && pinned_) check();
      offset_ += static_cast<uint64_t>(got);
      return static_cast<size_t>(got);
    }
  }

 private:
  void check() const {
    struct stat now{};
    if (fstat(file_, &now) != 0 || change_of(now) != version_.version)
      throw base::ConflictError(version_.name + " changed while it was read");
  }
  const int file_;
  const SourceVersion& version_;
  const bool pinned_;
  uint64_t offset_ = 0;
};

class FileSource final : public Source {
 public:
  explicit FileSource(const std::string& path) : file_(open_file(path)) {
    struct stat status{};
    if (fstat(file_.get(), &status) != 0)
      throw base::TransientError(base::system_message("stat " + path, errno));
    if (S_ISDIR(status.st_mode)) throw base::UsageError(path + " is a folder; name a file");
    if (!S_ISREG(status.st_mode)) {
      spool();
      version_.name = path;
      return;
    }
    version_.name = std::filesystem::absolute(path).lexically_normal().string();
    version_.version = change_of(status);
    version_.size = static_cast<uint64_t>(status.st_size);
    version_.modified = status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1'000'000;
  }
  const SourceVersion& version() const override { return version_; }
  std::unique_ptr<ByteStream> open() override {
    return std::make_unique<FileStream>(file_.get(), version_, !version_.version.empty());
  }
  std::string local_path() override { return path_of(file_); }

 private:
  static base::UniqueFd open_file(const std::string& path) {
    base::UniqueFd file(path == "-" ? dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file) return file;
    const std::string message = base::system_message("open " + path, errno);
    if (errno == ENOENT || errno == ENOTDIR) throw base::NotFoundError(message);
    if (errno == EACCES) throw base::DeniedError(message);
    throw base::TransientError(message);
  }
  // Standard input and pipes can be read once only; a load may have to read twice.
  void spool() {
    base::UniqueFd copy = temporary_file();
    std::string block(1 << 20, '\0');
    for (;;) {
      const ssize_t got = ::read(file_.get(), block.data(), block.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw base::TransientError(base::system_message("read standard input", errno));
      if (got == 0) break;
      write_all(copy, block.data(), static_cast<size_t>(got));
      version_.size += static_cast<uint64_t>(got);
    }
    file_ = std::move(copy);
  }

  base::UniqueFd file_;
  SourceVersion version_;
};

class ObjectSource final : public Source {
 public:
  ObjectSource(const objects::Location& place, const std::string& version_id)
      : key_(place.path), client_(objects::open_s3(place.bucket)) {
    const objects::ObjectDetails details = client_->details(key_, version_id);
    version_.name = "s3://" + place.bucket + "/" + place.path;
    version_.etag = details.info.etag;
    if (details.version_id != "null") version_.version_id = details.version_id;
    if (!version_id.empty() && version_.version_id != version_id)
      throw base::CorruptError(version_.name + ": the server gave version '" + details.version_id +
                               "' for version '" + version_id + "'");
    version_.version = version_.version_id.empty() ? details.info.etag : version_.version_id;
    version_.size = details.info.size;
    version_.modified = details.info.last_modified;
  }
  const SourceVersion& version() const override { return version_; }
  std::unique_ptr<ByteStream> open() override { return std::make_unique<Stream>(*this); }
  std::string local_path() override {
    std::lock_guard lock(mutex_);
    if (!copy_) {
      base::UniqueFd copy = temporary_file();
      if (!version_.version_id.empty()) {
        Stream stream(*this);
        std::string block(1 << 20, '\0');
        while (const size_t got = stream.read(block.data(), block.size())) write_all(copy, block.data(), got);
        copy_ = std::move(copy);
        return path_of(copy_);
      }
      objects::ObjectInfo expected;
      expected.key = key_;
      expected.size = version_.size;
      expected.etag = version_.etag;
      expected.last_modified = version_.modified;
      client_->get_into(key_, copy.get(), &expected);
      copy_ = std::move(copy);
    }
    return path_of(copy_);
  }

 private:
  class Stream final : public ByteStream {
   public:
    explicit Stream(ObjectSource& source) : source_(source) {}
    size_t read(char* out, size_t size) override {
      if (at_ == block_.size()) {
        if (offset_ >= source_.version_.size) return 0;
        block_.resize(std::min<uint64_t>(kRangeBytes, source_.version_.size - offset_));
        const SourceVersion& version = source_.version_;
        const size_t got = source_.client_->read_version(source_.key_, version.version_id, offset_,
                                                         block_.data(), block_.size(), version.etag);
        if (got != block_.size())
          throw base::TransientError(source_.version_.name + ": the server sent fewer bytes than there are");
        offset_ += got;
        at_ = 0;
      }
      const size_t taken = std::min(size, block_.size() - at_);
      block_.copy(out, taken, at_);
      at_ += taken;
      return taken;
    }

   private:
    ObjectSource& source_;
    std::string block_;
    size_t at_ = 0;
    uint64_t offset_ = 0;
  };

  const std::string key_;
  std::unique_ptr<objects::S3Client> client_;
  SourceVersion version_;
  std::mutex mutex_;
  base::UniqueFd copy_;
};

}  // namespace

std::unique_ptr<Source> open_source(const std::string& place, const std::string& version_id) {
  if (place == "-") return std::make_unique<FileSource>(place);
  const objects::Location location = objects::parse_location(place);
  if (!location.is_s3) return std::make_unique<FileSource>(location.path);
  if (location.path.empty() || location.path.ends_with('/'))
    throw base::UsageError(place + " names no object");
  return std::make_unique<ObjectSource>(location, version_id);
}

std::string read_small_source(const std::string& place, size_t bytes_max) {
  const auto source = open_source(place);
  const auto stream = source->open();
  std::string text = read_front(*stream, bytes_max + 1);
  if (text.size() > bytes_max)
    throw base::UsageError(place + " is longer than " + base::human_bytes(bytes_max));
  return text;
}

}  // namespace millrace::load
