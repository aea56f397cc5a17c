#include "objects/s3_client.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <pugixml.hpp>
#include <random>
#include <thread>

#include "aws/sigv4.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "base/url.h"
#include "objects/checksum.h"

namespace millrace::objects {
namespace {

using http::ClientResponse;

constexpr uint64_t kPartsMax = 10'000;

struct S3Error {
  std::string code, message;
};

S3Error error_in(const std::string& body) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size())) return {};
  pugi::xml_node error = document.child("Error");
  return {error.child_value("Code"), error.child_value("Message")};
}

bool is_retryable(int status, const std::string& code) {
  return status == 429 || status == 500 || status == 502 || status == 503 || status == 504 ||
         code == "RequestTimeout" || code == "SlowDown" || code.starts_with("Throttling") ||
         code == "RequestLimitExceeded" || code == "BandwidthLimitExceeded";
}

std::string unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

bool is_custom(const std::string& endpoint) {
  return !endpoint.empty() && endpoint.find(".amazonaws.com") == std::string::npos;
}

std::string escaped_xml(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

}  // namespace

// One operation; sent as often as it takes.
struct S3Client::Call {
  std::string method;
  std::string_view key;  // empty: of the bucket
  std::string query;
  http::Headers headers;
  std::string_view body;
  // Begins a new attempt of a body that is streamed.
  std::function<void()> restart;
  std::function<bool(std::string_view)> on_body;
  // An answer of 200 may be an error all the same (copies and completions).
  bool error_in_success = false;
  // Statuses that are an answer and not an error.
  std::vector<int> accepted;
};

S3Client::S3Client(S3ClientOptions options) : options_(std::move(options)), region_(options_.region) {
  // A bucket with dots does not match the wildcard of AWS's certificate; other servers seldom have host names
  // for buckets.
  path_style_ = is_custom(options_.endpoint) || options_.bucket.find('.') != std::string::npos;
  while (options_.endpoint.ends_with('/')) options_.endpoint.pop_back();
  if (!options_.endpoint.empty()) base::parse_url(options_.endpoint);
}

S3Client::~S3Client() = default;

std::string S3Client::region() const {
  std::lock_guard lock(mutex_);
  return region_;
}

std::string S3Client::url_of(std::string_view key, std::string_view query) const {
  std::string url =
      options_.endpoint.empty() ? "https://s3." + region() + ".amazonaws.com" : options_.endpoint;
  if (path_style_)
    url += "/" + options_.bucket;
  else
    url.insert(url.find("://") + 3, options_.bucket + ".");
  if (!key.empty() || !path_style_) url += "/" + base::percent_encode(key, true);
  if (!query.empty()) (url += '?') += query;
  return url;
}

std::string S3Client::url() const { return "s3://" + options_.bucket; }

bool S3Client::adopt_region(const ClientResponse& response) {
  if (response.status != 301 && response.status != 307 && response.status != 400) return false;
  std::string_view told = response.headers.get("x-amz-bucket-region");
  std::lock_guard lock(mutex_);
  if (told.empty() || told == region_) return false;
  region_ = told;
  return true;
}

ClientResponse S3Client::send(const Call& call) {
  static thread_local std::minstd_rand random(std::random_device{}());
  std::string what = call.method + " " + url() + (call.key.empty() ? "" : "/" + std::string(call.key));
  std::string last;
  bool skew_corrected = false, region_corrected = false;
  for (int attempt = 1;; ++attempt) {
    http::ClientRequest request;
    request.method = call.method;
    request.url = url_of(call.key, call.query);
    request.headers = call.headers;
    request.body = call.body;
    request.on_body = call.on_body;
    request.ca_file = options_.ca_file;
    if (call.restart) call.restart();
    aws::sign(request, options_.credentials->get(), region(), "s3",
              base::SystemClock().now_ms() + clock_offset_.load());
    requests_.fetch_add(1);
    try {
      ClientResponse response = options_.client->send(std::move(request));
      bool success = response.status >= 200 && response.status < 300;
      S3Error error;
      if (!success || call.error_in_success) error = error_in(response.body);
      if (success && call.error_in_success && (!error.code.empty() || response.body.empty())) {
        response.status = 500;
        success = false;
      }
      if (success ||
          std::find(call.accepted.begin(), call.accepted.end(), response.status) != call.accepted.end())
        return response;
      if (error.code == "RequestTimeTooSkewed" && !skew_corrected) {
        if (auto theirs = base::parse_http_date(response.headers.get("date"))) {
          clock_offset_ = *theirs - base::SystemClock().now_ms();
          skew_corrected = true;
          continue;
        }
      }
      if (!region_corrected && adopt_region(response)) {
        region_corrected = true;
        continue;
      }
      last = what + ": " +
             (error.code.empty() ? "HTTP status " + std::to_string(response.status)
                                 : error.code + ": " + error.message);
      if (!is_retryable(response.status, error.code)) {
        switch (response.status) {
          case 404:
            throw base::NotFoundError(last, error.code);
          case 401:
          case 403:
            throw base::DeniedError(last, error.code);
          case 409:
          case 412:
            throw base::ConflictError(last, error.code.empty() ? "PreconditionFailed" : error.code);
          default:
            throw base::InternalError(last, error.code);
        }
      }
    } catch (const base::TransientError& error) {
      last = error.what();
    }
    if (attempt >= options_.attempts_max)
      throw base::TransientError(last + " (" + std::to_string(attempt) + " attempts)");
    double pause_ms =
        std::min(static_cast<double>(options_.retry_pause.count()) * (1 << std::min(attempt - 1, 15)),
                 20'000.0) *
        std::uniform_real_distribution<double>(0, 1)(random);
    std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(pause_ms));
  }
}

void S3Client::list(std::string_view prefix, const std::function<bool(const ObjectInfo&)>& visit) {
  std::string token;
  for (;;) {
    Call call;
    call.method = "GET";
    if (!token.empty()) call.query = "continuation-token=" + base::percent_encode(token) + "&";
    call.query += "encoding-type=url&list-type=2&prefix=" + base::percent_encode(prefix);
    ClientResponse response = send(call);
    pugi::xml_document document;
    if (!document.load_buffer_inplace(response.body.data(), response.body.size(),
                                      pugi::parse_default | pugi::parse_ws_pcdata_single))
      throw base::CorruptError("list " + url() + ": the answer is not XML");
    pugi::xml_node result = document.child("ListBucketResult");
    if (!result) throw base::CorruptError("list " + url() + ": the answer is no ListBucketResult");
    bool encoded = std::strcmp(result.child_value("EncodingType"), "url") == 0;
    for (pugi::xml_node item : result.children("Contents")) {
      ObjectInfo info;
      info.key = item.child_value("Key");
      // Servers write a space as '+' or %20; a '+' of the key itself is always encoded.
      if (encoded) info.key = base::percent_decode(info.key, true);
      auto size = base::parse_number<uint64_t>(item.child_value("Size"));
      if (!size) throw base::CorruptError("list " + url() + ": an object without a size: " + info.key);
      info.size = *size;
      info.etag = unquoted(item.child_value("ETag"));
      info.last_modified = base::parse_iso8601(item.child_value("LastModified")).value_or(0);
      if (!visit(info)) return;
    }
    if (std::strcmp(result.child_value("IsTruncated"), "true") != 0) return;
    std::string next = result.child_value("NextContinuationToken");
    if (next.empty() || next == token)
      throw base::CorruptError("list " + url() + ": the answer says that there is more, but not where");
    token = std::move(next);
  }
}

ObjectInfo S3Client::head(std::string_view key) {
  Call call;
  call.method = "HEAD";
  call.key = key;
  ClientResponse response = send(call);
  ObjectInfo info;
  info.key = key;
  info.size = base::parse_number<uint64_t>(response.headers.get("content-length")).value_or(0);
  info.etag = unquoted(response.headers.get("etag"));
  info.last_modified = base::parse_http_date(response.headers.get("last-modified")).value_or(0);
  return info;
}

size_t S3Client::read(std::string_view key, uint64_t offset, char* out, size_t length,
                      std::string_view etag) {
  if (length == 0) return 0;
  size_t got = 0;
  Call call;
  call.method = "GET";
  call.key = key;
  call.headers.add("Range", "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + length - 1));
  if (!etag.empty()) call.headers.add("If-Match", '"' + std::string(etag) + '"');
  call.restart = [&] { got = 0; };
  call.on_body = [&](std::string_view bytes) {
    if (bytes.size() > length - got) return false;
    std::memcpy(out + got, bytes.data(), bytes.size());
    got += bytes.size();
    return true;
  };
  call.accepted = {416};  // nothing there: the object ends before
  ClientResponse response = send(call);
  if (response.status == 416) return 0;
  if (response.status != 206 && offset != 0)
    throw base::CorruptError("read " + url() + "/" + std::string(key) + ": the server does not know ranges");
  return got;
}

bool S3Client::bucket_exists() {
  Call call;
  call.method = "HEAD";
  call.accepted = {404};
  return send(call).status != 404;
}

void S3Client::create_bucket() {
  Call call;
  call.method = "PUT";
  std::string body;
  if (region() != "us-east-1") {
    body =
        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>" +
        escaped_xml(region()) + "</LocationConstraint></CreateBucketConfiguration>";
    call.headers.add("Content-Type", "application/xml");
  }
  call.body = body;
  try {
    send(call);
  } catch (const base::ConflictError& error) {
    if (error.code() != "BucketAlreadyOwnedByYou") throw;
  }
}

std::string S3Client::put(std::string_view key, std::string_view body, std::string_view content_type,
                          const Metadata& metadata) {
  Call call;
  call.method = "PUT";
  call.key = key;
  call.body = body;
  if (!content_type.empty()) call.headers.add("Content-Type", std::string(content_type));
  for (const auto& [name, value] : metadata) call.headers.add("x-amz-meta-" + name, value);
  call.headers.add("x-amz-checksum-crc32", base::base64(checksum_of(ChecksumAlgorithm::kCrc32, body)));
  return unquoted(send(call).headers.get("etag"));
}

void S3Client::remove(std::string_view key) {
  Call call;
  call.method = "DELETE";
  call.key = key;
  send(call);
}

std::string S3Client::put_file(std::string_view key, const std::string& path, std::string_view content_type,
                               const std::function<void(uint64_t)>& progress) {
  base::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st{};
  if (!file || fstat(file.get(), &st) != 0) {
    std::string text = base::system_message("open " + path, errno);
    if (errno == EACCES) throw base::DeniedError(text);
    throw base::NotFoundError(text);
  }
  auto size = static_cast<uint64_t>(st.st_size);
  if (size > 2 * options_.part_bytes) return put_parts(key, file.get(), size, content_type, progress);
  std::string body(size, '\0');
  size_t got = 0;
  while (got < body.size()) {
    ssize_t n = pread(file.get(), body.data() + got, body.size() - got, static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::TransientError(base::system_message("read " + path, errno));
    if (n == 0) throw base::ConflictError("read " + path + ": the file became shorter");
    got += static_cast<size_t>(n);
  }
  std::string etag = put(key, body, content_type);
  if (progress) progress(size);
  return etag;
}

std::string S3Client::put_parts(std::string_view key, int file, uint64_t size, std::string_view content_type,
                                const std::function<void(uint64_t)>& progress) {
  uint64_t part_bytes = std::max(options_.part_bytes, (size + kPartsMax - 1) / kPartsMax);
  Call create;
  create.method = "POST";
  create.key = key;
  create.query = "uploads=";
  if (!content_type.empty()) create.headers.add("Content-Type", std::string(content_type));
  create.headers.add("x-amz-checksum-algorithm", "CRC32");
  ClientResponse created = send(create);
  pugi::xml_document document;
  document.load_buffer(created.body.data(), created.body.size());
  std::string upload = document.child("InitiateMultipartUploadResult").child_value("UploadId");
  if (upload.empty()) throw base::CorruptError("upload " + url() + "/" + std::string(key) + ": no upload id");
  std::string query = "&uploadId=" + base::percent_encode(upload);
  try {
    std::vector<std::string> etags;
    std::string md5s, buffer;
    for (uint64_t offset = 0; offset < size; offset += part_bytes) {
      buffer.resize(static_cast<size_t>(std::min(part_bytes, size - offset)));
      for (size_t got = 0; got < buffer.size();) {
        ssize_t n = pread(file, buffer.data() + got, buffer.size() - got, static_cast<off_t>(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw base::TransientError(base::system_message("read the file to upload", errno));
        if (n == 0) throw base::ConflictError("the file became shorter while it was uploaded");
        got += static_cast<size_t>(n);
      }
      Call part;
      part.method = "PUT";
      part.key = key;
      part.query = "partNumber=" + std::to_string(etags.size() + 1) + query;
      part.body = buffer;
      part.headers.add("x-amz-checksum-crc32", base::base64(checksum_of(ChecksumAlgorithm::kCrc32, buffer)));
      etags.push_back(unquoted(send(part).headers.get("etag")));
      md5s += base::md5(buffer);
      if (progress) progress(buffer.size());
    }
    std::string expected = base::md5_hex(md5s) + "-" + std::to_string(etags.size());
    return complete(key, upload, etags, expected);
  } catch (...) {
    std::exception_ptr reason = std::current_exception();
    try {
      Call abort;
      abort.method = "DELETE";
      abort.key = key;
      abort.query = query.substr(1);
      abort.accepted = {404};
      send(abort);
    } catch (const base::Error&) {
      // What went wrong first is what the caller must hear.
    }
    std::rethrow_exception(reason);
  }
}

std::string S3Client::complete(std::string_view key, const std::string& upload,
                               const std::vector<std::string>& etags, const std::string& expected_etag) {
  std::string body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (size_t i = 0; i < etags.size(); ++i)
    body += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>&quot;" +
            escaped_xml(etags[i]) + "&quot;</ETag></Part>";
  body += "</CompleteMultipartUpload>";
  Call call;
  call.method = "POST";
  call.key = key;
  call.query = "uploadId=" + base::percent_encode(upload);
  call.headers.add("Content-Type", "application/xml");
  call.body = body;
  call.error_in_success = true;
  try {
    ClientResponse response = send(call);
    pugi::xml_document document;
    document.load_buffer(response.body.data(), response.body.size());
    return unquoted(document.child("CompleteMultipartUploadResult").child_value("ETag"));
  } catch (const base::NotFoundError& error) {
    if (error.code() != "NoSuchUpload") throw;
    // The answer to an earlier attempt may have been lost on its way: then the object is there.
    ObjectInfo info = head(key);
    if (info.etag != expected_etag) throw;
    return info.etag;
  }
}

std::unique_ptr<S3Client> open_s3(const std::string& bucket) {
  static const base::SystemClock clock;
  aws::Environment environment = aws::process_environment();
  auto first = [&](std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (auto value = environment(name); value && !value->empty()) return *value;
    return std::string();
  };
  S3ClientOptions options;
  options.bucket = bucket;
  options.endpoint = first({"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  if (std::string region = first({"AWS_REGION", "AWS_DEFAULT_REGION"}); !region.empty())
    options.region = region;
  options.client = std::make_shared<http::Client>();
  options.credentials = aws::default_credentials(environment, clock, options.client);
  return std::make_unique<S3Client>(std::move(options));
}

}  // namespace millrace::objects
