#include "http/head_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include "base/strings.h"

namespace millrace::http {
namespace {

namespace beast = boost::beast::http;
using boost::beast::error_code;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

// Beast's parser with our own storage: fields go straight into Headers. Only ever given a complete head.
class HeadParser final : public beast::basic_parser<true> {
 public:
  ParsedHead parsed;
  unsigned hosts = 0, lengths = 0, transfer_encodings = 0;
  bool codings_ok = true;
  bool bad_length = false;
  bool unknown_expectation = false;
  bool close = false, keep = false;

 private:
  void on_request_impl(beast::verb, boost::beast::string_view method, boost::beast::string_view target,
                       int version, error_code&) override {
    parsed.head.method = view(method);
    std::string_view text = view(target);
    size_t question = text.find('?');
    parsed.head.path = text.substr(0, question);
    if (question != std::string_view::npos) parsed.head.query = text.substr(question + 1);
    parsed.http_1_0 = version == 10;
  }

  void on_field_impl(beast::field field, boost::beast::string_view name, boost::beast::string_view value,
                     error_code&) override {
    std::string_view text = view(value);
    switch (field) {
      case beast::field::host:
        ++hosts;
        break;
      case beast::field::content_length: {
        ++lengths;
        auto number = base::parse_number<uint64_t>(text);
        bad_length |= !number || text.empty() || text.front() == '+' || text.front() == '-';
        parsed.content_length = number.value_or(0);
        break;
      }
      case beast::field::transfer_encoding:
        ++transfer_encodings;
        codings_ok &= base::equals_ignore_case(text, "chunked");
        break;
      case beast::field::expect:
        if (base::equals_ignore_case(text, "100-continue"))
          parsed.expects_continue = true;
        else
          unknown_expectation = true;
        break;
      case beast::field::connection:
        for (std::string_view token : base::split(text, ',')) {
          close |= base::equals_ignore_case(base::trim(token), "close");
          keep |= base::equals_ignore_case(base::trim(token), "keep-alive");
        }
        break;
      default:
        break;
    }
    parsed.head.headers.add(std::string(view(name)), std::string(text));
  }

  void on_response_impl(int, boost::beast::string_view, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(boost::beast::string_view, error_code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view, error_code&) override { return 0; }
  void on_finish_impl(error_code&) override {}
};

// "http://host:port/path?query" as a target (RFC 9112 section 3.2.2) becomes its path; Host stays what was
// signed.
void to_origin_form(RequestHead& head) {
  if (!head.path.empty() && head.path.front() == '/') return;
  size_t scheme = head.path.find("://");
  if (scheme == std::string::npos || scheme > 5) throw BadRequest{400, "The request target is not a path."};
  size_t slash = head.path.find('/', scheme + 3);
  head.path = slash == std::string::npos ? "/" : head.path.substr(slash);
}

}  // namespace

size_t find_head_end(std::string_view bytes, size_t from) {
  size_t at = bytes.find("\r\n\r\n", from < 3 ? 0 : from - 3);
  return at == std::string_view::npos ? at : at + 4;
}

ParsedHead parse_head(std::string_view bytes) {
  for (size_t at = bytes.find('\n'); at + 1 < bytes.size(); at = bytes.find('\n', at + 1)) {
    if (bytes[at + 1] == ' ' || bytes[at + 1] == '\t')
      throw BadRequest{400, "A header field may not continue on the next line."};
  }
  HeadParser parser;
  parser.header_limit(UINT32_MAX);  // the caller has a limit already
  parser.body_limit(boost::none);
  error_code error;
  parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (error == beast::error::bad_version)
    throw BadRequest{505, "Only HTTP/1.0 and HTTP/1.1 are spoken here."};
  if (error && error != beast::error::need_more) throw BadRequest{400, "The request head is malformed."};
  if (!parser.is_header_done()) throw BadRequest{400, "The request head is malformed."};
  ParsedHead& parsed = parser.parsed;
  // RFC 9112 section 6.3: a proxy in front might have framed these the other way.
  if (parser.lengths > 1 || parser.bad_length) throw BadRequest{400, "Content-Length is malformed."};
  if (parser.lengths && parser.transfer_encodings)
    throw BadRequest{400, "Content-Length and Transfer-Encoding exclude each other."};
  if (parser.transfer_encodings) {
    if (parsed.http_1_0) throw BadRequest{400, "HTTP/1.0 has no Transfer-Encoding."};
    if (parser.transfer_encodings > 1 || !parser.codings_ok)
      throw BadRequest{501, "The only transfer coding understood is chunked."};
    parsed.chunked = true;
  }
  if (parser.hosts > 1 || (parser.hosts == 0 && !parsed.http_1_0))
    throw BadRequest{400, "Exactly one Host is needed."};
  if (parser.unknown_expectation) throw BadRequest{417, "The only expectation understood is 100-continue."};
  if (parsed.http_1_0) parsed.expects_continue = false;
  parsed.keep_alive = !parser.close && (!parsed.http_1_0 || parser.keep);
  to_origin_form(parsed.head);
  return std::move(parsed);
}

}  // namespace millrace::http
