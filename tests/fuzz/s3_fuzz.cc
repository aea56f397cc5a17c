// libFuzzer entry: any bytes given to what reads S3's requests and answers end in a value or in one of our
// own errors, within bounded time and memory. The first byte chooses the reader. clang++ -std=c++20
// -fsanitize=fuzzer,address,undefined -Isrc with this file, src/base, src/aws and its tables,
// src/objects/s3_xml.cc, src/objects/checksum.cc, src/objects/crc.cc, src/objects/store_errors.cc,
// src/services/{multipart_form,post_policy,s3_errors}.cc.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "aws/chunked.h"
#include "aws/config_files.h"
#include "aws/protocol.h"
#include "base/error.h"
#include "objects/s3_xml.h"
#include "services/multipart_form.h"
#include "services/post_policy.h"

namespace {

using namespace millrace;

// A request whose head stands before an empty line: "METHOD target\nname: value\n…\n\nbody".
struct Parsed {
  http::RequestHead head;
  std::string body;
};

Parsed parse(std::string_view text) {
  Parsed parsed;
  size_t end = text.find("\n\n");
  std::string_view head = text.substr(0, end);
  if (end != std::string_view::npos) parsed.body = text.substr(end + 2);
  size_t line_end = head.find('\n');
  std::string_view line = head.substr(0, line_end);
  size_t space = line.find(' ');
  parsed.head.method = line.substr(0, space);
  std::string_view target = space == std::string_view::npos ? "/" : line.substr(space + 1);
  size_t question = target.find('?');
  parsed.head.path = "/" + std::string(target.substr(0, question));
  if (question != std::string_view::npos) parsed.head.query = target.substr(question + 1);
  while (line_end != std::string_view::npos) {
    head.remove_prefix(line_end + 1);
    line_end = head.find('\n');
    line = head.substr(0, line_end);
    size_t colon = line.find(": ");
    if (colon != std::string_view::npos)
      parsed.head.headers.add(std::string(line.substr(0, colon)), std::string(line.substr(colon + 2)));
  }
  return parsed;
}

void read(uint8_t kind, std::string_view text) {
  const aws::ServiceModel& s3 = *aws::find_service("s3");
  switch (kind % 6) {
    case 0: {  // signatures, routing, documents
      Parsed request = parse(text);
      aws::parse_claim(request.head, aws::Dialect::kS3);
      if (const aws::Operation* operation = aws::route(s3, request.head, request.body))
        aws::decode(*operation, request.head, request.body);
      break;
    }
    case 1: {  // aws-chunked, of every kind
      aws::ChunkedOptions options;
      options.signed_chunks = !text.empty() && (text[0] & 1);
      options.has_trailer = !text.empty() && (text[0] & 2);
      options.trailer_names = {"x-amz-checksum-crc32"};
      options.decoded_length = 16;
      size_t bytes = 0;
      aws::ChunkedDecoder decoder(options, [&](std::string_view piece) { bytes += piece.size(); });
      for (size_t at = 1; at < text.size(); at += 7) decoder.feed(text.substr(at, 7));
      decoder.finish();
      if (bytes != options.decoded_length) __builtin_trap();
      break;
    }
    case 2: {
      services::MultipartForm form(
          "B", [](const services::FormFields&, const std::string&, const std::string&) {},
          [](std::string_view) {});
      for (size_t at = 0; at < text.size(); at += 5) form.feed(text.substr(at, 5));
      form.finish();
      break;
    }
    case 3:
      services::PostPolicy(text).check({{"key", "k"}}, 0);
      break;
    case 4: {  // answers of servers
      std::string body(text);
      objects::error_in(body);
      objects::child_of_root(body, "ETag");
      objects::delete_errors(body);
      objects::parts_page(body);
      break;
    }
    case 5:
      aws::parse_config(text);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  try {
    read(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const base::Error&) {
  }
  return 0;
}
