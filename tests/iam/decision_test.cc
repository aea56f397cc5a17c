#include "iam/decision.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "iam/directory.h"

namespace millrace::iam {
namespace {

constexpr char kAccount[] = "123456789012";
const std::string kUserArn = "arn:aws:iam::123456789012:user/ann";
const std::string kRoleArn = "arn:aws:iam::123456789012:role/r";

NamedPolicy named(const std::string& name, const std::string& statements,
                  PolicyKind kind = PolicyKind::kIdentity) {
  return {name, Policy::parse(R"({"Version":"2012-10-17","Statement":)" + statements + "}", kind)};
}

Subject user(std::vector<NamedPolicy> policies) {
  Subject subject;
  subject.arn = kUserArn;
  subject.account = kAccount;
  subject.identity = std::move(policies);
  return subject;
}

Subject session(std::vector<NamedPolicy> policies) {
  Subject subject = user(std::move(policies));
  subject.arn = "arn:aws:sts::123456789012:assumed-role/r/job";
  subject.role_arn = kRoleArn;
  return subject;
}

Access access(const std::string& action, const std::string& resource) { return {action, resource}; }

const std::string kAllowBucket =
    R"({"Effect":"Allow","Action":["s3:Get*","s3:PutObject"],"Resource":"arn:aws:s3:::b/*"})";

TEST(Decision, NothingIsAllowedUnlessAStatementSaysSo) {
  Decision none = decide(user({}), access("s3:GetObject", "arn:aws:s3:::b/k"), nullptr);
  EXPECT_EQ(none.verdict, Verdict::kNotAllowed);
  EXPECT_EQ(none.why("s3:GetObject"), "because no identity-based policy allows the s3:GetObject action");
  Subject ann = user({named("p", kAllowBucket)});
  Decision yes = decide(ann, access("S3:getobject", "arn:aws:s3:::b/k/l"), nullptr);
  EXPECT_TRUE(yes.allowed()) << "actions have no case";
  EXPECT_EQ(yes.policy, "p");
  EXPECT_EQ(yes.statement, "statement 1");
  EXPECT_FALSE(decide(ann, access("s3:DeleteObject", "arn:aws:s3:::b/k"), nullptr).allowed());
  EXPECT_FALSE(decide(ann, access("s3:GetObject", "arn:aws:s3:::B/k"), nullptr).allowed())
      << "resources have";
  EXPECT_FALSE(decide(ann, access("s3:GetObject", "arn:aws:s3:::b"), nullptr).allowed());
}

TEST(Decision, ADenialWinsWhereverItStands) {
  const Access put = access("s3:PutObject", "arn:aws:s3:::b/k");
  NamedPolicy allow = named("allow", kAllowBucket);
  NamedPolicy deny = named("deny", R"({"Sid":"NoPut","Effect":"Deny","Action":"s3:Put*","Resource":"*"})");
  Decision denied = decide(user({allow, deny}), put, nullptr);
  EXPECT_EQ(denied.verdict, Verdict::kDenied);
  EXPECT_EQ(denied.policy, "deny");
  EXPECT_EQ(denied.statement, "NoPut");
  EXPECT_EQ(denied.why("s3:PutObject"), "with an explicit deny in an identity-based policy");
  NamedPolicy bucket = named(
      "bucket policy", R"({"Effect":"Deny","Principal":{"AWS":"123456789012"},"Action":"*","Resource":"*"})",
      PolicyKind::kResource);
  EXPECT_EQ(decide(user({allow}), put, &bucket).layer, Layer::kResource)
      << "the account stands for all in it";
  Subject bound = user({allow});
  bound.boundary = deny;
  EXPECT_EQ(decide(bound, put, nullptr).why(""), "with an explicit deny in a permissions boundary");
  Subject narrowed = session({allow});
  narrowed.session = {deny};
  EXPECT_EQ(decide(narrowed, put, nullptr).layer, Layer::kSession);
}

TEST(Decision, BoundariesAndSessionPoliciesOnlyTakeAway) {
  const Access put = access("s3:PutObject", "arn:aws:s3:::b/k"),
               get = access("s3:GetObject", "arn:aws:s3:::b/k");
  NamedPolicy all = named("all", R"({"Effect":"Allow","Action":"*","Resource":"*"})");
  NamedPolicy reads = named("reads", R"({"Effect":"Allow","Action":"s3:Get*","Resource":"*"})");
  Subject bound = user({all});
  bound.boundary = reads;
  EXPECT_TRUE(decide(bound, get, nullptr).allowed());
  EXPECT_EQ(decide(bound, put, nullptr).layer, Layer::kBoundary);
  Subject narrowed = session({reads});
  narrowed.session = {all};
  EXPECT_FALSE(decide(narrowed, put, nullptr).allowed()) << "a session policy grants nothing";
  narrowed = session({all});
  narrowed.session = {reads};
  EXPECT_TRUE(decide(narrowed, get, nullptr).allowed());
  EXPECT_EQ(decide(narrowed, put, nullptr).why("s3:PutObject"),
            "because no session policy allows the s3:PutObject action");
}

TEST(Decision, ResourcePolicies) {
  const Access get = access("s3:GetObject", "arn:aws:s3:::b/k");
  auto bucket = [](const std::string& principal, const std::string& more = "") {
    return named("bucket policy",
                 R"({"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*","Principal":)" +
                     principal + more + "}",
                 PolicyKind::kResource);
  };
  NamedPolicy ann = bucket("{\"AWS\":\"" + kUserArn + "\"}"), anybody = bucket("\"*\"");
  NamedPolicy account = bucket(R"({"AWS":"arn:aws:iam::123456789012:root"})");
  NamedPolicy role = bucket("{\"AWS\":\"" + kRoleArn + "\"}");
  EXPECT_TRUE(decide(user({}), get, &ann).allowed());
  EXPECT_FALSE(decide(session({}), get, &ann).allowed());
  EXPECT_FALSE(decide(user({}), get, &account).allowed()) << "the account's own policies must allow it then";
  EXPECT_TRUE(decide(session({}), get, &role).allowed());
  Subject nobody;
  nobody.anonymous = true;
  nobody.account = kAccount;
  EXPECT_TRUE(decide(nobody, get, &anybody).allowed());
  EXPECT_FALSE(decide(nobody, get, &ann).allowed());
  NamedPolicy from_here = bucket("\"*\"", R"(,"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}})");
  Access there = get, here = get;
  there.context.set("aws:SourceIp", "10.1.2.3");
  here.context.set("aws:SourceIp", "127.0.0.1");
  EXPECT_FALSE(decide(nobody, there, &from_here).allowed());
  EXPECT_TRUE(decide(nobody, here, &from_here).allowed());
  NamedPolicy all_but_ann = named(
      "bucket policy",
      R"({"Effect":"Deny","NotPrincipal":{"AWS":")" + kUserArn + R"("},"Action":"s3:*","Resource":"*"})",
      PolicyKind::kResource);
  NamedPolicy all = named("all", R"({"Effect":"Allow","Action":"*","Resource":"*"})");
  EXPECT_TRUE(decide(user({all}), get, &all_but_ann).allowed());
  EXPECT_EQ(decide(session({all}), get, &all_but_ann).verdict, Verdict::kDenied);
}

TEST(Decision, WhoMayAssumeARole) {
  const Access assume = access("sts:AssumeRole", kRoleArn);
  auto trusts = [&](const std::string& principal, const Subject& subject) {
    return trust(*named("t", R"({"Effect":"Allow","Action":"sts:AssumeRole","Principal":)" + principal + "}",
                        PolicyKind::kTrust)
                      .policy,
                 subject, assume);
  };
  EXPECT_EQ(trusts(R"({"AWS":"123456789012"})", user({})), Trust::kThroughAccount);
  EXPECT_EQ(trusts("{\"AWS\":\"" + kUserArn + "\"}", user({})), Trust::kDirect);
  EXPECT_EQ(trusts(R"({"Service":"batch.amazonaws.com"})", user({})), Trust::kNone);
  EXPECT_EQ(trusts(R"({"AWS":"999999999999"})", user({})), Trust::kNone);
}

TEST(Decision, Variables) {
  Subject ann = user(
      {named("home", R"({"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}/*"})")});
  Access mine = access("s3:GetObject", "arn:aws:s3:::b/a*/k"),
         hers = access("s3:GetObject", "arn:aws:s3:::b/ann/k");
  EXPECT_FALSE(decide(ann, hers, nullptr).allowed()) << "without a value nothing matches";
  mine.context.set("aws:username", "a*");
  hers.context.set("aws:username", "a*");
  EXPECT_TRUE(decide(ann, mine, nullptr).allowed());
  EXPECT_FALSE(decide(ann, hers, nullptr).allowed()) << "a star in a value is no wildcard";
  EXPECT_TRUE(wildcard_match(
      "${*}x${?}${$}", "*x?$",
      &static_cast<const Variables&>(Variables([](std::string_view) { return std::nullopt; }))));
}

struct Case {
  std::string op, key, values;
  std::vector<std::string> seen;
  bool holds;
};

TEST(Conditions, Table) {
  const std::vector<Case> cases = {
      {"StringEquals", "aws:x", R"(["a","b"])", {"b"}, true},
      {"StringEquals", "aws:x", R"("B")", {"b"}, false},
      {"StringEquals", "aws:x", R"("b")", {}, false},
      {"StringNotEquals", "aws:x", R"(["a","b"])", {"b"}, false},
      {"StringNotEquals", "aws:x", R"(["a","b"])", {"c"}, true},
      {"StringNotEquals", "aws:x", R"("a")", {}, true},
      {"StringEqualsIgnoreCase", "aws:x", R"("B")", {"b"}, true},
      {"StringEqualsIfExists", "aws:x", R"("b")", {}, true},
      {"StringEqualsIfExists", "aws:x", R"("b")", {"c"}, false},
      {"StringLike", "aws:x", R"("h*o?")", {"hello!"}, true},
      {"StringNotLike", "aws:x", R"("h*")", {"hello"}, false},
      {"ArnLike", "aws:x", R"("arn:aws:s3:::b*")", {"arn:aws:s3:::bucket"}, true},
      {"ArnLike", "aws:x", R"("arn:aws:*")", {"arn:aws:s3:::bucket"}, false},
      {"ArnLike", "aws:x", R"("arn:aws:*:*:*:role/*")", {"arn:aws:iam::1:role/a/b"}, true},
      {"ArnNotEquals", "aws:x", R"("arn:aws:iam::1:role/a")", {"arn:aws:iam::1:role/a"}, false},
      {"NumericLessThan", "aws:x", R"("10")", {"9.5"}, true},
      {"NumericLessThanEquals", "aws:x", "10", {"10"}, true},
      {"NumericGreaterThan", "aws:x", R"("10")", {"9"}, false},
      {"NumericEquals", "aws:x", R"("10")", {"ten"}, false},
      {"DateLessThan", "aws:x", R"("2026-01-02T00:00:00Z")", {"2026-01-01T23:59:59Z"}, true},
      {"DateGreaterThan", "aws:x", R"("2026-01-02")", {"1767312000"}, false},
      {"DateGreaterThanEquals", "aws:x", R"("2026-01-02")", {"1767312000"}, true},
      {"Bool", "aws:x", R"("true")", {"true"}, true},
      {"Bool", "aws:x", "false", {"true"}, false},
      {"IpAddress", "aws:x", R"(["10.0.0.0/8","2001:db8::/33"])", {"10.255.0.1"}, true},
      {"IpAddress", "aws:x", R"("2001:db8::/33")", {"2001:db8:7fff::1"}, true},
      {"IpAddress", "aws:x", R"("2001:db8::/33")", {"2001:db8:8000::1"}, false},
      {"IpAddress", "aws:x", R"("0.0.0.0/0")", {"::1"}, false},
      {"NotIpAddress", "aws:x", R"("10.0.0.0/8")", {"11.0.0.1"}, true},
      {"Null", "aws:x", R"("true")", {}, true},
      {"Null", "aws:x", R"("false")", {}, false},
      {"Null", "aws:x", "false", {"v"}, true},
      {"ForAllValues:StringEquals", "aws:tagkeys", R"(["a","b"])", {"a", "b"}, true},
      {"ForAllValues:StringEquals", "aws:tagkeys", R"(["a","b"])", {"a", "c"}, false},
      {"ForAllValues:StringEquals", "aws:tagkeys", R"(["a"])", {}, true},
      {"ForAnyValue:StringEquals", "aws:tagkeys", R"(["a","b"])", {"c", "b"}, true},
      {"ForAnyValue:StringEquals", "aws:tagkeys", R"(["a"])", {}, false},
      {"ForAnyValue:StringNotEquals", "aws:tagkeys", R"(["a"])", {"a", "b"}, true},
      {"StringNotEquals", "aws:tagkeys", R"(["a"])", {"a", "b"}, false},
      {"BinaryEquals", "aws:x", R"("QQ==")", {"QQ=="}, true},
  };
  for (const Case& one : cases) {
    auto policy =
        Policy::parse(R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*",
        "Condition":{")" + one.op +
                          R"(":{")" + one.key + "\":" + one.values + "}}}}",
                      PolicyKind::kIdentity);
    Context context;
    for (const std::string& value : one.seen) context.add(one.key, value);
    EXPECT_EQ(holds(policy->statements()[0].conditions[0], context, true), one.holds)
        << one.op << " " << one.values << " with " << (one.seen.empty() ? "nothing" : one.seen[0]);
  }
}

// What is denied after a restart must be what was denied before it.
TEST(Directory, KeepsWhatItIsTold) {
  std::string path = ::testing::TempDir() + "iam-" + base::random_hex(8) + ".db";
  {
    Directory directory(path);
    directory.change([](Edit& edit) {
      Entity ann;
      ann.name = "Ann";
      ann.path = "/";
      ann.arn = kUserArn;
      ann.inline_policies["p"] =
          Document(R"({"Version":"2012-10-17","Statement":)" + kAllowBucket + "}", PolicyKind::kIdentity);
      ann.attached = {"arn:aws:iam::aws:policy/AWSBatchFullAccess", "arn:aws:iam::aws:policy/NotKnownHere"};
      ann.keys = {{"AKIA1", "secret", true, 1}};
      edit.put(ann);
    });
    EXPECT_THROW(directory.change([](Edit& edit) {
      edit.erase(EntityKind::kUser, "ann");
      throw std::runtime_error("stop");
    }),
                 std::runtime_error);
  }
  Directory directory(path);
  auto state = directory.state();
  auto [owner, key] = state->key("AKIA1");
  ASSERT_NE(owner, nullptr);
  EXPECT_EQ(owner, state->find(EntityKind::kUser, "ANN")) << "names have no case";
  EXPECT_EQ(key->secret, "secret");
  Subject subject = state->subject_of_user(*owner, kAccount);
  EXPECT_TRUE(decide(subject, access("s3:GetObject", "arn:aws:s3:::b/k"), nullptr).allowed());
  EXPECT_TRUE(decide(subject, access("batch:SubmitJob", "*"), nullptr).allowed());
  EXPECT_FALSE(decide(subject, access("ec2:RunInstances", "*"), nullptr).allowed());
  directory.change([](Edit& edit) { edit.erase(EntityKind::kUser, "ann"); });
  EXPECT_EQ(directory.state()->key("AKIA1").first, nullptr);
  EXPECT_NE(state->key("AKIA1").first, nullptr) << "a state never changes";
}

}  // namespace
}  // namespace millrace::iam
