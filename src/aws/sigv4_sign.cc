#include <algorithm>
#include <cstring>

#include "aws/sigv4.h"
#include "aws/sigv4_canonical.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/url.h"

namespace millrace::aws {
namespace {

std::string string_to_sign(std::string_view time, std::string_view scope, std::string_view canonical) {
  std::string out = "AWS4-HMAC-SHA256\n";
  out += time;
  out += '\n';
  out += scope;
  out += '\n';
  out += base::sha256_hex(canonical);
  return out;
}

std::vector<std::string> sorted_unique(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// A job signs with one key all day: five HMACs are saved for each request.
const SigningKey& remembered_signing_key(const std::string& secret, const std::string& day,
                                         std::string_view region, std::string_view service) {
  struct Last {
    std::string secret, day, region, service;
    SigningKey key{};
  };
  static thread_local Last last;
  if (last.secret != secret || last.day != day || last.region != region || last.service != service)
    last = {secret, day, std::string(region), std::string(service),
            derive_signing_key(secret, day, region, service)};
  return last.key;
}

}  // namespace

SigningKey derive_signing_key(std::string_view secret, std::string_view day, std::string_view region,
                              std::string_view service) {
  std::string key = base::hmac_sha256("AWS4" + std::string(secret), day);
  key = base::hmac_sha256(key, region);
  key = base::hmac_sha256(key, service);
  key = base::hmac_sha256(key, "aws4_request");
  SigningKey out;
  std::memcpy(out.data(), key.data(), out.size());
  return out;
}

std::string signature_of(const SigningKey& key, std::string_view string_to_sign) {
  return base::hex(base::hmac_sha256({key.data(), key.size()}, string_to_sign));
}

void sign(http::ClientRequest& request, const Credentials& credentials, std::string_view region,
          std::string_view service, base::TimeMs now, std::string_view payload_hash) {
  bool is_s3 = service == "s3";
  base::Url url = base::parse_url(request.url);
  std::string time = base::amz_date(now);
  std::string day = time.substr(0, 8);
  std::string hash = !payload_hash.empty()  ? std::string(payload_hash)
                     : request.body.empty() ? std::string(kEmptySha256)
                                            : base::sha256_hex(request.body);
  request.headers.set("X-Amz-Date", time);
  if (!credentials.session_token.empty())
    request.headers.set("X-Amz-Security-Token", credentials.session_token);
  if (is_s3) request.headers.set("X-Amz-Content-Sha256", hash);

  http::Headers headers = request.headers;
  if (!headers.has("Host")) headers.add("Host", url.authority());
  std::vector<std::string> names;
  for (const auto& [name, value] : headers) {
    std::string lower = base::to_lower(name);
    if (lower == "host" || lower == "content-type" || lower == "content-md5" || lower.starts_with("x-amz-"))
      names.push_back(std::move(lower));
  }
  names = sorted_unique(std::move(names));
  std::string scope = day + "/" + std::string(region) + "/" + std::string(service) + "/aws4_request";
  std::string canonical =
      canonical_request({request.method, url.path, url.query, headers, names, hash, is_s3});
  std::string signature =
      signature_of(remembered_signing_key(credentials.secret_access_key, day, region, service),
                   string_to_sign(time, scope, canonical));
  request.headers.set("Authorization", "AWS4-HMAC-SHA256 Credential=" + credentials.access_key_id + "/" +
                                           scope + ", SignedHeaders=" + base::join(names, ";") +
                                           ", Signature=" + signature);
}

std::string presign(std::string_view method, std::string_view url_text, const Credentials& credentials,
                    std::string_view region, std::string_view service, base::TimeMs now, int64_t expires_s,
                    const http::Headers& headers) {
  if (expires_s < 1 || expires_s > kPresignedSecondsMax)
    throw base::UsageError("a presigned URL lasts 1 to 604800 seconds, not " + std::to_string(expires_s));
  base::Url url = base::parse_url(url_text);
  std::string time = base::amz_date(now);
  std::string day = time.substr(0, 8);
  std::string scope = day + "/" + std::string(region) + "/" + std::string(service) + "/aws4_request";
  http::Headers all = headers;
  if (!all.has("Host")) all.add("Host", url.authority());
  std::vector<std::string> names;
  for (const auto& [name, value] : all) names.push_back(base::to_lower(name));
  names = sorted_unique(std::move(names));
  std::string query = url.query;
  auto add = [&](std::string_view name, std::string_view value) {
    if (!query.empty()) query += '&';
    query += name;
    query += '=';
    query += base::percent_encode(value);
  };
  add("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
  add("X-Amz-Credential", credentials.access_key_id + "/" + scope);
  add("X-Amz-Date", time);
  add("X-Amz-Expires", std::to_string(expires_s));
  if (!credentials.session_token.empty()) add("X-Amz-Security-Token", credentials.session_token);
  add("X-Amz-SignedHeaders", base::join(names, ";"));
  bool is_s3 = service == "s3";
  std::string canonical = canonical_request(
      {method, url.path, query, all, names, is_s3 ? kUnsignedPayload : kEmptySha256, is_s3});
  add("X-Amz-Signature", signature_of(derive_signing_key(credentials.secret_access_key, day, region, service),
                                      string_to_sign(time, scope, canonical)));
  return url.origin() + url.path + "?" + query;
}

}  // namespace millrace::aws
