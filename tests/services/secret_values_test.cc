// Without these, a job could get another value than its definition names, or a reason could tell a value.
#include "services/secret_values.h"

#include <gtest/gtest.h>

#include <set>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/random.h"
#include "secrets/secret_folder.h"
#include "services/random_password.h"
#include "tests/support/temporary_folder.h"

namespace millrace::services {
namespace {

class SecretValuesTest : public ::testing::Test {
 protected:
  std::string make(const std::string& name, const std::string& text, bool binary = false) {
    const secrets::NewValue value{base::uuid4(), binary, secrets::Plaintext(text)};
    return folder_.secrets.arn(folder_.secrets.create(name, {}, &value));
  }
  std::string resolve(const std::string& value_from) {
    return std::string(values_.resolve(value_from).view());
  }
  std::string why(const std::string& value_from) {
    try {
      resolve(value_from);
    } catch (const base::NotFoundError& error) {
      return error.what();
    }
    return "resolved";
  }

  millrace::testing::TemporaryFolder path_;
  base::ManualClock clock_{1'800'000'000'000};
  secrets::SecretFolder folder_{path_ / "secrets", "", clock_, "us-east-1", "123456789012"};
  SecretValues values_{folder_.secrets, folder_.parameters};
};

TEST_F(SecretValuesTest, ReadsWhatTheReferenceNames) {
  // Breaks when positions of the reference are mixed up.
  const std::string arn = make("s", R"({"a":"text","n":5432,"o":{"x":[1]},"":"empty"})");
  EXPECT_EQ(resolve(arn), R"({"a":"text","n":5432,"o":{"x":[1]},"":"empty"})");
  EXPECT_EQ(resolve(arn + ":a::"), "text");
  EXPECT_EQ(resolve(arn + ":n::"), "5432");
  EXPECT_EQ(resolve(arn + ":o::"), R"({"x":[1]})");
  EXPECT_EQ(resolve(arn + ":::"), resolve(arn));
  EXPECT_EQ(resolve(arn.substr(0, arn.size() - 7) + ":a::"), "text") << "a partial ARN";
  const std::string first = folder_.secrets.get("s", "", "").second.version;
  folder_.secrets.put("s", {base::uuid4(), false, secrets::Plaintext(R"({"a":"new"})")}, {});
  EXPECT_EQ(resolve(arn + ":a:AWSPREVIOUS:"), "text");
  EXPECT_EQ(resolve(arn + ":a::" + first), "text");
  EXPECT_EQ(resolve(arn + ":a:AWSCURRENT:"), "new");
  EXPECT_NE(why(arn + ":a:AWSCURRENT:" + first).find("exclude each other"), std::string::npos);
  EXPECT_NE(why(arn + ":a").find("unexpected ARN format"), std::string::npos);
  EXPECT_NE(why(arn + ":a:::").find("unexpected ARN format"), std::string::npos);
}

TEST_F(SecretValuesTest, ReasonsTellNoValue) {
  // Breaks when what could not be used is quoted: a reason is shown to everybody who may see the job.
  for (const char* value :
       {"hidden-4711", R"({"hidden-4711":"hidden-4711"})", R"(["hidden-4711"])", R"({"key":"hidden-4711)"}) {
    const std::string arn = make("s" + base::random_hex(8), value);
    const std::string reason = why(arn + ":wanted::");
    EXPECT_EQ(reason.find("hidden"), std::string::npos) << reason;
    EXPECT_EQ(reason.find("ResourceInitializationError: unable to pull secrets or registry auth: "), 0u)
        << reason;
    EXPECT_NE(reason.find("wanted"), std::string::npos) << reason;
  }
  EXPECT_NE(why(make("nul", std::string("hid\0den", 7))).find("NUL"), std::string::npos);
  EXPECT_NE(why(make("binary", "hidden", true)).find("no SecretString"), std::string::npos);
}

TEST(RandomPassword, IsAsAskedFor) {
  // Breaks when a password lacks a type that a database demands, or has a character that a script cannot
  // take.
  auto password = [](const char* input) {
    return std::string(random_password(base::parse_json(input).as_object()).view());
  };
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const std::string text = password(R"({"PasswordLength":4})");
    ASSERT_EQ(text.size(), 4u);
    EXPECT_NE(text.find_first_of("abcdefghijklmnopqrstuvwxyz"), std::string::npos) << text;
    EXPECT_NE(text.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), std::string::npos) << text;
    EXPECT_NE(text.find_first_of("0123456789"), std::string::npos) << text;
    EXPECT_NE(text.find_first_of("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), std::string::npos) << text;
    seen.insert(text);
  }
  EXPECT_GT(seen.size(), 190u);
  EXPECT_EQ(password("{}").size(), 32u);
  EXPECT_EQ(password(R"({"ExcludeNumbers":true,"ExcludePunctuation":true,"ExcludeUppercase":true,
    "ExcludeCharacters":"bcdefghijklmnopqrstuvwxyz","PasswordLength":3})"),
            "aaa");
  EXPECT_THROW(password(R"({"PasswordLength":3})"), aws::ApiError);
  EXPECT_EQ(password(R"({"PasswordLength":3,"RequireEachIncludedType":false})").size(), 3u);
  EXPECT_THROW(password(R"({"ExcludeNumbers":true,"ExcludePunctuation":true,"ExcludeUppercase":true,
    "ExcludeLowercase":true})"),
               aws::ApiError);
}

}  // namespace
}  // namespace millrace::services
