// Writing objects with the S3 client: one request, in parts, and copies inside the server.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <pugixml.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "base/url.h"
#include "objects/s3_client_call.h"
#include "objects/s3_xml.h"

namespace millrace::objects {
namespace {

using http::ClientResponse;

constexpr uint64_t kPartsMax = 10'000;
constexpr uint64_t kPartBytesMin = 5 * 1024 * 1024;
constexpr size_t kHashBytes = 256 * 1024;  // read at a time

struct Hashes {
  std::string sha256, crc32;  // hex; raw
};

// Read once to be hashed and once more to be sent: the second time from the page cache, and nothing has to be
// held in memory between.
Hashes hash_file(int file, uint64_t offset, uint64_t length) {
  base::Digest sha256(base::Digest::Algorithm::kSha256);
  ChecksumDigest crc32(ChecksumAlgorithm::kCrc32);
  std::string buffer(static_cast<size_t>(std::min<uint64_t>(length, kHashBytes)), '\0');
  while (length > 0) {
    auto size = static_cast<size_t>(std::min<uint64_t>(length, buffer.size()));
    read_exactly(file, offset, buffer.data(), size);
    sha256.update({buffer.data(), size});
    crc32.update({buffer.data(), size});
    offset += size;
    length -= size;
  }
  return {base::hex(sha256.finish()), crc32.finish()};
}

std::string md5_of_file(int file, uint64_t offset, uint64_t length) {
  base::Digest md5(base::Digest::Algorithm::kMd5);
  std::string buffer(static_cast<size_t>(std::min<uint64_t>(length, kHashBytes)), '\0');
  while (length > 0) {
    auto size = static_cast<size_t>(std::min<uint64_t>(length, buffer.size()));
    read_exactly(file, offset, buffer.data(), size);
    md5.update({buffer.data(), size});
    offset += size;
    length -= size;
  }
  return base::hex(md5.finish());
}

void add_conditions(http::Headers& headers, const UploadOptions& options) {
  if (options.if_none_match) headers.add("If-None-Match", "*");
  if (!options.if_match.empty()) headers.add("If-Match", '"' + options.if_match + '"');
}

std::string copy_source(const std::string& bucket, const std::string& key) {
  return base::percent_encode(bucket) + "/" + base::percent_encode(key, true);
}

// What belongs to a copy and not to its source.
bool is_of_target(const std::string& name) {
  std::string lower = base::to_lower(name);
  return lower == "x-amz-storage-class" || lower == "x-amz-acl" || lower.starts_with("x-amz-grant-") ||
         lower.starts_with("x-amz-server-side-encryption");
}

}  // namespace

CopyResult copy_result(const ClientResponse& response) {
  CopyResult result;
  pugi::xml_document document;
  document.load_buffer(response.body.data(), response.body.size());
  pugi::xml_node root = document.document_element();
  std::string_view name = root.name();
  if (name != "CopyObjectResult" && name != "CompleteMultipartUploadResult") return result;
  result.version_id = response.headers.get("x-amz-version-id");
  for (pugi::xml_node field : root.children()) {
    std::string_view what = field.name();
    if (what == "ETag") {
      result.etag = without_etag_quotes(field.child_value());
    } else if (what.starts_with("Checksum") && what != "ChecksumType") {
      if (auto algorithm = parse_checksum_name(what.substr(8))) {
        std::string value = field.child_value();
        bool composite = value.find('-') != std::string::npos ||
                         std::string_view(root.child_value("ChecksumType")) == "COMPOSITE";
        result.checksum = Checksum{*algorithm, composite, std::move(value)};
      }
    }
  }
  return result;
}

struct S3Client::Upload {
  // In parts of `wanted` bytes, or larger ones where there would be too many.
  Upload(std::string_view object_key, uint64_t object_size, uint64_t wanted)
      : key(object_key),
        size(object_size),
        part_bytes(std::max(wanted, (size + kPartsMax - 1) / kPartsMax)),
        etags(static_cast<size_t>((size + part_bytes - 1) / part_bytes)),
        crc32s(etags.size()) {}

  std::string_view key;
  std::string id;
  uint64_t size, part_bytes;
  std::vector<std::string> etags;   // of the parts; empty: not there yet
  std::vector<std::string> crc32s;  // raw; empty: not known

  uint64_t offset(size_t i) const { return i * part_bytes; }
  uint64_t length(size_t i) const { return std::min(part_bytes, size - offset(i)); }
  // Of the whole object, from those of the parts; empty when one is not known.
  std::string whole_crc32() const {
    std::string whole;
    for (size_t i = 0; i < crc32s.size(); ++i) {
      if (crc32s[i].empty()) return "";
      whole = i == 0 ? crc32s[0] : combine_crc(ChecksumAlgorithm::kCrc32, whole, crc32s[i], length(i));
    }
    return whole;
  }
  std::string part_query(size_t i) const {
    return "partNumber=" + std::to_string(i + 1) + "&uploadId=" + base::percent_encode(id);
  }
};

std::string S3Client::put(std::string_view key, std::string_view body, std::string_view content_type,
                          const Metadata& metadata) {
  UploadOptions options;
  if (!content_type.empty()) options.headers.add("Content-Type", std::string(content_type));
  for (const auto& [name, value] : metadata) options.headers.add("x-amz-meta-" + name, value);
  return put(key, body, options);
}

std::string S3Client::put(std::string_view key, std::string_view body, const UploadOptions& options) {
  Call call;
  call.method = "PUT";
  call.key = key;
  call.body = body;
  call.headers = options.headers;
  add_conditions(call.headers, options);
  call.headers.add("x-amz-checksum-crc32", base::base64(checksum_of(ChecksumAlgorithm::kCrc32, body)));
  std::string etag = without_etag_quotes(send(call).headers.get("etag"));
  if (options.progress) options.progress(body.size());
  return etag;
}

std::string S3Client::put_file(std::string_view key, const std::string& path, std::string_view content_type,
                               const std::function<void(uint64_t bytes)>& progress) {
  UploadOptions options;
  if (!content_type.empty()) options.headers.add("Content-Type", std::string(content_type));
  options.progress = progress;
  return put_file(key, path, options);
}

std::string S3Client::put_file(std::string_view key, const std::string& path, const UploadOptions& options) {
  base::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    std::string text = base::system_message("open " + path, errno);
    if (errno == ENOENT) throw base::NotFoundError(text);
    throw base::DeniedError(text);
  }
  struct stat st;
  if (fstat(file.get(), &st) != 0) throw base::InternalError(base::system_message("stat " + path, errno));
  if (!S_ISREG(st.st_mode)) throw base::UsageError(path + " is not a file");
  auto size = static_cast<uint64_t>(st.st_size);
  if (size > 2 * options_.part_bytes) return put_parts(key, file.get(), size, options);
  return put_single(key, file.get(), size, options);
}

std::string S3Client::put_single(std::string_view key, int file, uint64_t size,
                                 const UploadOptions& options) {
  constexpr uint64_t kInMemoryMax = 64 * 1024;
  if (size <= kInMemoryMax) {
    std::string body(size, '\0');
    read_exactly(file, 0, body.data(), body.size());
    return put(key, body, options);
  }
  Hashes hashes = hash_file(file, 0, size);
  Call call;
  call.method = "PUT";
  call.key = key;
  call.headers = options.headers;
  add_conditions(call.headers, options);
  call.headers.add("x-amz-checksum-crc32", base::base64(hashes.crc32));
  call.file = file;
  call.upload_size = size;
  call.payload_sha256 = hashes.sha256;
  std::string etag = without_etag_quotes(send(call).headers.get("etag"));
  if (options.progress) options.progress(size);
  return etag;
}

std::string S3Client::create_upload(std::string_view key, const http::Headers& headers) {
  Call create;
  create.method = "POST";
  create.key = key;
  create.query = "uploads=";
  create.headers = headers;
  std::string id = child_of_root(send(create).body, "UploadId");
  if (id.empty()) throw base::CorruptError("upload " + url() + "/" + std::string(key) + ": no upload id");
  return id;
}

void S3Client::abort_upload(std::string_view key, const std::string& upload_id) {
  Call abort;
  abort.method = "DELETE";
  abort.key = key;
  abort.query = "uploadId=" + base::percent_encode(upload_id);
  abort.accepted = {404};
  abort.outside_gate = true;
  send(abort);
}

void S3Client::abort_unless_kept(const Upload& upload, const PartsOptions& options) {
  if (options.begun || !options.resume.empty()) return;
  try {
    abort_upload(upload.key, upload.id);
  } catch (const base::Error&) {
    // What went wrong first is what the caller must hear.
  }
}

std::vector<std::string> S3Client::uploads_of(std::string_view key, base::TimeMs since) {
  std::vector<std::string> ids;
  UploadsPage page;
  do {
    Call call;
    call.method = "GET";
    call.query = "encoding-type=url";
    if (page.truncated) call.query += "&key-marker=" + base::percent_encode(page.next_key);
    call.query += "&prefix=" + base::percent_encode(key);
    if (page.truncated && !page.next_id.empty())
      call.query += "&upload-id-marker=" + base::percent_encode(page.next_id);
    call.query += "&uploads=";
    call.outside_gate = true;
    UploadsPage next = uploads_page(send(call).body);
    for (const ListedUpload& upload : next.uploads) {
      if (upload.key != key) return ids;  // longer ones: those of the key itself come first
      if (upload.initiated >= since) ids.push_back(upload.id);
    }
    if (next.truncated && next.next_key == page.next_key && next.next_id == page.next_id) break;
    page = std::move(next);
  } while (page.truncated);
  return ids;
}

bool S3Client::find_parts(Upload& upload,
                          const std::function<bool(size_t i, const ListedPart& part)>& is_right) {
  std::string after;
  for (;;) {
    Call call;
    call.method = "GET";
    call.key = upload.key;
    if (!after.empty()) call.query = "part-number-marker=" + after + "&";
    call.query += "uploadId=" + base::percent_encode(upload.id);
    PartsPage page;
    try {
      page = parts_page(send(call).body);
    } catch (const base::NotFoundError& error) {
      if (error.code() != "NoSuchUpload") throw;
      return false;
    }
    for (const ListedPart& part : page.parts) {
      auto i = static_cast<size_t>(part.number - 1);
      if (part.number < 1 || i >= upload.etags.size() || part.size != upload.length(i)) continue;
      if (!is_right(i, part)) continue;
      upload.etags[i] = part.etag;
      upload.crc32s[i] = base::unbase64(part.crc32).value_or("");
    }
    if (!page.truncated || page.next.empty() || page.next == after) return true;
    after = page.next;
  }
}

void S3Client::open_upload(Upload& upload, const http::Headers& headers, const PartsOptions& options,
                           const std::function<bool(size_t i, const ListedPart& part)>& is_right) {
  if (!options.resume.empty()) {
    upload.id = options.resume;
    if (find_parts(upload, is_right)) return;
  }
  if (options.beginning) options.beginning();
  upload.id = create_upload(upload.key, headers);
  if (options.begun) options.begun(upload.id);
}

std::string S3Client::put_parts(std::string_view key, int file, uint64_t size, const UploadOptions& options) {
  Upload upload(key, size, options_.part_bytes);
  http::Headers headers = options.headers;
  headers.add("x-amz-checksum-algorithm", "CRC32");
  headers.add("x-amz-checksum-type", "FULL_OBJECT");  // readers can check it whatever the parts were
  open_upload(upload, headers, options, [&](size_t i, const ListedPart& part) {
    uint64_t offset = upload.offset(i), length = upload.length(i);
    if (part.crc32.empty()) return md5_of_file(file, offset, length) == part.etag;
    return base::base64(hash_file(file, offset, length).crc32) == part.crc32;
  });
  std::mutex mutex;
  auto advanced = [&](uint64_t bytes) {
    std::lock_guard lock(mutex);
    if (options.progress) options.progress(bytes);
  };
  try {
    in_parallel(upload.etags.size(), options_.parallel, [&](size_t i) {
      if (upload.etags[i].empty()) {
        Hashes hashes = hash_file(file, upload.offset(i), upload.length(i));
        Call part;
        part.method = "PUT";
        part.key = key;
        part.query = upload.part_query(i);
        part.file = file;
        part.offset = upload.offset(i);
        part.upload_size = upload.length(i);
        part.payload_sha256 = hashes.sha256;
        part.headers.add("x-amz-checksum-crc32", base::base64(hashes.crc32));
        upload.etags[i] = without_etag_quotes(send(part).headers.get("etag"));
        upload.crc32s[i] = hashes.crc32;
      }
      advanced(upload.length(i));
    });
    return complete(key, upload.id, upload.etags, upload.whole_crc32(), options).etag;
  } catch (...) {
    std::exception_ptr reason = std::current_exception();
    abort_unless_kept(upload, options);
    std::rethrow_exception(reason);
  }
}

// Radosgw 16 forgets the tags that an upload in parts began with.
void S3Client::ensure_tags(std::string_view key, const http::Headers& headers) {
  std::string tags(headers.get("x-amz-tagging"));
  if (tags.empty()) return;
  try {
    if (!tags_header(key).second.empty()) return;
  } catch (const base::DeniedError&) {
    return;  // who may not ask is most likely on AWS, which does keep them
  }
  put_tags(key, tags);
}

std::string S3Client::put_from(std::string_view key, uint64_t size, const ReadRange& read,
                               const UploadOptions& options) {
  if (size <= options_.part_bytes) {
    ByteBudget::Share share(options_.traffic->buffers, size);
    std::string body(static_cast<size_t>(size), '\0');
    read(0, body.data(), body.size());
    return put(key, body, options);
  }
  Upload upload(key, size, options_.part_bytes);
  http::Headers headers = options.headers;
  headers.add("x-amz-checksum-algorithm", "CRC32");
  headers.add("x-amz-checksum-type", "FULL_OBJECT");
  open_upload(upload, headers, options, [](size_t, const ListedPart&) { return true; });
  std::mutex mutex;
  try {
    in_parallel(upload.etags.size(), options_.parallel, [&](size_t i) {
      if (!upload.etags[i].empty()) return;
      ByteBudget::Share share(options_.traffic->buffers, upload.length(i));
      std::string body(static_cast<size_t>(upload.length(i)), '\0');
      read(upload.offset(i), body.data(), body.size());
      std::string crc32 = checksum_of(ChecksumAlgorithm::kCrc32, body);
      Call part;
      part.method = "PUT";
      part.key = key;
      part.query = upload.part_query(i);
      part.body = body;
      part.headers.add("x-amz-checksum-crc32", base::base64(crc32));
      upload.etags[i] = without_etag_quotes(send(part).headers.get("etag"));
      upload.crc32s[i] = crc32;
      std::lock_guard lock(mutex);
      if (options.progress) options.progress(upload.length(i));
    });
    std::string etag = complete(key, upload.id, upload.etags, upload.whole_crc32(), options).etag;
    ensure_tags(key, headers);
    return etag;
  } catch (...) {
    std::exception_ptr reason = std::current_exception();
    abort_unless_kept(upload, options);
    std::rethrow_exception(reason);
  }
}

CopyResult S3Client::complete(std::string_view key, const std::string& upload_id,
                              const std::vector<std::string>& etags, const std::string& crc32,
                              const UploadOptions& options) {
  std::string body = complete_document(etags);
  Call call;
  call.method = "POST";
  call.key = key;
  call.query = "uploadId=" + base::percent_encode(upload_id);
  call.headers.add("Content-Type", "application/xml");
  add_conditions(call.headers, options);
  if (!crc32.empty()) {
    call.headers.add("x-amz-checksum-crc32", base::base64(crc32));
    call.headers.add("x-amz-checksum-type", "FULL_OBJECT");
  }
  call.body = body;
  call.error_in_success = true;
  try {
    CopyResult result = copy_result(send(call));
    if (result.etag.empty()) result.etag = head(key).etag;  // radosgw 16 does not say it here
    return result;
  } catch (const base::NotFoundError& error) {
    if (error.code() != "NoSuchUpload") throw;
    // The answer to an earlier attempt may have been lost on its way: then the object is there.
    std::string md5s;
    for (const std::string& etag : etags) md5s += base::unhex(etag).value_or("");
    ObjectInfo info = head(key);
    if (info.etag != base::md5_hex(md5s) + "-" + std::to_string(etags.size())) throw;
    return {info.etag, "", {}};
  }
}

S3Client::Call S3Client::copy_call(const std::string& source_bucket, const ObjectInfo& source,
                                   std::string_view key, const CopyOptions& options) {
  Call call;
  call.method = "PUT";
  call.key = key;
  call.headers.add("x-amz-copy-source", copy_source(source_bucket, source.key));
  if (!source.etag.empty()) call.headers.add("x-amz-copy-source-if-match", '"' + source.etag + '"');
  if (options.replace_headers) call.headers.add("x-amz-metadata-directive", "REPLACE");
  if (!options.tags) call.headers.add("x-amz-tagging-directive", "REPLACE");
  for (const auto& [name, value] : options.headers)
    if (options.replace_headers || is_of_target(name)) call.headers.add(name, value);
  call.error_in_success = true;
  return call;
}

CopyResult S3Client::copy(const std::string& source_bucket, const ObjectInfo& source, std::string_view key,
                          const CopyOptions& options) {
  if (!copied_by_one_request(source.size)) return copy_parts(source_bucket, source, key, options);
  CopyResult result = copy_result(send(copy_call(source_bucket, source, key, options)));
  if (options.progress) options.progress(source.size);
  return result;
}

CopyResult S3Client::copy_parts(const std::string& source_bucket, const ObjectInfo& source,
                                std::string_view key, const CopyOptions& options) {
  // S3 takes neither headers nor tags along here: they are read from the source.
  S3ClientOptions source_options = options_;
  source_options.bucket = source_bucket;
  S3Client source_client(source_options);
  http::Headers headers = options.headers;
  if (!options.replace_headers) {
    ObjectDetails details = source_client.details(source.key);
    if (!source.etag.empty() && details.info.etag != source.etag)
      throw base::ConflictError("copy " + source_client.url() + "/" + source.key + ": the object has changed",
                                "PreconditionFailed");
    headers = {};
    for (const auto& [name, value] : details.headers)
      if (!is_of_target(name)) headers.add(name, value);
    for (const auto& [name, value] : options.headers)
      if (is_of_target(name)) headers.add(name, value);
    if (options.keep_encryption)
      for (const auto& [name, value] : details.encryption) headers.add(name, value);
    if (options.tags) {  // not every server counts them in its answer to HEAD
      http::Headers::Field tags = source_client.tags_header(source.key);
      if (!tags.second.empty()) headers.add(tags.first, tags.second);
    }
  }
  Upload upload(key, source.size, std::max(options_.copy_part_bytes, kPartBytesMin));
  open_upload(upload, headers, options, [](size_t, const ListedPart&) { return true; });
  std::mutex mutex;
  try {
    in_parallel(upload.etags.size(), options_.parallel, [&](size_t i) {
      if (!upload.etags[i].empty()) return;
      Call part;
      part.method = "PUT";
      part.key = key;
      part.query = upload.part_query(i);
      part.headers.add("x-amz-copy-source", copy_source(source_bucket, source.key));
      part.headers.add("x-amz-copy-source-range",
                       "bytes=" + std::to_string(upload.offset(i)) + "-" +
                           std::to_string(upload.offset(i) + upload.length(i) - 1));
      if (!source.etag.empty()) part.headers.add("x-amz-copy-source-if-match", '"' + source.etag + '"');
      part.error_in_success = true;
      upload.etags[i] = without_etag_quotes(child_of_root(send(part).body, "ETag"));
      std::lock_guard lock(mutex);
      if (options.progress) options.progress(upload.length(i));
    });
    CopyResult result = complete(key, upload.id, upload.etags, "", {});
    ensure_tags(key, headers);
    return result;
  } catch (...) {
    std::exception_ptr reason = std::current_exception();
    abort_unless_kept(upload, options);
    std::rethrow_exception(reason);
  }
}

}  // namespace millrace::objects
