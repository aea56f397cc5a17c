#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "base/glob.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/time.h"
#include "base/url.h"

namespace millrace::base {
namespace {

TEST(Time, WritesAndReadsEveryForm) {
  // Signatures, listings and log events all carry these forms; a day off would break them all.
  TimeMs t = 1'369'353'600'123;  // 2013-05-24T00:00:00.123Z, the date of AWS's published examples
  EXPECT_EQ(iso8601(t), "2013-05-24T00:00:00Z");
  EXPECT_EQ(iso8601(t, true), "2013-05-24T00:00:00.123Z");
  EXPECT_EQ(amz_date(t), "20130524T000000Z");
  EXPECT_EQ(http_date(t), "Fri, 24 May 2013 00:00:00 GMT");
  EXPECT_EQ(parse_iso8601("2013-05-24T02:00:00.123+02:00"), t);
  EXPECT_EQ(parse_iso8601("2013-05-24"), t - 123);
  EXPECT_EQ(parse_http_date("Fri, 24 May 2013 00:00:00 GMT"), t - 123);
  for (const char* bad :
       {"", "2013", "2013-02-30", "2013-05-24T25:00:00Z", "2013-05-24T00:00:00X", "2013-05-24T00:00:00.Z"})
    EXPECT_EQ(parse_iso8601(bad), std::nullopt) << bad;
}

TEST(Time, CalendarAgreesWithItselfOverCenturies) {
  std::mt19937_64 random(20261121);
  for (int i = 0; i < 20'000; ++i) {
    TimeMs t = static_cast<TimeMs>(random() % 16'725'225'600'000) - 8'000'000'000'000;  // 1716 to 2246
    ASSERT_EQ(parse_iso8601(iso8601(t, true)), t);
    Civil c = to_civil(t);
    ASSERT_EQ(c.weekday,
              static_cast<unsigned>(
                  (((t - ((t % 86'400'000) + 86'400'000) % 86'400'000) / 86'400'000) % 7 + 11) % 7));
  }
}

TEST(Hash, MatchesPublishedValues) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(md5_hex(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(crc32("123456789"), 0xcbf43926u);
  EXPECT_EQ(crc32("6789", crc32("12345")), 0xcbf43926u);
  // RFC 4231, test case 2.
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Hash, Base64IsStrict) {
  // RFC 4648 section 10; and what is not base64 must not be taken for it.
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
  for (auto [plain, coded] : vectors) {
    EXPECT_EQ(base64(plain), coded);
    EXPECT_EQ(unbase64(coded), plain);
  }
  for (const char* bad : {"Z", "Zg", "Zg=", "=AAA", "Zg==Zg==", "Zm9v\n", "Zm 9"})
    EXPECT_EQ(unbase64(bad), std::nullopt) << bad;
  std::string bytes = random_bytes(1000);
  EXPECT_EQ(unbase64(base64(bytes)), bytes);
  EXPECT_EQ(unhex(hex(bytes)), bytes);
  EXPECT_EQ(unhex("0g"), std::nullopt);
}

TEST(Url, TakesUrlsApart) {
  Url url = parse_url("http://[::1]:4600/a//b/../c?x=1&y#z");
  EXPECT_EQ(url.host, "::1");
  EXPECT_EQ(url.port, 4600);
  EXPECT_EQ(url.path, "/a//b/../c") << "keys are bytes: nothing is normalised";
  EXPECT_EQ(url.query, "x=1&y");
  EXPECT_EQ(url.origin(), "http://[::1]:4600");
  EXPECT_EQ(parse_url("https://example.com").authority(), "example.com");
  for (const char* bad : {"example.com", "ftp://x/", "http://", "http://u:p@h/", "http://h:0/",
                          "http://h:99999/", "http://[::1/"})
    EXPECT_THROW(parse_url(bad), UsageError) << bad;
}

TEST(Url, PercentEncodingGoesBothWays) {
  EXPECT_EQ(percent_encode("a b+c/é~"), "a%20b%2Bc%2F%C3%A9~");
  EXPECT_EQ(percent_encode("a/b", true), "a/b");
  EXPECT_EQ(percent_decode("a%2fb+%zz%4"), "a/b+%zz%4");
  EXPECT_EQ(percent_decode("a+b", true), "a b");
  auto pairs = parse_query("a=1&b&c=x%20y&&a=2");
  ASSERT_EQ(pairs.size(), 4u);
  EXPECT_EQ(pairs[2].second, "x y");
}

TEST(Glob, AgreesWithAPlainRecursion) {
  // The linear matcher must find what the obvious exponential one finds.
  auto slow = [](auto&& self, std::string_view p, std::string_view t) -> bool {
    if (p.empty()) return t.empty();
    if (p[0] == '*') return self(self, p.substr(1), t) || (!t.empty() && self(self, p, t.substr(1)));
    return !t.empty() && (p[0] == '?' || p[0] == t[0]) && self(self, p.substr(1), t.substr(1));
  };
  std::mt19937 random(7);
  for (int i = 0; i < 50'000; ++i) {
    std::string pattern, text;
    for (unsigned n = random() % 7; n > 0; --n) pattern += "ab*?"[random() % 4];
    for (unsigned n = random() % 8; n > 0; --n) text += "ab"[random() % 2];
    ASSERT_EQ(glob_match(pattern, text), slow(slow, pattern, text)) << pattern << " on " << text;
  }
}

TEST(Strings, KnowUtf8) {
  for (const char* good : {"", "abc", "é", "€", "\xF0\x9F\x8E\xAC"}) EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\x80", "\xFF"})
    EXPECT_FALSE(is_utf8(bad));
}

TEST(Json, SaysWhereItIsWrong) {
  EXPECT_EQ(parse_json(R"({"b":1,"a":[true,null]})").as_object().begin()->key(), "b")
      << "members keep their order";
  for (const char* bad : {"", "{", "{\"a\":}", "[1,]", "1 2", "nul", "\"\xFF\""})
    EXPECT_THROW(parse_json(bad), CorruptError) << bad;
  EXPECT_THROW(parse_json(std::string(100, '[')), CorruptError) << "too deep";
  json::object object = parse_json(R"({"i":2.0,"s":"x","f":1.5})").as_object();
  EXPECT_EQ(find_int(object, "i"), 2);
  EXPECT_EQ(find_int(object, "f"), std::nullopt);
  EXPECT_EQ(find_string(object, "i"), std::nullopt);
}

TEST(Random, IdsHaveTheirForm) {
  std::string id = uuid4();
  EXPECT_EQ(id.size(), 36u);
  EXPECT_EQ(id[14], '4');
  EXPECT_NE(id, uuid4());
  EXPECT_EQ(random_alphanumeric(41).size(), 41u);
}

}  // namespace
}  // namespace millrace::base
