// Without these, parameters could be lost, overwritten unseen, or readable on disk.
#include <gtest/gtest.h>

#include "aws/api_error.h"
#include "secrets/secret_folder.h"
#include "tests/support/temporary_folder.h"

namespace millrace::secrets {
namespace {

class ParameterStoreTest : public ::testing::Test {
 protected:
  Parameter put(const std::string& name, const std::string& value, bool overwrite = false,
                json::object body = {{"Type", "SecureString"}}) {
    PutParameter put;
    put.name = name;
    put.value = Plaintext(value);
    put.body = std::move(body);
    put.overwrite = overwrite;
    return store().put(std::move(put));
  }
  std::string read(const std::string& selector) {
    return std::string(store().value(store().get(selector)).view());
  }
  template <typename Call>
  static std::string code(const Call& call) {
    try {
      call();
    } catch (const aws::ApiError& e) {
      return e.code();
    }
    return "";
  }
  ParameterStore& store() { return secrets_.parameters; }

  millrace::testing::TemporaryFolder folder_;
  base::ManualClock clock_{1'800'000'000'000};
  SecretFolder secrets_{folder_ / "secrets", "", clock_, "us-east-1", "123456789012"};
};

// A job could get another version than its definition names.
TEST_F(ParameterStoreTest, VersionsAndLabelsSelect) {
  EXPECT_EQ(put("/app/db", "one").version, 1);
  EXPECT_EQ(code([&] { put("/app/db", "two"); }), "ParameterAlreadyExists");
  EXPECT_EQ(put("/app/db", "two", true, {}).version, 2);
  EXPECT_EQ(read("/app/db"), "two");
  EXPECT_EQ(read("/app/db:1"), "one");
  std::vector<std::string> invalid;
  EXPECT_EQ(store().label("/app/db", 1, {"prod", "aws-no", "1no"}, invalid), 1);
  EXPECT_EQ(invalid, (std::vector<std::string>{"aws-no", "1no"}));
  EXPECT_EQ(read("/app/db:prod"), "one");
  EXPECT_EQ(store().label("/app/db", 0, {"prod"}, invalid), 2);
  EXPECT_EQ(read("/app/db:prod"), "two");
  EXPECT_EQ(store().unlabel("/app/db", 2, {"prod", "gone"}), (std::vector<std::string>{"prod"}));
  EXPECT_EQ(code([&] { read("/app/db:prod"); }), "ParameterVersionNotFound");
  EXPECT_EQ(code([&] { read("/app/db:3"); }), "ParameterVersionNotFound");
  EXPECT_EQ(code([&] { read("/app"); }), "ParameterNotFound");
  EXPECT_EQ(store().history("/app/db", 0, 10).size(), 2u);
}

// An ARN in a job definition would not be found.
TEST_F(ParameterStoreTest, IsFoundByArn) {
  put("flat", "f");
  put("/a/b", "deep");
  put("/one", "o");
  EXPECT_EQ(store().arn("/a/b"), "arn:aws:ssm:us-east-1:123456789012:parameter/a/b");
  EXPECT_EQ(read(store().arn("flat")), "f");
  EXPECT_EQ(read(store().arn("/a/b")), "deep");
  EXPECT_EQ(read(store().arn("/one")), "o");
  EXPECT_EQ(code([&] { read("arn:aws:ssm:us-west-2:123456789012:parameter/flat"); }), "ParameterNotFound");
}

// Old versions would pile up for ever, or one that somebody labelled would go.
TEST_F(ParameterStoreTest, KeepsAHundredVersions) {
  put("p", "v1");
  for (int n = 2; n <= 100; ++n) put("p", "v" + std::to_string(n), true, {});
  std::vector<std::string> invalid;
  store().label("p", 2, {"keep"}, invalid);
  put("p", "v101", true, {});
  EXPECT_EQ(code([&] { read("p:1"); }), "ParameterVersionNotFound");
  EXPECT_EQ(code([&] { put("p", "v102", true, {}); }), "ParameterMaxVersionLimitExceeded");
  EXPECT_EQ(read("p"), "v101");
  EXPECT_EQ(read("p:keep"), "v2");
}

// What AWS refuses would be stored here and fail there.
TEST_F(ParameterStoreTest, RefusesWhatAwsRefuses) {
  EXPECT_EQ(code([&] { put("a/b", "v"); }), "ValidationException");
  EXPECT_EQ(code([&] { put("ssm-x", "v"); }), "ValidationException");
  EXPECT_EQ(code([&] { put("/aws/x", "v"); }), "AccessDeniedException");
  EXPECT_EQ(code([&] { put("sp ace", "v"); }), "ValidationException");
  EXPECT_EQ(code([&] { put("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", "v"); }),
            "HierarchyLevelLimitExceededException");
  EXPECT_EQ(code([&] { put("p", "v", false, {}); }), "ValidationException");
  EXPECT_EQ(
      code([&] { put("p", std::string(4097, 'x'), false, {{"Type", "String"}, {"Tier", "Standard"}}); }),
      "ValidationException");
  EXPECT_EQ(code([&] { put("p", std::string(8193, 'x')); }), "ValidationException");
  EXPECT_EQ(code([&] { put("p", "12a", false, {{"Type", "String"}, {"AllowedPattern", "\\d+"}}); }),
            "ParameterPatternMismatchException");
  put("p", "v");
  EXPECT_EQ(code([&] { put("p", "v", true, {{"Type", "String"}}); }), "HierarchyTypeMismatchException");
}

// A listing could leave a parameter out.
TEST_F(ParameterStoreTest, ListsByNameInPages) {
  for (const char* name : {"/x/a", "/x/b/c", "/x2", "y", "/x/d"}) put(name, "v");
  std::string all, after, next;
  do {
    for (const Parameter& parameter :
         store().list("/x/", after, 1, [](const Parameter& each) { return each.name != "/x/a"; }, next))
      all += parameter.name + " ";
    after = next;
  } while (!next.empty());
  EXPECT_EQ(all, "/x/b/c /x/d ");
  EXPECT_TRUE(store().remove("y"));
  EXPECT_FALSE(store().remove("y"));
}

}  // namespace
}  // namespace millrace::secrets
