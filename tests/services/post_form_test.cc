#include <gtest/gtest.h>

#include <random>

#include "base/hash.h"
#include "services/multipart_form.h"
#include "services/post_policy.h"
#include "tests/services/s3_server.h"

namespace millrace::services {
namespace {

std::string code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const base::Error& error) {
    return error.code();
  }
  return "";
}

std::string part(const std::string& name, const std::string& value, const std::string& more = "") {
  return "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"" + more + "\r\n\r\n" + value + "\r\n";
}

struct Read {
  FormFields fields;
  std::string file_name, type, content;
  bool had_file = false;
};

Read read(const std::string& body, size_t piece) {
  Read read;
  MultipartForm form(
      "B",
      [&](const FormFields& fields, const std::string& name, const std::string& type) {
        read.fields = fields;
        read.file_name = name;
        read.type = type;
      },
      [&](std::string_view bytes) { read.content += bytes; });
  for (size_t at = 0; at < body.size(); at += piece) form.feed(std::string_view(body).substr(at, piece));
  read.had_file = form.finish();
  return read;
}

TEST(MultipartForm, ReadsTheSameHoweverItIsCut) {
  // Without this an upload depends on how the network cut it.
  std::string content = "line\r\n--\r\n--A\r\n\r\n --B not at a line\r\n";
  std::string body =
      "preamble\r\n" + part("key", "a/${filename}") + part("X-Amz-Meta-\xc3\xa9", "") +
      part("file", content, "; filename=\"C:\\\\x\\\\photo \\\"1\\\".jpg\"\r\nContent-Type: image/jpeg") +
      part("submit", "ignored") + "--B--\r\nepilogue";
  for (size_t piece : {1, 2, 3, 7, 64, 10'000}) {
    Read r = read(body, piece);
    EXPECT_EQ(r.fields, (FormFields{{"key", "a/${filename}"}, {"x-amz-meta-\xc3\xa9", ""}}));
    EXPECT_EQ(r.file_name, "photo \"1\".jpg");
    EXPECT_EQ(r.type, "image/jpeg");
    EXPECT_EQ(r.content, content);
    EXPECT_TRUE(r.had_file);
  }
  EXPECT_EQ(read(part("file", "", "; filename=x") + "--B--\r\n", 5).content, "");
  EXPECT_EQ(form_boundary("multipart/form-data; boundary=\"a b\"; charset=x"), "a b");
  EXPECT_EQ(form_boundary("multipart/mixed; boundary=a"), "");
}

TEST(MultipartForm, RefusesWhatIsNoForm) {
  // Without this half a file is stored as a whole one, or a field without end fills the memory.
  std::string whole = part("key", "k") + part("file", "content") + "--B--\r\n";
  for (size_t cut = 0; cut < whole.size() - std::string("--\r\n").size() - 2; ++cut)
    EXPECT_EQ(code_of([&] { read(whole.substr(0, cut), 100); }), "MalformedPOSTRequest") << cut;
  EXPECT_EQ(code_of([&] { read(part("key", std::string(30'000, 'x')), 1000); }),
            "MaxPostPreDataLengthExceededError");
  EXPECT_EQ(code_of([&] { read("--B\r\n" + std::string(30'000, 'x'), 1000); }), "MalformedPOSTRequest");
  EXPECT_EQ(code_of([&] { read(std::string(30'000, 'x'), 1000); }), "MalformedPOSTRequest");
  EXPECT_FALSE(read(part("key", "k") + "--B--\r\n", 100).had_file);
  unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 2000; ++i) {
    std::string broken = whole;
    for (int n = 0; n < 3; ++n) broken[random() % broken.size()] = "\r\n-B:;=\"x"[random() % 9];
    try {
      read(broken, 1 + random() % 20);
    } catch (const base::Error&) {
    }
  }
}

std::string policy(const std::string& conditions, const std::string& expiration = "2100-01-01T00:00:00Z") {
  return base::base64(R"({"expiration": ")" + expiration + R"(", "conditions": [)" + conditions + "]}");
}

TEST(PostPolicy, HoldsTheFormToWhatWasSigned) {
  // Without this whoever has a form may write any key of any size.
  PostPolicy p(policy(R"({"bucket": "b"}, ["starts-with", "$key", "user/"], ["eq", "$Content-Type", "t"],
                         ["content-length-range", 2, "5"])"));
  FormFields good = {{"bucket", "b"}, {"key", "user/x"}, {"content-type", "t"}, {"x-ignore-this", "1"}};
  p.check(good, 0);
  p.check_size(2);
  p.check_size(5);
  EXPECT_EQ(code_of([&] { p.check_size(1); }), "EntityTooSmall");
  EXPECT_EQ(code_of([&] { p.check_size(6); }), "EntityTooLarge");
  for (size_t i = 0; i < 3; ++i) {
    FormFields bad = good;
    bad[i].second = "other";
    EXPECT_EQ(code_of([&] { p.check(bad, 0); }), "AccessDenied") << i;
  }
  FormFields extra = good;
  extra.emplace_back("x-amz-meta-a", "b");
  EXPECT_EQ(code_of([&] { p.check(extra, 0); }), "AccessDenied");
  EXPECT_EQ(code_of([&] { PostPolicy(policy("", "2000-01-01T00:00:00Z")).check({}, 1'700'000'000'000); }),
            "AccessDenied");
  for (const std::string& bad : {std::string("%"), base::base64("{"), base::base64("[]"), base::base64("{}"),
                                 policy("", "tomorrow"), policy("[1,2,3]"), policy(R"(["eq","key","x"])"),
                                 policy(R"({"a": 1})"), policy(R"(["content-length-range", -1, 5])")})
    EXPECT_EQ(code_of([&] { PostPolicy{bad}; }), "InvalidPolicyDocument") << bad;
}

using PostFormTest = S3Server;

TEST_F(PostFormTest, StoresTheFileOfAForm) {
  // Without this no browser can upload.
  auto post = [&](const std::string& body) {
    return send("POST", "/bucket", body, {{"Content-Type", "multipart/form-data; boundary=B"}});
  };
  std::string content(50'000, 'x');
  std::string file = part("file", content, "; filename=photo.jpg\r\nContent-Type: image/jpeg") + "--B--\r\n";
  std::vector<std::string> reasons;
  store_.set_observer([&](const objects::ObjectEvent& event) { reasons.push_back(event.reason); });
  http::ClientResponse stored = post(
      part("key", "in/${filename}") + part("success_action_status", "201") + part("x-amz-meta-who", "me") +
      part("tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>") + file);
  EXPECT_EQ(stored.status, 201) << stored.body;
  EXPECT_EQ(element(stored.body, "Key"), "in/photo.jpg");
  EXPECT_EQ(reasons, (std::vector<std::string>{"POST Object"}));
  http::ClientResponse got = send("GET", "/bucket/in/photo.jpg");
  EXPECT_EQ(got.body, content);
  EXPECT_EQ(got.headers.get("content-type"), "image/jpeg");
  EXPECT_EQ(got.headers.get("x-amz-meta-who"), "me");
  EXPECT_EQ(got.headers.get("x-amz-tagging-count"), "1");
  EXPECT_EQ(post(part("key", "k") + file).status, 204);
  http::ClientResponse sent_on =
      post(part("key", "k") + part("success_action_redirect", "http://example.com/done?x=1") + file);
  EXPECT_EQ(sent_on.status, 303);
  EXPECT_TRUE(
      sent_on.headers.get("location").starts_with("http://example.com/done?x=1&bucket=bucket&key=k&etag="));
  expect_error(post(file), 400, "InvalidArgument");
  expect_error(post(part("key", "k2") + "--B--\r\n"), 400, "InvalidArgument");
  expect_error(post(part("key", "k2") + part("file", "x")), 400, "MalformedPOSTRequest");
  expect_error(post(part("key", "k2") + part("policy", policy(R"(["content-length-range", 0, 10])")) + file),
               403, "AccessDenied");
  expect_error(post(part("key", "k2") +
                    part("policy", policy(R"({"key": "k2"}, ["content-length-range", 0, 10])")) + file),
               400, "EntityTooLarge");
  expect_error(send("POST", "/nobucket", part("key", "k") + file,
                    {{"Content-Type", "multipart/form-data; boundary=B"}}),
               404, "NoSuchBucket");
  EXPECT_EQ(send("GET", "/bucket/k2").status, 404) << "nothing of a refused form is stored";
  store_.set_observer({});
}

}  // namespace
}  // namespace millrace::services
