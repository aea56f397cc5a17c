// Speaks for aws/sigv4.h to signature_oracle.py: one JSON command a line in, one JSON answer a line out.
#include <iostream>
#include <string>

#include "aws/chunked.h"
#include "aws/sigv4.h"
#include "base/hash.h"
#include "base/json.h"
#include "http/head_parser.h"

namespace {

using namespace millrace;
namespace json = base::json;

std::string text(const json::object& command, std::string_view name) {
  return std::string(base::find_string(command, name).value());
}

aws::Dialect dialect(const std::string& name) {
  if (name == "s3") return aws::Dialect::kS3;
  if (name == "query") return aws::Dialect::kQuery;
  return name == "json" ? aws::Dialect::kJson : aws::Dialect::kRestJson;
}

// What the body is once its framing is off.
std::string payload(const aws::Claim& claim, const http::RequestHead& head, const std::string& body) {
  auto options = aws::chunked_options(claim, head, nullptr);
  if (!options) return body;
  std::string out;
  aws::ChunkedDecoder decoder(*options, [&](std::string_view bytes) { out += bytes; });
  decoder.feed(body);
  decoder.finish();
  return out;
}

// A server's steps, in a server's order.
json::object check(aws::Verifier& verifier, const json::object& command) {
  aws::Dialect words = dialect(text(command, "dialect"));
  http::RequestHead head = http::parse_head(base::unbase64(text(command, "head")).value()).head;
  std::string body = base::unbase64(text(command, "body")).value();
  std::optional<aws::Claim> claim = aws::parse_claim(head, words);
  if (!claim) throw aws::auth_error(aws::AuthProblem::kMissing, words);
  aws::check_region(*claim, text(command, "region"));
  if (claim->access_key != text(command, "access_key"))
    throw aws::auth_error(aws::AuthProblem::kUnknownKey, words);
  std::string digest = base::sha256_hex(body);
  verifier.verify(*claim, head, claim->signs_body() ? std::optional<std::string_view>(digest) : std::nullopt,
                  text(command, "secret"), *base::find_int(command, "now"));
  return {{"accepted", true}, {"body", base::base64(payload(*claim, head, body))}};
}

}  // namespace

int main() {
  aws::Verifier verifier;
  std::string line;
  while (std::getline(std::cin, line)) {
    json::object answer;
    try {
      answer = check(verifier, base::parse_json(line).as_object());
    } catch (const aws::ApiError& error) {
      answer = {{"status", error.status}, {"error", error.code()}, {"message", error.what()}};
    } catch (const http::BadRequest& error) {
      answer = {{"status", error.status}, {"error", "not HTTP"}, {"message", error.why}};
    }
    std::cout << json::serialize(answer) << "\n" << std::flush;
  }
}
