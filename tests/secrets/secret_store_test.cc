// Without these, stages and versions could drift from what AWS does, and values could lie readable on disk.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/hash.h"
#include "secrets/secret_folder.h"
#include "tests/support/temporary_folder.h"

namespace millrace::secrets {
namespace {

constexpr TimeMs kDay = TimeMs{24} * 3600 * 1000;
constexpr char kPrefix[] = "arn:aws:secretsmanager:us-east-1:123456789012:secret:";

std::string token(int n) { return "00000000-0000-4000-8000-" + std::string(11, '0') + std::to_string(n); }

class SecretStoreTest : public ::testing::Test {
 protected:
  SecretStoreTest() { reopen(); }

  void reopen(const std::string& key = "") {
    secrets_.reset();
    secrets_ = std::make_unique<SecretFolder>(folder_ / "secrets", key, clock_, "us-east-1", "123456789012");
  }
  SecretStore& store() { return secrets_->secrets; }

  static NewValue value(int n, const std::string& text, bool binary = false) {
    return {token(n), binary, Plaintext(text)};
  }
  Secret create(const std::string& name, const std::string& text = "v1", int n = 1) {
    const NewValue first = value(n, text);
    return store().create(name, {}, &first);
  }
  std::string read(const std::string& id, const std::string& version = "", const std::string& stage = "") {
    return std::string(store().get(id, version, stage).second.bytes.view());
  }
  template <typename Call>
  static std::string error(const Call& call) {
    try {
      call();
    } catch (const aws::ApiError& e) {
      return e.code() + ": " + e.what();
    }
    return "no error";
  }
  std::string at(const std::string& stage) {
    for (const auto& [version, stages] : store().describe("s").second)
      for (const std::string& each : stages)
        if (each == stage) return version;
    return "";
  }
  // Everything in the folder, one after the other.
  std::string bytes_on_disk() {
    std::string all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ / "secrets")) {
      std::ifstream file(entry.path(), std::ios::binary);
      std::stringstream text;
      text << file.rdbuf();
      all += text.str();
    }
    return all;
  }

  millrace::testing::TemporaryFolder folder_;
  base::ManualClock clock_{1'800'000'000'000};
  std::unique_ptr<SecretFolder> secrets_;
};

// A value that was acknowledged would be lost, or readable to who has the disk.
TEST_F(SecretStoreTest, ValuesSurviveAndAreNotReadableOnDisk) {
  create("s", "plain-as-day-4711");
  const NewValue binary = value(2, std::string("\0\1\2binary-4712", 14), true);
  store().put("s", binary, {});
  reopen();
  EXPECT_EQ(read("s"), std::string("\0\1\2binary-4712", 14));
  EXPECT_EQ(read("s", "", "AWSPREVIOUS"), "plain-as-day-4711");
  const std::string disk = bytes_on_disk();
  ASSERT_GT(disk.size(), 1000u);
  EXPECT_EQ(disk.find("plain-as-day"), std::string::npos);
  EXPECT_EQ(disk.find("binary-4712"), std::string::npos);
  EXPECT_EQ(disk.find(base::base64("plain-as-day-4711")), std::string::npos);
}

// Others on the machine could read the key or the values.
TEST_F(SecretStoreTest, FilesAreForTheirOwnerOnly) {
  create("s");
  struct stat info{};
  for (const char* name : {"/key", "/secrets.db"}) {
    ASSERT_EQ(stat((folder_ / "secrets" + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
  ASSERT_EQ(stat((folder_ / "secrets").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  chmod((folder_ / "secrets/key").c_str(), 0644);
  EXPECT_THROW(reopen(), base::CorruptError);
}

// A wrong or lost key would show as garbage later, or worse, be replaced by a new one.
TEST_F(SecretStoreTest, AnotherKeyIsRefusedAtOnce) {
  create("s");
  const std::string path = folder_ / "secrets/key";
  std::ifstream file(path);
  std::string own;
  std::getline(file, own);
  secrets_.reset();
  std::filesystem::remove(path);
  EXPECT_THROW(reopen(), base::NotFoundError);
  EXPECT_FALSE(std::filesystem::exists(path)) << "a new key is of no use to old secrets";
  EXPECT_THROW(reopen(base::base64(std::string(32, 'x'))), base::ConflictError);
  EXPECT_THROW(reopen("too short"), base::UsageError);
  reopen(own);
  EXPECT_EQ(read("s"), "v1");
  reopen(base::hex(base::unbase64(own).value()));
  EXPECT_EQ(read("s"), "v1");
}

// One who can write to the file could pass one secret's value off as another's.
TEST_F(SecretStoreTest, ValuesCannotBeSwapped) {
  create("a", "of a", 1);
  create("b", "of b", 1);
  secrets_.reset();
  {
    auto raw = sql::open_sqlite(folder_ / "secrets/secrets.db");
    raw->execute(
        "UPDATE versions SET value = (SELECT v.value FROM versions v JOIN secrets s ON s.id = v.secret WHERE "
        "s.name = 'a') WHERE secret = (SELECT id FROM secrets WHERE name = 'b')");
  }
  reopen();
  EXPECT_EQ(read("a"), "of a");
  EXPECT_THROW(read("b"), base::CorruptError);
}

// A secret could not be found by what AWS's users have of it.
TEST_F(SecretStoreTest, IsFoundByNameAndWholeAndPartialArn) {
  const Secret secret = create("team/db");
  ASSERT_EQ(secret.suffix.size(), 6u);
  EXPECT_EQ(store().arn(secret), kPrefix + std::string("team/db-") + secret.suffix);
  for (const std::string& id :
       {std::string("team/db"), store().arn(secret), kPrefix + std::string("team/db")})
    EXPECT_EQ(read(id), "v1") << id;
  const std::string none = "ResourceNotFoundException: Secrets Manager can't find the specified secret.";
  for (const std::string& id :
       {kPrefix + std::string("team/db-AAAAAA"), std::string("team/db-") + secret.suffix, std::string("team"),
        std::string("arn:aws:secretsmanager:us-west-2:123456789012:secret:team/db")})
    EXPECT_EQ(error([&] { read(id); }), none) << id;
  // A name that ends like a suffix cannot be named by a partial ARN, on AWS neither.
  const Secret odd = create("key-abcdef", "odd", 2);
  EXPECT_EQ(error([&] { read(kPrefix + std::string("key-abcdef")); }), none);
  EXPECT_EQ(read(store().arn(odd)), "odd");
  EXPECT_EQ(read("key-abcdef"), "odd");
}

// AWSCURRENT and AWSPREVIOUS would not say which value is in use and which was before.
TEST_F(SecretStoreTest, StagesMoveAsOnAws) {
  create("s");
  store().put("s", value(2, "v2"), {});
  EXPECT_EQ(at("AWSCURRENT"), token(2));
  EXPECT_EQ(at("AWSPREVIOUS"), token(1));
  // A stage of one's own moves nothing else.
  const auto stages = store().put("s", value(3, "v3"), {"AWSPENDING", "mine"}).second;
  EXPECT_EQ(stages, (std::vector<std::string>{"AWSPENDING", "mine"}));
  EXPECT_EQ(read("s"), "v2");
  EXPECT_EQ(read("s", "", "mine"), "v3");
  EXPECT_EQ(read("s", token(3), "mine"), "v3");
  EXPECT_EQ(error([&] { read("s", token(2), "mine"); }),
            "InvalidRequestException: You provided a VersionStage that is not associated to the provided "
            "VersionId.");
  EXPECT_EQ(error([&] { read("s", "", "none"); }),
            "ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging "
            "label: none");
  // Finishing a rotation by hand.
  EXPECT_NE(error([&] {
              store().move_stage("s", "AWSCURRENT", "", token(3));
            }).find("The parameter RemoveFromVersionId can't be empty"),
            std::string::npos);
  store().move_stage("s", "AWSCURRENT", token(2), token(3));
  EXPECT_EQ(read("s"), "v3");
  EXPECT_EQ(at("AWSPREVIOUS"), token(2));
  EXPECT_NE(error([&] { store().move_stage("s", "AWSCURRENT", token(3), ""); }).find("can't be completely"),
            std::string::npos);
  store().move_stage("s", "mine", token(3), "");
  EXPECT_EQ(at("mine"), "");
}

// A client that tries again could make a second version, or overwrite one unseen.
TEST_F(SecretStoreTest, TokensMakeWritesIdempotent) {
  const Secret first = create("s");
  EXPECT_EQ(create("s").id, first.id);
  EXPECT_EQ(error([&] { create("s", "other", 2); }),
            "ResourceExistsException: The operation failed because the secret s already exists.");
  store().put("s", value(2, "v2"), {});
  store().put("s", value(1, "v1"), {});
  EXPECT_EQ(read("s"), "v2") << "a known token with the same value changes nothing";
  EXPECT_EQ(error([&] { store().put("s", value(1, "changed"), {}); }),
            "ResourceExistsException: You can't use ClientRequestToken " + token(1) +
                " because that value is already in use for a version of secret " + store().arn(first) + ".");
}

// A deleted secret could be read, or could not be had back, or would never go.
TEST_F(SecretStoreTest, DeletionWaitsAndCanBeTakenBack) {
  const Secret secret = create("s");
  EXPECT_EQ(store().schedule_deletion("s", 7).delete_at, clock_.now_ms() + 7 * kDay);
  const std::string marked =
      "InvalidRequestException: You can't perform this operation on the secret because it was marked for "
      "deletion.";
  EXPECT_EQ(error([&] { read("s"); }), marked);
  EXPECT_EQ(error([&] { store().put("s", value(2, "v2"), {}); }), marked);
  EXPECT_EQ(
      error([&] { create("s", "again", 2); }),
      "InvalidRequestException: You can't create this secret because a secret with this name is already "
      "scheduled for deletion.");
  EXPECT_EQ(store().describe("s").first.delete_at, clock_.now_ms() + 7 * kDay);
  reopen();
  store().restore("s");
  EXPECT_EQ(read("s"), "v1");
  store().schedule_deletion("s", 7);
  clock_.advance(7 * kDay);
  EXPECT_NE(error([&] { store().describe("s"); }).find("ResourceNotFoundException"), std::string::npos);
  const Secret next = create("s", "new", 3);
  EXPECT_NE(next.suffix, secret.suffix);
  EXPECT_EQ(read("s"), "new");
  EXPECT_EQ(store().versions("s").second.size(), 1u);
  store().delete_now("s");
  EXPECT_NE(error([&] { read("s"); }).find("ResourceNotFoundException"), std::string::npos);
}

// Versions that nobody can want would pile up for ever.
TEST_F(SecretStoreTest, OldVersionsWithoutStagesGo) {
  create("s", "v", 1);
  for (int n = 100; n < 250; ++n) store().put("s", value(n, "v" + std::to_string(n)), {});
  EXPECT_EQ(store().versions("s").second.size(), 151u) << "young ones stay";
  clock_.advance(2 * kDay);
  store().put("s", value(9, "last"), {});
  const auto versions = store().versions("s").second;
  EXPECT_EQ(versions.size(), 102u);
  EXPECT_EQ(versions[0].version, token(9));
  EXPECT_EQ(read("s", "", "AWSPREVIOUS"), "v249");
}

// Pages could show a secret twice or leave one out.
TEST_F(SecretStoreTest, ListsInEveryOrderAndByPages) {
  for (int n = 1; n <= 9; ++n) {
    create("s" + std::to_string(n * 7 % 10), "v", n);
    clock_.advance(1000);
  }
  store().put("s7", value(50, "changed"), {});
  auto names = [&](SecretOrder order, bool ascending, size_t limit) {
    std::string all;
    std::optional<SecretPosition> from, next;
    do {
      for (const auto& [secret, stages] :
           store().list(order, ascending, from, limit, [](const Secret& s) { return s.name != "s3"; }, next))
        all += secret.name.substr(1);
      from = next;
    } while (next);
    return all;
  };
  for (size_t limit : {1u, 2u, 3u, 8u, 100u}) {
    EXPECT_EQ(names(SecretOrder::kCreated, false, limit), "69258147") << limit;
    EXPECT_EQ(names(SecretOrder::kCreated, true, limit), "74185296") << limit;
    EXPECT_EQ(names(SecretOrder::kName, true, limit), "12456789") << limit;
    EXPECT_EQ(names(SecretOrder::kChanged, false, limit), "76925814") << limit;
  }
}

// Nobody would know which secrets are still read.
TEST_F(SecretStoreTest, RemembersTheDayOfTheLastReading) {
  create("s");
  EXPECT_EQ(store().describe("s").first.accessed, 0);
  read("s");
  store().flush_accesses();
  EXPECT_EQ(store().describe("s").first.accessed, clock_.now_ms() / kDay * kDay);
}

}  // namespace
}  // namespace millrace::secrets
