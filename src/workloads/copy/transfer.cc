#include "workloads/copy/transfer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "workloads/copy/merge.h"

namespace millrace::copy {
namespace {

using objects::ObjectInfo;

constexpr size_t kCopyBytes = 1024 * 1024;  // of a local file, at a time
constexpr std::string_view kStandard = "STANDARD";

base::ConflictError changed(const std::string& what) {
  return base::ConflictError(what + ": the source has changed since it was listed", "PreconditionFailed");
}

base::UniqueFd open_file(const std::string& path, struct stat& st) {
  // O_NONBLOCK: a pipe that took the place of the file must not hang the job.
  base::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    std::string text = base::system_message("read " + path, errno);
    if (errno == ENOENT || errno == ENOTDIR) throw base::NotFoundError(text);
    if (errno == EACCES || errno == EPERM) throw base::DeniedError(text);
    throw base::TransientError(text);
  }
  if (fstat(file.get(), &st) != 0) throw base::TransientError(base::system_message("read " + path, errno));
  if (!S_ISREG(st.st_mode)) throw base::NotFoundError(path + " is no file any more");
  return file;
}

int64_t mtime_ns(const struct stat& st) {
  return static_cast<int64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + st.st_mtim.tv_nsec;
}

void require_same(const std::string& path, const struct stat& st, const ObjectInfo& source) {
  if (static_cast<uint64_t>(st.st_size) != source.size || mtime_ns(st) != source.mtime_ns)
    throw changed(path);
}

// What browsers and viewers need to be told; the rest is binary/octet-stream, as S3 itself says.
std::string_view content_type(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 34> kTypes = {{
      {"txt", "text/plain"},
      {"log", "text/plain"},
      {"md", "text/markdown"},
      {"csv", "text/csv"},
      {"tsv", "text/tab-separated-values"},
      {"html", "text/html"},
      {"htm", "text/html"},
      {"css", "text/css"},
      {"js", "text/javascript"},
      {"mjs", "text/javascript"},
      {"json", "application/json"},
      {"xml", "application/xml"},
      {"yaml", "application/yaml"},
      {"yml", "application/yaml"},
      {"pdf", "application/pdf"},
      {"zip", "application/zip"},
      {"gz", "application/gzip"},
      {"tar", "application/x-tar"},
      {"zst", "application/zstd"},
      {"parquet", "application/vnd.apache.parquet"},
      {"png", "image/png"},
      {"jpg", "image/jpeg"},
      {"jpeg", "image/jpeg"},
      {"gif", "image/gif"},
      {"webp", "image/webp"},
      {"svg", "image/svg+xml"},
      {"tif", "image/tiff"},
      {"tiff", "image/tiff"},
      {"mp4", "video/mp4"},
      {"mov", "video/quicktime"},
      {"webm", "video/webm"},
      {"mp3", "audio/mpeg"},
      {"wav", "audio/wav"},
      {"wasm", "application/wasm"},
  }};
  size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.find('/', dot) != std::string_view::npos) return {};
  std::string extension = base::to_lower(name.substr(dot + 1));
  for (const auto& [known, type] : kTypes)
    if (known == extension) return type;
  return {};
}

void add_acl(http::Headers& headers, const TransferOptions& options) {
  if (!options.acl.empty() && options.acl != "keep") headers.add("x-amz-acl", options.acl);
}

// Notes an upload in parts for as long as it may be left behind.
void noted(OpenUploads* uploads, const Site& to, const std::string& key, const ObjectInfo& source,
           objects::PartsOptions& parts, const std::function<void()>& work) {
  if (!uploads) return work();
  std::string version = source.etag.empty() ? std::to_string(source.mtime_ns) : source.etag;
  uploads->during(*to.client, to.key(key), version + "/" + std::to_string(source.size), parts, work);
}

// Bytes go through this process: other endpoints, or credentials that see one side only.
Transferred stream(const Site& from, const ObjectInfo& source, const Site& to, const std::string& key,
                   const TransferOptions& options) {
  std::string source_key = from.key(source.key);
  objects::ObjectDetails details = from.client->details(source_key);
  if (details.info.etag != source.etag || details.info.size != source.size)
    throw changed(from.url(source.key));
  objects::UploadOptions upload;
  upload.progress = options.progress;
  for (const auto& [name, value] : details.headers)
    if (name != "x-amz-storage-class") upload.headers.add(name, value);
  std::string storage_class = options.storage_class.empty()
                                  ? std::string(details.headers.get("x-amz-storage-class"))
                                  : options.storage_class;
  if (!storage_class.empty() && storage_class != kStandard)
    upload.headers.add("x-amz-storage-class", storage_class);
  if (options.keep_encryption)
    for (const auto& [name, value] : details.encryption) upload.headers.add(name, value);
  add_acl(upload.headers, options);
  http::Headers::Field tags = from.client->tags_header(source_key);
  if (!tags.second.empty()) upload.headers.add(tags.first, tags.second);
  Transferred done;
  noted(options.uploads, to, key, source, upload, [&] {
    done.etag = to.client->put_from(
        to.key(key), source.size,
        [&](uint64_t offset, char* out, size_t length) {
          if (from.client->read(source_key, offset, out, length, source.etag) != length)
            throw changed(from.url(source.key));
        },
        upload);
  });
  return done;
}

Transferred copy_in_server(const Site& from, const ObjectInfo& source, const Site& to, const std::string& key,
                           const TransferOptions& options) {
  objects::CopyOptions copy = copy_options(source, options);
  copy.progress = options.progress;
  ObjectInfo whole = source;
  whole.key = from.key(source.key);
  if (options.keep_encryption)
    for (const auto& [name, value] : from.client->details(whole.key).encryption)
      copy.headers.add(name, value);
  objects::CopyResult result;
  noted(options.uploads, to, key, source, copy,
        [&] { result = to.client->copy(from.client->options().bucket, whole, to.key(key), copy); });
  return {std::move(result.etag), std::move(result.version_id), std::move(result.checksum), ""};
}

Transferred upload(const Site& from, const ObjectInfo& source, const Site& to, const std::string& key,
                   const TransferOptions& options) {
  std::string path = from.path(source.key);
  struct stat st{};
  base::UniqueFd file = open_file(path, st);
  require_same(path, st, source);
  objects::UploadOptions upload;
  upload.progress = options.progress;
  if (std::string_view type = content_type(key); !type.empty())
    upload.headers.add("Content-Type", std::string(type));
  if (!options.storage_class.empty()) upload.headers.add("x-amz-storage-class", options.storage_class);
  add_acl(upload.headers, options);
  Transferred done;
  noted(options.uploads, to, key, source, upload, [&] {
    done.etag = to.client->put_file(to.key(key), "/proc/self/fd/" + std::to_string(file.get()), upload);
  });
  // Written to while it was sent: what is stored now is neither the old nor the new file.
  if (fstat(file.get(), &st) != 0) throw base::TransientError(base::system_message("read " + path, errno));
  require_same(path, st, source);
  return done;
}

Transferred download(const Site& from, const ObjectInfo& source, const Site& to, const std::string& key,
                     const TransferOptions& options) {
  if (key.ends_with('/') && source.size == 0) {
    to.folder->make_folder(key);
    return {};
  }
  objects::LocalWriter::NewFile file = to.folder->create(key);
  objects::DownloadResult got =
      from.client->get_into(from.key(source.key), file.fd(), &source, options.progress);
  file.publish(source.last_modified * 1'000'000);
  Transferred done;
  done.etag = got.info.etag;
  return done;
}

Transferred copy_file(const Site& from, const ObjectInfo& source, const Site& to, const std::string& key) {
  std::string path = from.path(source.key);
  struct stat st{};
  base::UniqueFd in = open_file(path, st);
  require_same(path, st, source);
  objects::LocalWriter::NewFile file = to.folder->create(key);
  std::string buffer(kCopyBytes, '\0');
  for (;;) {
    ssize_t n = read(in.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::TransientError(base::system_message("read " + path, errno));
    if (n == 0) break;
    for (ssize_t at = 0; at < n;) {
      ssize_t written = write(file.fd(), buffer.data() + at, static_cast<size_t>(n - at));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw base::TransientError(base::system_message("write " + to.url(key), errno));
      at += written;
    }
  }
  if (fstat(in.get(), &st) != 0) throw base::TransientError(base::system_message("read " + path, errno));
  require_same(path, st, source);
  file.publish(source.mtime_ns);
  return {};
}

// The checksum of a file in the algorithm that the other side keeps, or its MD5.
std::string file_digest(const std::string& path, const std::optional<objects::Checksum>& like) {
  struct stat st{};
  base::UniqueFd file = open_file(path, st);
  std::optional<objects::ChecksumDigest> checksum;
  base::Digest md5(base::Digest::Algorithm::kMd5);
  if (like) checksum.emplace(like->algorithm);
  std::string buffer(kCopyBytes, '\0');
  for (;;) {
    ssize_t n = read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::TransientError(base::system_message("read " + path, errno));
    if (n == 0) break;
    std::string_view bytes(buffer.data(), static_cast<size_t>(n));
    checksum ? checksum->update(bytes) : md5.update(bytes);
  }
  return checksum ? base::base64(checksum->finish()) : base::hex(md5.finish());
}

enum class Equality { kSame, kDifferent, kUnknown };

// `by` is told what was compared.
Equality compare_stored(const Site& a, const ObjectInfo& a_info, const Site& b, const ObjectInfo& b_info,
                        std::string& by) {
  if (!a.is_s3() && !b.is_s3()) {
    by = "md5";
    return file_digest(a.path(a_info.key), {}) == file_digest(b.path(b_info.key), {}) ? Equality::kSame
                                                                                      : Equality::kDifferent;
  }
  if (a.is_s3() && b.is_s3()) {
    if (!a_info.etag.empty() && a_info.etag == b_info.etag) {
      by = "etag";
      return Equality::kSame;
    }
    objects::ObjectDetails x = a.client->details(a.key(a_info.key)), y = b.client->details(b.key(b_info.key));
    if (x.checksum && y.checksum && x.checksum->algorithm == y.checksum->algorithm &&
        x.checksum->composite == y.checksum->composite) {
      if (*x.checksum == *y.checksum) {
        by = base::to_lower(objects::checksum_name(x.checksum->algorithm));
        return Equality::kSame;
      }
      // Checksums of parts differ also when only the parts do.
      if (!x.checksum->composite) return Equality::kDifferent;
    }
    auto plain = [](const objects::ObjectDetails& details) {
      return is_md5(details.info.etag) &&
             !details.encryption.get("x-amz-server-side-encryption").starts_with("aws:kms");
    };
    if (plain(x) && plain(y)) return x.info.etag == y.info.etag ? Equality::kSame : Equality::kDifferent;
    return Equality::kUnknown;
  }
  const Site &remote = a.is_s3() ? a : b, &local = a.is_s3() ? b : a;
  const ObjectInfo &object = a.is_s3() ? a_info : b_info, &file = a.is_s3() ? b_info : a_info;
  objects::ObjectDetails details = remote.client->details(remote.key(object.key));
  if (details.checksum && !details.checksum->composite) {
    by = base::to_lower(objects::checksum_name(details.checksum->algorithm));
    return file_digest(local.path(file.key), details.checksum) == details.checksum->value
               ? Equality::kSame
               : Equality::kDifferent;
  }
  if (!is_md5(details.info.etag) ||
      details.encryption.get("x-amz-server-side-encryption").starts_with("aws:kms"))
    return Equality::kUnknown;
  by = "md5";
  return file_digest(local.path(file.key), {}) == details.info.etag ? Equality::kSame : Equality::kDifferent;
}

}  // namespace

objects::CopyOptions copy_options(const ObjectInfo& source, const TransferOptions& options) {
  objects::CopyOptions copy;
  add_acl(copy.headers, options);
  // CopyObject stores in STANDARD whatever the source was, unless it is told.
  const std::string& storage_class =
      options.storage_class.empty() ? source.storage_class : options.storage_class;
  bool archived =
      options.storage_class.empty() && (storage_class == "GLACIER" || storage_class == "DEEP_ARCHIVE");
  if (!storage_class.empty() && storage_class != kStandard && !archived)
    copy.headers.add("x-amz-storage-class", storage_class);
  copy.keep_encryption = options.keep_encryption;
  return copy;
}

Transferred transfer(const Site& from, const ObjectInfo& source, const Site& to, const std::string& key,
                     const TransferOptions& options, Limiter& limiter) {
  limiter.spend(0);
  Transferred done;
  if (from.is_s3() && to.is_s3()) {
    bool through_here = !options.server_side;
    if (!through_here) {
      try {
        done = copy_in_server(from, source, to, key, options);
      } catch (const base::DeniedError&) {
        if (!options.stream_if_denied) throw;
        through_here = true;
      }
    }
    if (through_here) done = stream(from, source, to, key, options);
    if (options.acl == "keep") to.client->put_acl(to.key(key), from.client->acl(from.key(source.key)));
  } else if (to.is_s3()) {
    done = upload(from, source, to, key, options);
  } else if (from.is_s3()) {
    done = download(from, source, to, key, options);
  } else {
    done = copy_file(from, source, to, key);
  }
  if (options.verify && !key.ends_with('/')) done.verified = verify(from, source, to, key);
  return done;
}

std::string verify(const Site& from, const ObjectInfo& source, const Site& to, const std::string& key) {
  ObjectInfo there;
  if (to.is_s3()) {
    there = to.client->head(to.key(key));
  } else {
    struct stat st{};
    open_file(to.path(key), st);
    there.size = static_cast<uint64_t>(st.st_size);
  }
  there.key = key;
  if (there.size != source.size)
    throw base::CorruptError("verification of " + to.url(key) + ": " + std::to_string(there.size) +
                                 " bytes instead of " + std::to_string(source.size),
                             "VerificationFailed");
  std::string by;
  switch (compare_stored(from, source, to, there, by)) {
    case Equality::kDifferent:
      throw base::CorruptError("verification of " + to.url(key) + ": its checksum is not that of the source",
                               "VerificationFailed");
    case Equality::kUnknown:
      return "size";
    case Equality::kSame:
      break;
  }
  return by;
}

bool same_content(const Site& from, const ObjectInfo& source, const Site& to, const ObjectInfo& destination) {
  std::string by;
  return compare_stored(from, source, to, destination, by) == Equality::kSame;
}

}  // namespace millrace::copy
