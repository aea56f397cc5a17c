// What events tell of the request that caused them.
#include "base/hash.h"
#include "base/url.h"
#include "services/s3_call.h"

namespace millrace::services {

namespace json = base::json;

objects::Requester requester_of(const http::RequestHead& head, const SigningContext& context) {
  json::object details;
  auto keep = [&](const char* name, std::string_view value) {
    if (!value.empty() && base::is_utf8(value)) details[name] = value;
  };
  keep("userAgent", head.headers.get("user-agent"));
  keep("Host", head.headers.get("host"));
  keep("accessKeyId", context.claim.access_key);
  for (const char* header : {"x-amz-acl", "x-amz-storage-class", "x-amz-server-side-encryption"})
    keep(header, head.headers.get(header));
  if (std::string_view source = head.headers.get("x-amz-copy-source"); !source.empty())
    keep("x-amz-copy-source", base::percent_decode(source.substr(source.front() == '/' ? 1 : 0)));
  for (const auto& [name, value] : base::parse_query(head.query))
    if (name == "uploadId" || name == "x-id" || name == "versionId") keep(name.c_str(), value);
  const std::string_view peer = head.peer;
  return {context.principal, std::string(peer.substr(0, peer.rfind(':'))), context.request_id,
          json::serialize(details)};
}

}  // namespace millrace::services
