#include "objects/s3_client.h"

#include <algorithm>
#include <cstring>
#include <pugixml.hpp>
#include <random>
#include <thread>

#include "aws/config_files.h"
#include "aws/sigv4.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/url.h"
#include "objects/s3_client_call.h"
#include "objects/s3_xml.h"

namespace millrace::objects {
namespace {

using http::ClientResponse;

bool is_throttling(int status, const std::string& code) {
  return status == 429 || status == 503 || code == "SlowDown" || code.starts_with("Throttling") ||
         code == "RequestLimitExceeded" || code == "BandwidthLimitExceeded" ||
         code == "PriorRequestNotComplete" || code == "TooManyRequestsException";
}

bool is_retryable(int status, const std::string& code) {
  return is_throttling(status, code) || status == 500 || status == 502 || status == 504 ||
         code == "RequestTimeout";
}

bool is_custom(const std::string& endpoint) {
  return !endpoint.empty() && endpoint.find(".amazonaws.com") == std::string::npos;
}

// One request's stay behind the gate.
class GatePass {
 public:
  explicit GatePass(RequestGate* gate) : gate_(gate) {
    if (gate_) gate_->enter();
  }
  ~GatePass() { leave(false); }
  void leave(bool throttled) {
    if (gate_) std::exchange(gate_, nullptr)->leave(throttled);
  }
  GatePass(const GatePass&) = delete;
  GatePass& operator=(const GatePass&) = delete;

 private:
  RequestGate* gate_;
};

[[noreturn]] void throw_refusal(int status, const std::string& what, const std::string& code) {
  switch (status) {
    case 404:
      throw base::NotFoundError(what, code);
    case 401:
    case 403:
      throw base::DeniedError(what, code);
    case 409:
    case 412:
      throw base::ConflictError(what, code.empty() ? "PreconditionFailed" : code);
    default:
      throw base::InternalError(what, code);
  }
}

}  // namespace

S3Client::S3Client(S3ClientOptions options) : options_(std::move(options)), region_(options_.region) {
  // A bucket with dots does not match the wildcard of AWS's certificate; other servers seldom have host names
  // for buckets.
  path_style_ = is_custom(options_.endpoint) || options_.bucket.find('.') != std::string::npos;
  while (options_.endpoint.ends_with('/')) options_.endpoint.pop_back();
  if (!options_.endpoint.empty()) base::parse_url(options_.endpoint);
  if (!options_.traffic) options_.traffic = std::make_shared<S3Traffic>();
  options_.parallel = std::max(1u, options_.parallel);
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

// Wrong region: the header tells the right one (also to HEAD, which has no body), or the document.
bool S3Client::adopt_region(const ClientResponse& response, const std::string& told_in_body) {
  if (response.status != 301 && response.status != 307 && response.status != 400) return false;
  std::string told(response.headers.get("x-amz-bucket-region"));
  if (told.empty()) told = told_in_body;
  std::lock_guard lock(mutex_);
  if (told.empty() || told == region_) return false;
  region_ = told;
  return true;
}

http::ClientRequest S3Client::signed_request(const Call& call, aws::Credentials& credentials) const {
  http::ClientRequest request;
  request.method = call.method;
  request.url = url_of(call.key, call.query);
  request.headers = call.headers;
  if (call.file < 0) request.body = call.body;
  request.ca_file = options_.ca_file;
  credentials = options_.credentials->get();
  aws::sign(request, credentials, region(), "s3", base::SystemClock().now_ms() + clock_offset_.load(),
            call.payload_sha256);
  return request;
}

ClientResponse S3Client::send(Call& call) {
  static thread_local std::minstd_rand random(std::random_device{}());
  S3Traffic& traffic = *options_.traffic;
  std::string what = call.method + " " + url() + (call.key.empty() ? "" : "/" + std::string(call.key));
  std::string last;
  bool skew_corrected = false, region_corrected = false, renewed = false;
  int paid = 0;  // tokens for the retry under way
  for (int attempt = 1;; ++attempt) {
    if (call.restart) call.restart();
    aws::Credentials credentials;
    http::ClientRequest request = signed_request(call, credentials);
    uint64_t sending = call.file >= 0 ? call.upload_size : call.body.size();
    if (call.file >= 0) {
      auto sent = std::make_shared<uint64_t>(0);
      request.upload_size = call.upload_size;
      request.upload = [&call, sent](char* out, size_t size) {
        size = static_cast<size_t>(std::min<uint64_t>(size, call.upload_size - *sent));
        read_exactly(call.file, call.offset + *sent, out, size);
        *sent += size;
        return size;
      };
      request.rewind = [sent] { *sent = 0; };
    }
    if (call.on_head) request.on_head = call.on_head;
    // What the caller's own function throws is the caller's, and no reason to try again.
    std::exception_ptr thrown;
    if (call.on_body)
      request.on_body = [&](std::string_view bytes) {
        traffic.bytes_received += bytes.size();
        try {
          return call.on_body(bytes);
        } catch (...) {
          thrown = std::current_exception();
          return false;
        }
      };
    GatePass pass(call.outside_gate ? nullptr : options_.gate.get());
    ++traffic.requests;
    bool answered = false, throttled = false;
    try {
      ClientResponse response = options_.client->send(std::move(request));
      answered = true;
      if (thrown) std::rethrow_exception(thrown);
      traffic.bytes_sent += sending;
      traffic.bytes_received += response.body.size();
      bool success = response.status >= 200 && response.status < 300;
      S3Error error;
      if (!success || call.error_in_success) error = error_in(response.body);
      if (success && call.error_in_success && (!error.code.empty() || response.body.empty())) {
        response.status = 500;
        success = false;
      }
      if (success ||
          std::find(call.accepted.begin(), call.accepted.end(), response.status) != call.accepted.end()) {
        traffic.quota.give(std::max(paid, 1));
        return response;
      }
      if (error.code == "RequestTimeTooSkewed" && !skew_corrected) {
        if (auto theirs = base::parse_http_date(response.headers.get("date"))) {
          clock_offset_ = *theirs - base::SystemClock().now_ms();
          skew_corrected = true;
          continue;
        }
      }
      if (!region_corrected && adopt_region(response, error.region)) {
        region_corrected = true;
        continue;
      }
      // Revoked or expired under way: once more with fresh ones.
      if (error.code == "ExpiredToken" && !renewed) {
        options_.credentials->invalidate(credentials);
        renewed = true;
        continue;
      }
      last = what + ": " +
             (error.code.empty() ? "HTTP status " + std::to_string(response.status)
                                 : error.code + ": " + error.message);
      if (!is_retryable(response.status, error.code)) throw_refusal(response.status, last, error.code);
      throttled = is_throttling(response.status, error.code);
      traffic.throttled += throttled;
      pass.leave(throttled);
    } catch (const base::TransientError& error) {
      if (answered) throw;
      last = error.what();
    }
    pass.leave(throttled);
    if (attempt >= options_.attempts_max)
      throw base::TransientError(last + " (" + std::to_string(attempt) + " attempts)");
    int cost = answered ? RetryQuota::kRetryCost : RetryQuota::kTimeoutCost;
    // A gate slows the job down where a server asks for it; giving up would only lose work.
    if (!(throttled && options_.gate)) {
      if (!traffic.quota.take(cost))
        throw base::TransientError(last + " (not tried again: too many requests failed)");
      paid = cost;
    }
    ++traffic.retries;
    double pause_ms =
        std::min(static_cast<double>(options_.retry_pause.count()) * (1 << std::min(attempt - 1, 15)),
                 20'000.0) *
        std::uniform_real_distribution<double>(0, 1)(random);
    std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(pause_ms));
  }
}

void S3Client::list(std::string_view prefix, const std::function<bool(const ObjectInfo&)>& visit) {
  list(prefix, {}, {}, visit, {});
}

void S3Client::list(std::string_view prefix, std::string_view delimiter, std::string_view start_after,
                    const std::function<bool(const ObjectInfo&)>& visit,
                    const std::function<bool(const std::string&)>& visit_common_prefix) {
  std::string token;
  do {
    ListedPage page = list_page({prefix, delimiter, token.empty() ? start_after : "", token});
    for (const ObjectInfo& info : page.objects)
      if (!visit(info)) return;
    for (const std::string& common : page.common_prefixes)
      if (visit_common_prefix && !visit_common_prefix(common)) return;
    token = std::move(page.next);
  } while (!token.empty());
}

void S3Client::start_copy(const std::string& source_bucket, const ObjectInfo& source, std::string_view key,
                          const CopyOptions& options,
                          std::function<void(CopyResult, std::exception_ptr)> done) {
  aws::Credentials credentials;
  http::ClientRequest request = signed_request(copy_call(source_bucket, source, key, options), credentials);
  ++options_.traffic->requests;
  options_.client->send(
      std::move(request), [gate = options_.gate, traffic = options_.traffic, done = std::move(done)](
                              ClientResponse response, std::exception_ptr error) {
        bool throttled = !error && is_throttling(response.status, "");
        // Before `done`: what waits at the gate may live no longer than until that was told.
        if (gate) gate->leave(throttled);
        traffic->throttled += throttled;
        CopyResult result;
        if (!error) {
          traffic->bytes_received += response.body.size();
          if (response.status == 200) result = copy_result(response);
          if (result.etag.empty())
            error = std::make_exception_ptr(base::TransientError(
                "the copy was not made at once: HTTP status " + std::to_string(response.status)));
          else
            traffic->quota.give(1);
        }
        done(std::move(result), error);
      });
}

ListedPage S3Client::list_page(const ListRequest& asked) {
  constexpr unsigned kKeysMax = 1000;
  Call call;
  call.method = "GET";
  if (!asked.token.empty()) call.query = "continuation-token=" + base::percent_encode(asked.token) + "&";
  if (!asked.delimiter.empty()) call.query += "delimiter=" + base::percent_encode(asked.delimiter) + "&";
  call.query += "encoding-type=url&list-type=2";
  if (asked.keys_max < kKeysMax) call.query += "&max-keys=" + std::to_string(asked.keys_max);
  call.query += "&prefix=" + base::percent_encode(asked.prefix);
  if (!asked.start_after.empty()) call.query += "&start-after=" + base::percent_encode(asked.start_after);
  ClientResponse response = send(call);
  pugi::xml_document document;
  if (!document.load_buffer_inplace(response.body.data(), response.body.size(),
                                    pugi::parse_default | pugi::parse_ws_pcdata_single))
    throw base::CorruptError("list " + url() + ": the answer is not XML");
  pugi::xml_node result = document.child("ListBucketResult");
  if (!result) throw base::CorruptError("list " + url() + ": the answer is no ListBucketResult");
  bool encoded = std::strcmp(result.child_value("EncodingType"), "url") == 0;
  // Servers write a space as '+' or %20; a '+' of the key itself is always encoded.
  auto decoded = [&](const char* text) {
    return encoded ? base::percent_decode(text, true) : std::string(text);
  };
  ListedPage page;
  page.objects.reserve(asked.keys_max);
  for (pugi::xml_node item : result.children("Contents")) {
    ObjectInfo info;
    std::string_view size_text, modified;
    // One pass over the children instead of one look-up each.
    for (pugi::xml_node field : item.children()) {
      std::string_view name = field.name();
      if (name == "Key")
        info.key = decoded(field.child_value());
      else if (name == "Size")
        size_text = field.child_value();
      else if (name == "ETag")
        info.etag = without_etag_quotes(field.child_value());
      else if (name == "LastModified")
        modified = field.child_value();
      else if (name == "StorageClass")
        info.storage_class = field.child_value();
    }
    auto size = base::parse_number<uint64_t>(size_text);
    if (!size) throw base::CorruptError("list " + url() + ": an object without a size: " + info.key);
    info.size = *size;
    info.last_modified = base::parse_iso8601(modified).value_or(0);
    page.objects.push_back(std::move(info));
  }
  for (pugi::xml_node common : result.children("CommonPrefixes"))
    page.common_prefixes.push_back(decoded(common.child_value("Prefix")));
  if (std::strcmp(result.child_value("IsTruncated"), "true") == 0) {
    page.next = result.child_value("NextContinuationToken");
    if (page.next.empty() || page.next == asked.token)
      throw base::CorruptError("list " + url() + ": the answer says that there is more, but not where");
  }
  return page;
}

ObjectInfo S3Client::head(std::string_view key) { return details(key).info; }

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

void S3Client::delete_bucket() {
  Call call;
  call.method = "DELETE";
  send(call);
}

void S3Client::remove(std::string_view key) {
  Call call;
  call.method = "DELETE";
  call.key = key;
  call.accepted = {404};
  send(call);
}

std::vector<RemoveFailure> S3Client::remove_all(const std::vector<std::string>& keys) {
  constexpr size_t kKeysMax = 1000;
  std::vector<RemoveFailure> failures;
  std::vector<std::string> left;
  for (const std::string& key : keys) {
    if (fits_xml(key)) {
      left.push_back(key);
      continue;
    }
    try {
      remove(key);
    } catch (const base::Error& error) {
      failures.push_back({key, error.code(), error.what()});
    }
  }
  for (int attempt = 1; !left.empty(); ++attempt) {
    std::vector<std::string> again;
    for (size_t at = 0; at < left.size(); at += kKeysMax) {
      std::vector<std::string> batch(
          left.begin() + static_cast<std::ptrdiff_t>(at),
          left.begin() + static_cast<std::ptrdiff_t>(std::min(at + kKeysMax, left.size())));
      std::string body = delete_document(batch);
      Call call;
      call.method = "POST";
      call.query = "delete=";
      call.body = body;
      call.error_in_success = true;
      call.headers.add("Content-Type", "application/xml");
      // Old servers insist on the first, others know only the second.
      call.headers.add("Content-MD5", base::base64(base::md5(body)));
      call.headers.add("x-amz-checksum-crc32", base::base64(checksum_of(ChecksumAlgorithm::kCrc32, body)));
      for (DeleteError& error : delete_errors(send(call).body)) {
        if (error.code == "NoSuchKey") continue;
        if (attempt < options_.attempts_max &&
            (error.code == "InternalError" || is_throttling(0, error.code)))
          again.push_back(std::move(error.key));
        else
          failures.push_back({std::move(error.key), std::move(error.code), std::move(error.message)});
      }
    }
    left = std::move(again);
    if (!left.empty()) std::this_thread::sleep_for(options_.retry_pause * attempt);
  }
  return failures;
}

http::Headers::Field S3Client::tags_header(std::string_view key) {
  Call call;
  call.method = "GET";
  call.key = key;
  call.query = "tagging=";
  ClientResponse response = send(call);
  if (response.body.empty()) return {"x-amz-tagging", ""};  // radosgw 16, of objects that came in parts
  pugi::xml_document document;
  if (!document.load_buffer(response.body.data(), response.body.size(),
                            pugi::parse_default | pugi::parse_ws_pcdata_single))
    throw base::CorruptError("tags of " + url() + "/" + std::string(key) + ": the answer is not XML");
  std::string tags;
  for (pugi::xml_node tag : document.child("Tagging").child("TagSet").children("Tag")) {
    if (!tags.empty()) tags += '&';
    tags +=
        base::percent_encode(tag.child_value("Key")) + "=" + base::percent_encode(tag.child_value("Value"));
  }
  return {"x-amz-tagging", tags};
}

std::string S3Client::acl(std::string_view key) {
  Call call;
  call.method = "GET";
  call.key = key;
  call.query = "acl=";
  return send(call).body;
}

void S3Client::put_acl(std::string_view key, const std::string& document) {
  Call call;
  call.method = "PUT";
  call.key = key;
  call.query = "acl=";
  call.headers.add("Content-Type", "application/xml");
  call.headers.add("Content-MD5", base::base64(base::md5(document)));
  call.body = document;
  send(call);
}

void S3Client::put_tags(std::string_view key, const std::string& tags) {
  Call call;
  call.key = key;
  call.query = "tagging=";
  std::string body;
  if (tags.empty()) {
    call.method = "DELETE";
  } else {
    call.method = "PUT";
    body = "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>";
    for (const auto& [name, value] : base::parse_query(tags, true))
      body += "<Tag><Key>" + escaped_xml(name) + "</Key><Value>" + escaped_xml(value) + "</Value></Tag>";
    body += "</TagSet></Tagging>";
    call.headers.add("Content-Type", "application/xml");
    call.headers.add("Content-MD5", base::base64(base::md5(body)));
  }
  call.body = body;
  send(call);
}

S3ClientOptions s3_options_from_environment(const std::string& bucket, const std::string& profile) {
  static const base::SystemClock clock;
  aws::Environment environment = aws::process_environment();
  aws::ProfileSettings settings = aws::profile_settings(environment, profile);
  auto first = [&](std::initializer_list<const char*> names, const std::string& otherwise) {
    for (const char* name : names)
      if (auto value = environment(name); value && !value->empty()) return *value;
    return otherwise;
  };
  S3ClientOptions options;
  options.bucket = bucket;
  options.endpoint = first({"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}, settings.s3_endpoint_url);
  if (std::string region = first({"AWS_REGION", "AWS_DEFAULT_REGION"}, settings.region); !region.empty())
    options.region = region;
  options.ca_file = first({"AWS_CA_BUNDLE"}, settings.ca_bundle);
  options.client = std::make_shared<http::Client>();
  options.credentials = aws::default_credentials(environment, clock, options.client, profile);
  return options;
}

std::unique_ptr<S3Client> open_s3(const std::string& bucket) {
  return std::make_unique<S3Client>(s3_options_from_environment(bucket));
}

}  // namespace millrace::objects
