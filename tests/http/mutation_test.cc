// Good request heads and chunked bodies, damaged at random: what is accepted can be read in one way only.
#include "tests/support/mutation.h"

#include <gtest/gtest.h>

#include <set>

#include "base/strings.h"
#include "http/chunked_decoder.h"
#include "http/head_parser.h"

namespace millrace::http {
namespace {

using millrace::testing::Corpus;
using millrace::testing::for_each_mutation;
using millrace::testing::mutations_are_many;
using millrace::testing::Mutator;

size_t count(const Headers& headers, std::string_view name) {
  size_t found = 0;
  for (const auto& [field, value] : headers) found += base::equals_ignore_case(field, name);
  return found;
}

std::string written(const ParsedHead& parsed) {
  std::string text = parsed.head.method + " " + parsed.head.path;
  if (!parsed.head.query.empty()) text += "?" + parsed.head.query;
  text += parsed.http_1_0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n";
  for (const auto& [name, value] : parsed.head.headers) text += name + ": " + value + "\r\n";
  return text + "\r\n";
}

bool has_control(std::string_view text) {
  for (char c : text)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) return true;
  return false;
}

TEST(Mutation, RequestHeads) {
  // Without this: a damaged head takes the server down, or smuggles a second request past a proxy.
  const Corpus corpus{{"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                       "POST /v1/submitjob?a=b&c HTTP/1.1\r\nHost: 127.0.0.1:4600\r\nContent-Length: "
                       "17\r\nExpect: 100-continue\r\n"
                       "Content-Type: application/json\r\nConnection: keep-alive\r\n\r\n",
                       "PUT /bucket/a%20b HTTP/1.1\r\nhost:s3\r\nTransfer-Encoding: chunked\r\nX-Amz-Meta-A: "
                       " b \t c  \r\nEmpty:\r\n\r\n",
                       "GET http://host:80/path?q HTTP/1.0\r\nHost: host\r\nConnection: close, x\r\n\r\n",
                       "HEAD / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"},
                      {"\r\n",
                       "\n",
                       "\r",
                       "\r\n ",
                       "\r\n\t",
                       ":",
                       " :",
                       ": ",
                       "Host: x\r\n",
                       "Content-Length: 5\r\n",
                       "Content-Length: +5\r\n",
                       "Content-Length: 18446744073709551616\r\n",
                       "Content-Length : 5\r\n",
                       "Transfer-Encoding: chunked\r\n",
                       "Transfer-Encoding: gzip, chunked\r\n",
                       "Transfer-Encoding: identity\r\n",
                       "Expect: x\r\n",
                       "HTTP/1.1",
                       "HTTP/2.0",
                       " ",
                       "  ",
                       "http://",
                       "//",
                       "*",
                       std::string(1, '\0')}};
  size_t accepted = 0, refused = 0;
  for_each_mutation(corpus, 20'000, [&](std::string input, Mutator&) {
    if (find_head_end(input) == std::string::npos) input += "\r\n\r\n";
    input.resize(find_head_end(input));
    for (size_t from = 0; from < input.size(); from += 7)
      EXPECT_EQ(find_head_end(input, std::min(from, input.size() - 4)), input.size());
    try {
      ParsedHead parsed = parse_head(input);
      ++accepted;
      const RequestHead& head = parsed.head;
      EXPECT_EQ(head.path.front(), '/') << input;
      EXPECT_FALSE(head.method.empty()) << input;
      EXPECT_EQ(head.path.find_first_of(" ?"), std::string::npos) << input;
      EXPECT_FALSE(has_control(head.method + head.path + head.query)) << input;
      for (const auto& [name, value] : head.headers) {
        EXPECT_FALSE(name.empty()) << input;
        EXPECT_EQ(name.find_first_of(" \t:"), std::string::npos) << input;
        EXPECT_FALSE(has_control(name) || has_control(value)) << input;
      }
      EXPECT_LE(count(head.headers, "host"), 1u) << input;
      EXPECT_TRUE(parsed.http_1_0 || head.headers.has("host")) << input;
      EXPECT_LE(count(head.headers, "content-length"), 1u) << input;
      EXPECT_EQ(parsed.chunked, head.headers.has("transfer-encoding")) << input;
      EXPECT_FALSE(parsed.chunked && head.headers.has("content-length")) << input;

      // What was understood, written as others write it, is understood so again.
      ParsedHead again = parse_head(written(parsed));
      EXPECT_EQ(written(again), written(parsed)) << input;
      EXPECT_EQ(again.content_length, parsed.content_length) << input;
      EXPECT_EQ(again.chunked, parsed.chunked) << input;
      EXPECT_EQ(again.keep_alive, parsed.keep_alive) << input;
      EXPECT_EQ(again.expects_continue, parsed.expects_continue) << input;
    } catch (const BadRequest& bad) {
      ++refused;
      EXPECT_TRUE((std::set{400, 417, 501, 505}.contains(bad.status))) << bad.status;
    }
  });
  if (!mutations_are_many()) return;
  EXPECT_GT(accepted, 0u);
  EXPECT_GT(refused, 0u);
}

// The body, what follows it, and how it ended.
struct Decoded {
  ChunkedDecoder::State state = ChunkedDecoder::State::kMore;
  std::string body, rest;
  bool operator==(const Decoded&) const = default;
};

// `size()` says how many bytes come next.
template <typename Size>
Decoded dechunk(std::string_view input, const Size& size) {
  ChunkedDecoder decoder;
  Decoded decoded;
  while (!input.empty()) {
    std::string_view piece = input.substr(0, size(input.size()));
    size_t used = 0;
    for (;;) {
      ChunkedDecoder::Step step = decoder.next(piece.substr(used));
      EXPECT_LE(step.consumed, piece.size() - used);
      used += step.consumed;
      decoded.body += step.data;
      decoded.state = step.state;
      if (step.state != ChunkedDecoder::State::kData) break;
    }
    if (decoded.state == ChunkedDecoder::State::kBad) return {decoded.state, "", ""};
    if (decoded.state == ChunkedDecoder::State::kDone) {
      decoded.rest = input.substr(used);
      return decoded;
    }
    EXPECT_EQ(used, piece.size());
    if (used != piece.size()) return decoded;
    input.remove_prefix(piece.size());
  }
  return decoded;
}

TEST(Mutation, ChunkedBodies) {
  // Without this: a body means something else when TCP cuts it elsewhere, and what follows it is another
  // request.
  const Corpus corpus{
      {"5\r\nhello\r\n0\r\n\r\n",
       "a;x=y\r\n0123456789\r\n1\r\n\r\r\n00\r\nTrailer: v\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n",
       "1\r\na\r\n2 \r\nbc\r\n0;last\r\n\r\n"},
      {"0\r\n\r\n", "\r\n", "\n", "\r", ";", "ffffffffffffffff", "10000000000000000", "+1", "0x1", " ", "-"}};
  size_t done = 0, bad = 0, open = 0;
  for_each_mutation(corpus, 20'000, [&](const std::string& input, Mutator& mutator) {
    Decoded whole = dechunk(input, [](size_t left) { return left; });
    EXPECT_EQ(dechunk(input, [](size_t) { return size_t{1}; }), whole) << input;
    EXPECT_EQ(dechunk(input, [&](size_t left) { return 1 + mutator.below(left); }), whole) << input;
    EXPECT_LE(whole.body.size() + whole.rest.size(), input.size());
    ++(whole.state == ChunkedDecoder::State::kDone  ? done
       : whole.state == ChunkedDecoder::State::kBad ? bad
                                                    : open);
  });
  if (!mutations_are_many()) return;
  EXPECT_GT(done, 0u);
  EXPECT_GT(bad, 0u);
  EXPECT_GT(open, 0u);
}

}  // namespace
}  // namespace millrace::http
