#include "workloads/stac/local_parquet.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/random.h"
#include "base/unique_fd.h"

namespace millrace::stac {
namespace {

constexpr size_t kPiece = 4 << 20;

constexpr size_t kTail = 8;  // the length of the footer, and "PAR1"
constexpr std::string_view kMagic = "PAR1";

void write_fully(int fd, std::string_view bytes, uint64_t at, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::TransientError(base::system_message("write " + path, errno));
    bytes.remove_prefix(static_cast<size_t>(n));
    at += static_cast<uint64_t>(n);
  }
}

// Where the footer begins.
uint64_t footer_at(objects::ObjectReader& bucket, const objects::ObjectInfo& info, const std::string& key) {
  std::array<char, kTail> tail{};
  uint32_t length = 0;
  if (info.size > kMagic.size() + kTail &&
      bucket.read(key, info.size - kTail, tail.data(), kTail, info.etag) == kTail)
    std::memcpy(&length, tail.data(), sizeof length);
  if (std::string_view(tail.data() + sizeof length, kMagic.size()) != kMagic ||
      length > info.size - kMagic.size() - kTail)
    throw base::CorruptError(key + " is no Parquet file");
  return info.size - kTail - length;
}

}  // namespace

LocalParquet::LocalParquet(const objects::Location& location, const std::string& temporary_folder,
                           Part part) {
  if (!location.is_s3) {
    path_ = location.path;
    if (access(path_.c_str(), R_OK) == 0) return;
    if (errno == ENOENT || errno == ENOTDIR) throw base::NotFoundError("there is no file " + path_);
    throw base::DeniedError(base::system_message("read " + path_, errno));
  }
  const std::filesystem::path folder = temporary_folder.empty() ? std::filesystem::temp_directory_path()
                                                                : std::filesystem::path(temporary_folder);
  path_ = folder / ("millrace-stac-" + base::random_hex(16) + ".parquet");
  is_copy_ = true;
  const base::UniqueFd fd(open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) throw base::TransientError(base::system_message("create " + path_, errno));
  try {
    const auto bucket = objects::open_reader({.is_s3 = true, .bucket = location.bucket, .path = ""});
    const auto info = bucket->head(location.path);
    std::string piece(kPiece, '\0');
    const bool whole = part == Part::kWhole;
    if (!whole) write_fully(fd.get(), kMagic, 0, path_);
    for (uint64_t at = whole ? 0 : footer_at(*bucket, info, location.path); at < info.size;) {
      const size_t n = bucket->read(location.path, at, piece.data(), piece.size(), info.etag);
      if (n == 0) throw base::TransientError("s3://" + location.bucket + "/" + location.path + " ends early");
      write_fully(fd.get(), std::string_view(piece).substr(0, n), at, path_);
      at += n;
    }
  } catch (...) {
    ::unlink(path_.c_str());
    throw;
  }
}

LocalParquet::~LocalParquet() {
  if (is_copy_) ::unlink(path_.c_str());
}

std::optional<std::string> file_text(sql::DuckDb& database, const std::string& path, std::string_view key) {
  return database
      .query("SELECT decode(value) FROM parquet_kv_metadata(" + sql::duckdb_literal(path) +
             ") WHERE decode(key) = " + sql::duckdb_literal(key))
      .text();
}

}  // namespace millrace::stac
