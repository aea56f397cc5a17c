#include "iam/policy.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace millrace::iam {
namespace {

std::string refusal(const std::string& text, PolicyKind kind = PolicyKind::kIdentity) {
  try {
    Policy::parse(text, kind);
    return "";
  } catch (const base::UsageError& error) {
    EXPECT_EQ(error.code(), "MalformedPolicyDocument");
    return error.what();
  }
}

std::string with(const std::string& statement) {
  return R"({"Version":"2012-10-17","Statement":)" + statement + "}";
}

// A policy that is misread grants what nobody meant to grant.
TEST(Policy, ReadsEveryForm) {
  auto policy = Policy::parse(
      with(R"([{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]},
              {"Effect":"Deny","NotAction":["iam:*"],"NotResource":"*",
               "Condition":{"StringLikeIfExists":{"aws:UserAgent":["x*"]},"Bool":{"aws:SecureTransport":false}}}])"),
      PolicyKind::kIdentity);
  ASSERT_EQ(policy->statements().size(), 2u);
  EXPECT_TRUE(policy->has_variables());
  EXPECT_EQ(policy->statements()[0].sid, "a");
  EXPECT_EQ(policy->statements()[0].resources.size(), 2u);
  const Statement& second = policy->statements()[1];
  EXPECT_TRUE(second.deny && second.not_action && second.not_resource);
  ASSERT_EQ(second.conditions.size(), 2u);
  EXPECT_TRUE(second.conditions[0].if_exists);
  EXPECT_EQ(second.conditions[0].key, "aws:useragent");
  EXPECT_EQ(second.conditions[1].values, std::vector<std::string>{"false"});

  auto bucket = Policy::parse(
      R"({"Id":"p","Statement":{"Effect":"Allow","Principal":{"AWS":["123456789012","*"],"Service":"Batch.amazonaws.com"},
          "Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}})",
      PolicyKind::kResource);
  EXPECT_FALSE(bucket->has_variables()) << "2008-10-17 where no version is given";
  EXPECT_TRUE(bucket->statements()[0].principals.anybody);
  EXPECT_EQ(bucket->statements()[0].principals.services, std::vector<std::string>{"batch.amazonaws.com"});
  EXPECT_NO_THROW(Policy::parse(
      with(
          R"({"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"})"),
      PolicyKind::kTrust));
}

TEST(Policy, RefusesWithAwssWords) {
  const std::string syntax = "Syntax errors in policy.";
  for (const char* text :
       {"", "{", "[]", R"({"Version":"2012-10-17"})", R"({"Version":"2012-10-17","Statement":[]})",
        R"({"Version":"2020-01-01","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})",
        R"({"Version":"2012-10-17","Extra":1,"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})"})
    EXPECT_EQ(refusal(text), syntax) << text;
  for (const char* statement :
       {R"({"Effect":"allow","Action":"*","Resource":"*"})", R"({"Action":"*","Resource":"*"})",
        R"({"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"})",
        R"({"Effect":"Allow","Action":"*","Resource":"*","Conditions":{}})",
        R"({"Effect":"Allow","Action":7,"Resource":"*"})",
        R"({"Effect":"Allow","Action":"*","Resource":"*","Condition":[]})"})
    EXPECT_EQ(refusal(with(statement)), syntax) << statement;
  EXPECT_EQ(refusal(with(R"({"Effect":"Allow","Resource":"*"})")), "Policy statement must contain actions.");
  EXPECT_EQ(refusal(with(R"({"Effect":"Allow","Action":"s3:*"})")),
            "Policy statement must contain resources.");
  EXPECT_EQ(refusal(with(R"({"Effect":"Allow","Action":"GetObject","Resource":"*"})")),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
  EXPECT_EQ(refusal(with(R"({"Effect":"Allow","Action":"s3:a:b","Resource":"*"})")),
            "Actions/Condition can contain only one colon.");
  EXPECT_EQ(refusal(with(R"({"Effect":"Allow","Action":"s3:*","Resource":"bucket"})")),
            "Resource bucket must be in ARN format or \"*\".");
  EXPECT_EQ(refusal(with(R"({"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":"*"})")),
            "Policy document should not specify a principal.");
  EXPECT_EQ(refusal(with(R"([{"Sid":"x","Effect":"Allow","Action":"s3:*","Resource":"*"},
                             {"Sid":"x","Effect":"Deny","Action":"s3:*","Resource":"*"}])")),
            "Statement IDs (SID) in a single policy must be unique.");
  EXPECT_EQ(refusal(R"({"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})"),
            "Policy document must be version 2012-10-17 or greater.");
  EXPECT_EQ(refusal(with(
                R"({"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringIs":{"aws:x":"y"}}})")),
            "Invalid Condition type : StringIs.");
  EXPECT_EQ(refusal(with(R"({"Effect":"Allow","Action":"*","Resource":"*"})"), PolicyKind::kResource),
            "Missing required field Principal");
  EXPECT_EQ(refusal(with(R"({"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"})"),
                    PolicyKind::kTrust),
            "Has prohibited field Resource");
  EXPECT_NE(
      refusal(with(
          R"({"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}})")),
      "");
}

}  // namespace
}  // namespace millrace::iam
