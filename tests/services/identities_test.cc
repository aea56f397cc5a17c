#include "services/identities.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "aws/api_error.h"
#include "base/hash.h"
#include "tests/support/temporary_folder.h"

namespace millrace::services {
namespace {

constexpr base::TimeMs kNow = 1'800'000'000'000;
constexpr char kJob[] = "11111111-2222-4333-8444-555555555555:7";

class IdentitiesTest : public ::testing::Test {
 protected:
  std::string path() const { return (folder_.path() / "keys.json").string(); }
  void write(const std::string& text) { std::ofstream(path()) << text; }

  // The job that a key stands for, "root", "unknown" or the code of the refusal.
  static std::string who(const Identities& identities, const aws::Credentials& keys, base::TimeMs now = kNow,
                         aws::Dialect dialect = aws::Dialect::kQuery) {
    try {
      auto caller = identities.find(keys.access_key_id, keys.session_token, now, dialect);
      if (!caller) return "unknown";
      EXPECT_EQ(caller->secret, keys.secret_access_key);
      return caller->session ? caller->session->name : "root";
    } catch (const aws::ApiError& error) {
      return error.code();
    }
  }

  // Keys of a job whose attempt lives.
  static aws::Credentials keys_of(Identities& identities, const std::string& job, base::TimeMs expires) {
    Session session;
    session.name = job;
    session.attempt = kAttempt;
    session.expires = expires;
    identities.attempt_lives(kAttempt);
    return identities.issue(session);
  }
  static constexpr uint64_t kAttempt = 7;

  millrace::testing::TemporaryFolder folder_;
};

// Without this: every user of the machine reads the root key, or a restart locks everybody out.
TEST_F(IdentitiesTest, TheRootKeyIsMadeOnceAndIsItsOwnersAlone) {
  mode_t old = umask(0);
  aws::Credentials first = Identities::load_or_create(path()).root();
  umask(old);
  struct stat status{};
  ASSERT_EQ(stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1)
      << "nothing else is left";
  EXPECT_EQ(first.access_key_id.size(), 20u);
  EXPECT_EQ(first.access_key_id.substr(0, 4), "AKIA");
  EXPECT_EQ(first.secret_access_key.size(), 40u);

  aws::Credentials again = Identities::load_or_create(path()).root();
  EXPECT_EQ(again.access_key_id, first.access_key_id);
  EXPECT_EQ(again.secret_access_key, first.secret_access_key);
  EXPECT_EQ(read_root_key(path()).secret_access_key, first.secret_access_key);

  std::filesystem::remove(path());
  EXPECT_NE(Identities::load_or_create(path()).root().secret_access_key, first.secret_access_key);
}

// Without this: a damaged key file is replaced in silence, and running jobs lose their keys.
TEST_F(IdentitiesTest, AKeyFileThatHoldsNoKeyIsSaidSo) {
  EXPECT_THROW(read_root_key(path()), base::NotFoundError);
  for (const char* text :
       {"", "{", "[]", "{}", R"({"access_key_id":"AKIA"})", R"({"secret_access_key":7})"}) {
    write(text);
    EXPECT_THROW(Identities::load_or_create(path()), base::Error) << text;
    EXPECT_EQ(std::filesystem::file_size(path()), std::string(text).size()) << "left as it was: " << text;
  }
  EXPECT_THROW(Identities::load_or_create((folder_.path() / "none" / "keys").string()), base::Error);
}

// Without this: a job's keys end with the engine that made them, or outlive their time.
TEST_F(IdentitiesTest, KeysOfJobsOutliveTheEngineButNotTheirTime) {
  Identities first = Identities::load_or_create(path());
  aws::Credentials keys = keys_of(first, kJob, kNow + 1000);
  EXPECT_EQ(keys.access_key_id.size(), 20u);
  EXPECT_EQ(keys.access_key_id.substr(0, 4), "ASIA");
  EXPECT_EQ(keys.expires_at, kNow + 1000);
  Identities restarted = Identities::load_or_create(path());
  EXPECT_EQ(who(restarted, keys), "ExpiredToken") << "nobody has said that the attempt lives";
  restarted.attempt_lives(kAttempt);
  EXPECT_EQ(who(restarted, keys), kJob);
  EXPECT_EQ(who(restarted, keys, kNow + 1000), kJob);
  EXPECT_EQ(who(restarted, restarted.root()), "root");
  EXPECT_EQ(who(restarted, keys, kNow + 1001, aws::Dialect::kQuery), "ExpiredToken");
  EXPECT_EQ(who(restarted, keys, kNow + 1001, aws::Dialect::kS3), "ExpiredToken");
  EXPECT_EQ(who(restarted, keys, kNow + 1001, aws::Dialect::kJson), "ExpiredTokenException");
  EXPECT_EQ(who(restarted, keys, kNow + 1001, aws::Dialect::kRestJson), "ExpiredTokenException");
  restarted.attempt_ended(kAttempt);
  EXPECT_EQ(who(restarted, keys), "ExpiredToken") << "the job has ended";
}

// Without this: a job makes itself another job, or a longer life.
TEST_F(IdentitiesTest, NothingOfAJobsTokenCanBeChanged) {
  Identities identities = Identities::load_or_create(path());
  const aws::Credentials keys = keys_of(identities, kJob, kNow + 1000);
  aws::Credentials changed = keys;
  for (size_t at = 0; at < keys.session_token.size(); ++at) {
    changed.session_token = keys.session_token;
    changed.session_token[at] = changed.session_token[at] == '0' ? '1' : '0';
    EXPECT_EQ(who(identities, changed), "InvalidClientTokenId") << at;
  }
  std::string mac = keys.session_token.substr(keys.session_token.find('.'));
  for (const std::string& token :
       {std::string("x"), std::string("."), std::string(".."), mac, keys.session_token + "00",
        keys.session_token.substr(0, keys.session_token.size() - 2),
        base::hex(R"({"n":"x","a":7,"e":9999999999999})") + mac, base::hex("{}") + mac}) {
    changed.session_token = token;
    EXPECT_EQ(who(identities, changed), "InvalidClientTokenId") << token;
    EXPECT_EQ(who(identities, changed, kNow, aws::Dialect::kS3), "InvalidToken") << token;
    EXPECT_EQ(who(identities, changed, kNow, aws::Dialect::kRestJson), "UnrecognizedClientException")
        << token;
  }

  changed = keys;
  changed.session_token = keys_of(identities, "another-job", kNow + 1000).session_token;
  EXPECT_EQ(who(identities, changed), "InvalidClientTokenId") << "a token is good for its own key only";
  changed.session_token.clear();
  EXPECT_EQ(who(identities, changed), "unknown");
  changed = keys;
  changed.access_key_id.back() = changed.access_key_id.back() == 'A' ? 'B' : 'A';
  EXPECT_EQ(who(identities, changed), "InvalidClientTokenId");

  millrace::testing::TemporaryFolder elsewhere;
  Identities others = Identities::load_or_create((elsewhere.path() / "keys").string());
  EXPECT_EQ(who(others, keys), "InvalidClientTokenId") << "keys of another data folder";
  EXPECT_EQ(who(others, identities.root()), "unknown");
  EXPECT_NE(keys_of(identities, "a", kNow).secret_access_key,
            keys_of(identities, "b", kNow).secret_access_key);
}

// Without this: a job makes itself a token for another job's credentials.
TEST_F(IdentitiesTest, SealsAreForOnePurpose) {
  Identities identities = Identities::load_or_create(path());
  std::string sealed = identities.seal("one", std::string("a\0b", 3));
  EXPECT_EQ(identities.unseal("one", sealed), std::string("a\0b", 3));
  EXPECT_EQ(identities.unseal("two", sealed), std::nullopt);
  for (size_t at = 0; at < sealed.size(); ++at) {
    std::string changed = sealed;
    changed[at] = changed[at] == '0' ? '1' : '0';
    EXPECT_EQ(identities.unseal("one", changed), std::nullopt) << at;
  }
  for (const char* text : {"", "00", "xyz"}) EXPECT_EQ(identities.unseal("one", text), std::nullopt) << text;
}

}  // namespace
}  // namespace millrace::services
