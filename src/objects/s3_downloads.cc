// Reading objects with the S3 client.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "base/url.h"
#include "objects/s3_client_call.h"
#include "objects/s3_xml.h"

namespace millrace::objects {
namespace {

using http::ClientResponse;

constexpr std::array<std::string_view, 8> kStoredHeaders = {"content-type",
                                                            "cache-control",
                                                            "content-disposition",
                                                            "content-encoding",
                                                            "content-language",
                                                            "expires",
                                                            "x-amz-website-redirect-location",
                                                            "x-amz-storage-class"};

ObjectDetails details_in(std::string_view key, const http::Headers& headers) {
  ObjectDetails details;
  details.info.key = key;
  details.info.size = base::parse_number<uint64_t>(headers.get("content-length")).value_or(0);
  details.info.etag = without_etag_quotes(headers.get("etag"));
  details.info.last_modified = base::parse_http_date(headers.get("last-modified")).value_or(0);
  details.version_id = headers.get("x-amz-version-id");
  details.tag_count = base::parse_number<size_t>(headers.get("x-amz-tagging-count")).value_or(0);
  for (const auto& [name, value] : headers) {
    std::string lower = base::to_lower(name);
    if (lower.starts_with("x-amz-meta-") ||
        std::find(kStoredHeaders.begin(), kStoredHeaders.end(), lower) != kStoredHeaders.end())
      details.headers.add(lower, value);
    if (lower.starts_with("x-amz-server-side-encryption") && !lower.ends_with("customer-algorithm") &&
        !lower.ends_with("customer-key-md5"))
      details.encryption.add(lower, value);
  }
  for (ChecksumAlgorithm algorithm : kChecksumAlgorithms)
    if (std::string_view value = headers.get(checksum_header(algorithm)); !value.empty())
      details.checksum = Checksum{
          algorithm,
          value.find('-') != std::string_view::npos || headers.get("x-amz-checksum-type") == "COMPOSITE",
          std::string(value)};
  return details;
}

// Compares the bytes of a whole object, given in order, with what the server says of them: its checksum, or
// an ETag that is an MD5.
class Verifier {
 public:
  void begin(const ObjectDetails& details) {
    details_ = details;
    checksum_.reset();
    md5_.reset();
    // With SSE-KMS or customer keys an ETag is no MD5 (S3 API reference, "Object").
    if (details.checksum && !details.checksum->composite)
      checksum_.emplace(details.checksum->algorithm);
    else if (details.info.etag.size() == 32 && base::unhex(details.info.etag) && !encrypted_)
      md5_.emplace(base::Digest::Algorithm::kMd5);
  }
  void note_encryption(const http::Headers& headers) {
    encrypted_ = headers.get("x-amz-server-side-encryption").starts_with("aws:kms") ||
                 headers.has("x-amz-server-side-encryption-customer-algorithm");
  }
  void update(std::string_view bytes) {
    if (checksum_) checksum_->update(bytes);
    if (md5_) md5_->update(bytes);
  }
  // True when there was something to compare with. Throws CorruptError.
  bool finish(const std::string& what) {
    bool wrong = (checksum_ && base::base64(checksum_->finish()) != details_.checksum->value) ||
                 (md5_ && base::hex(md5_->finish()) != details_.info.etag);
    if (wrong) throw base::CorruptError("get " + what + ": the bytes do not match their checksum");
    return checksum_ || md5_;
  }

 private:
  ObjectDetails details_;
  bool encrypted_ = false;
  std::optional<ChecksumDigest> checksum_;
  std::optional<base::Digest> md5_;
};

void write_at(int file, uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      throw base::InternalError(base::system_message("write a downloaded object", errno), "DiskFull");
    offset += static_cast<uint64_t>(n);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

void read_exactly(int file, uint64_t offset, char* out, size_t length) {
  for (size_t got = 0; got < length;) {
    ssize_t n = pread(file, out + got, length - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::TransientError(base::system_message("read the file to upload", errno));
    if (n == 0) throw base::ConflictError("the file became shorter while it was uploaded");
    got += static_cast<size_t>(n);
  }
}

void in_parallel(size_t count, unsigned threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failed;
  auto loop = [&] {
    for (;;) {
      size_t i = next.fetch_add(1);
      if (i >= count) return;
      try {
        work(i);
      } catch (...) {
        std::lock_guard lock(mutex);
        if (!failed) failed = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> others;
  try {
    for (unsigned i = 1; i < threads && i < count; ++i) others.emplace_back(loop);
  } catch (const std::system_error&) {
    // No more threads to be had: those there are do the work.
  }
  loop();
  for (std::thread& thread : others) thread.join();
  if (failed) std::rethrow_exception(failed);
}

ObjectDetails S3Client::details(std::string_view key, std::string_view version_id) {
  Call call;
  call.method = "HEAD";
  call.key = key;
  if (!version_id.empty()) call.query = "versionId=" + base::percent_encode(version_id);
  call.headers.add("x-amz-checksum-mode", "ENABLED");
  return details_in(key, send(call).headers);
}

size_t S3Client::read(std::string_view key, uint64_t offset, char* out, size_t length,
                      std::string_view etag) {
  return read_version(key, {}, offset, out, length, etag);
}

size_t S3Client::read_version(std::string_view key, std::string_view version_id, uint64_t offset, char* out,
                              size_t length, std::string_view etag) {
  if (length == 0) return 0;
  size_t got = 0;
  Call call;
  call.method = "GET";
  call.key = key;
  if (!version_id.empty()) call.query = "versionId=" + base::percent_encode(version_id);
  call.headers.add("Range", "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + length - 1));
  if (!etag.empty()) call.headers.add("If-Match", '"' + std::string(etag) + '"');
  call.restart = [&] { got = 0; };
  call.on_body = [&](std::string_view bytes) {
    size_t fits = std::min(bytes.size(), length - got);
    std::memcpy(out + got, bytes.data(), fits);
    got += fits;
    return fits == bytes.size();  // a server without ranges sends more
  };
  call.accepted = {416};  // nothing there: the object ends before
  ClientResponse response = send(call);
  if (response.status == 416) return 0;
  if (response.status != 206 && offset != 0)
    throw base::CorruptError("read " + url() + "/" + std::string(key) + ": the server does not know ranges");
  return got;
}

DownloadResult S3Client::get(std::string_view key, const std::function<void(std::string_view)>& sink) {
  std::string what = url() + "/" + std::string(key);
  DownloadResult result;
  Verifier verifier;
  uint64_t received = 0;
  bool begun = false, sized = false;
  Call call;
  call.method = "GET";
  call.key = key;
  call.restart = [&] {
    call.headers = {};
    if (begun) {
      // The connection broke: the rest of the same object.
      call.headers.add("Range", "bytes=" + std::to_string(received) + "-");
      call.headers.add("If-Match", '"' + result.info.etag + '"');
    } else {
      call.headers.add("x-amz-checksum-mode", "ENABLED");
    }
  };
  call.on_head = [&](int status, const http::Headers& headers) {
    if (begun) {
      if (status != 206) throw base::CorruptError("get " + what + ": the server does not know ranges");
      return;
    }
    verifier.note_encryption(headers);
    ObjectDetails details = details_in(key, headers);
    verifier.begin(details);
    result.info = details.info;
    sized = headers.has("content-length");
    begun = true;
  };
  call.on_body = [&](std::string_view bytes) {
    verifier.update(bytes);
    received += bytes.size();
    sink(bytes);
    return true;
  };
  // All of it was there, and only the end of the answer was lost.
  call.accepted = {416};
  send(call);
  if (!sized) result.info.size = received;  // sent in chunks, whose end was seen
  if (received != result.info.size)
    throw base::CorruptError("get " + what + ": " + std::to_string(received) + " bytes instead of " +
                             std::to_string(result.info.size));
  result.verified = verifier.finish(what);
  return result;
}

// Parts with a CRC each, combined to that of the whole.
void S3Client::download_parts(std::string_view key, int file, const ObjectDetails& object,
                              DownloadResult& result, const std::function<void(uint64_t)>& progress) {
  uint64_t size = object.info.size, part = options_.part_bytes;
  auto count = static_cast<size_t>((size + part - 1) / part);
  bool has_crc = object.checksum && !object.checksum->composite &&
                 object.checksum->algorithm != ChecksumAlgorithm::kSha1 &&
                 object.checksum->algorithm != ChecksumAlgorithm::kSha256;
  std::vector<std::string> crcs(has_crc ? count : 0);
  std::mutex mutex;
  in_parallel(count, options_.parallel, [&](size_t i) {
    uint64_t offset = i * part, length = std::min(part, size - offset), got = 0;
    std::optional<ChecksumDigest> crc;
    Call call;
    call.method = "GET";
    call.key = key;
    call.headers.add("Range", "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + length - 1));
    call.headers.add("If-Match", '"' + object.info.etag + '"');
    call.restart = [&] {
      got = 0;
      if (has_crc) crc.emplace(object.checksum->algorithm);
    };
    call.on_head = [&](int status, const http::Headers&) {
      if (status != 206)
        throw base::CorruptError("get " + url() + "/" + std::string(key) +
                                 ": the server does not know ranges");
    };
    call.on_body = [&](std::string_view bytes) {
      if (bytes.size() > length - got) return false;
      if (crc) crc->update(bytes);
      write_at(file, offset + got, bytes);
      got += bytes.size();
      return true;
    };
    send(call);
    if (got != length)
      throw base::CorruptError("get " + url() + "/" + std::string(key) + ": a part of the wrong length");
    if (crc) crcs[i] = crc->finish();
    if (progress) {
      std::lock_guard lock(mutex);
      progress(length);
    }
  });
  if (!has_crc) return;
  std::string whole = crcs[0];
  for (size_t i = 1; i < count; ++i)
    whole = combine_crc(object.checksum->algorithm, whole, crcs[i], std::min(part, size - i * part));
  if (base::base64(whole) != object.checksum->value)
    throw base::CorruptError("get " + url() + "/" + std::string(key) +
                             ": the bytes do not match their checksum");
  result.verified = true;
}

DownloadResult S3Client::get_into(std::string_view key, int file, const ObjectInfo* listed,
                                  const std::function<void(uint64_t bytes)>& progress) {
  const uint64_t in_parts_above = 2 * options_.part_bytes;
  auto require_same = [&](const ObjectInfo& info) {
    if (listed && info.etag != listed->etag)
      throw base::ConflictError("get " + url() + "/" + std::string(key) + ": the object has changed",
                                "PreconditionFailed");
  };
  DownloadResult result;
  if (!listed || listed->size > in_parts_above) {
    ObjectDetails object = details(key);
    require_same(object.info);
    if (object.info.size > in_parts_above) {
      result.info = object.info;
      download_parts(key, file, object, result, progress);
      return result;
    }
  }
  uint64_t at = 0;
  result = get(key, [&](std::string_view bytes) {
    write_at(file, at, bytes);
    at += bytes.size();
    if (progress) progress(bytes.size());
  });
  require_same(result.info);
  return result;
}

DownloadResult S3Client::get_file(std::string_view key, const std::string& path, std::string_view etag,
                                  const std::function<void(uint64_t bytes)>& progress) {
  std::string temporary = path + ".part-" + base::random_hex(8);
  base::UniqueFd file(open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) throw base::DeniedError(base::system_message("create " + temporary, errno));
  try {
    ObjectInfo expected = details(key).info;
    if (!etag.empty() && expected.etag != etag)
      throw base::ConflictError("get " + url() + "/" + std::string(key) + ": the object has changed",
                                "PreconditionFailed");
    DownloadResult result = get_into(key, file.get(), &expected, progress);
    if (rename(temporary.c_str(), path.c_str()) != 0)
      throw base::DeniedError(base::system_message("rename " + temporary + " to " + path, errno));
    return result;
  } catch (...) {
    unlink(temporary.c_str());
    throw;
  }
}

}  // namespace millrace::objects
