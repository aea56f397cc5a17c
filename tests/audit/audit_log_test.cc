// Without these, what somebody changed could be missing from the log, or be found under another's name.
#include "audit/audit_log.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace millrace::audit {
namespace {

class AuditLogTest : public ::testing::Test {
 protected:
  void reopen() {
    log_.reset();
    log_ = std::make_unique<AuditLog>(folder_ / "audit.db", clock_);
  }
  void add(int n, const std::string& name, const std::string& user, std::vector<std::string> resources = {}) {
    log_->add([=, at = clock_.now_ms()] {
      Event event;
      event.time = at;
      event.id = "id-" + std::to_string(n);
      event.name = name;
      event.source = "batch.amazonaws.com";
      event.user = user;
      event.access_key = "AKIA" + user;
      event.resources = resources;
      event.body = "{}";
      return event;
    });
  }
  std::string ids(Lookup lookup) {
    std::string all;
    for (const Event& event : log_->find(lookup)) all += event.id.substr(3) + " ";
    return all;
  }
  std::string by(Attribute attribute, const std::string& value) {
    Lookup lookup;
    lookup.attribute = {attribute, value};
    return ids(lookup);
  }

  millrace::testing::TemporaryFolder folder_;
  base::ManualClock clock_{1'800'000'000'000};
  std::unique_ptr<AuditLog> log_ = std::make_unique<AuditLog>(folder_ / "audit.db", clock_);
};

// An event could not be found by what is known of it.
TEST_F(AuditLogTest, FindsByEachAttributeNewestFirst) {
  add(1, "SubmitJob", "ann", {"queue", "job"});
  add(2, "CreateSecret", "bob", {"queue2"});
  add(3, "SubmitJob", "bob");
  EXPECT_EQ(ids({}), "3 2 1 ");
  EXPECT_EQ(by(Attribute::kEventName, "SubmitJob"), "3 1 ");
  EXPECT_EQ(by(Attribute::kUsername, "bob"), "3 2 ");
  EXPECT_EQ(by(Attribute::kAccessKeyId, "AKIAann"), "1 ");
  EXPECT_EQ(by(Attribute::kEventId, "id-2"), "2 ");
  EXPECT_EQ(by(Attribute::kResourceName, "queue"), "1 ");
  EXPECT_EQ(by(Attribute::kEventSource, "batch.amazonaws.com"), "3 2 1 ");
  EXPECT_EQ(by(Attribute::kEventSource, "s3.amazonaws.com"), "");
  EXPECT_EQ(by(Attribute::kReadOnly, "false"), "3 2 1 ");
  EXPECT_EQ(by(Attribute::kReadOnly, "true"), "");
  Lookup page;
  page.limit = 2;
  auto first = log_->find(page);
  ASSERT_EQ(first.size(), 2u);
  page.before = first.back().seq;
  EXPECT_EQ(ids(page), "1 ");
}

// Stopping the engine would lose what was noted just before.
TEST_F(AuditLogTest, SurvivesAStop) {
  for (int n = 0; n < 3000; ++n) add(n, "SubmitJob", "ann");
  reopen();
  Lookup all;
  all.limit = 10'000;
  EXPECT_EQ(log_->find(all).size(), 3000u);
}

// The log would grow for ever, or show what AWS has forgotten.
TEST_F(AuditLogTest, ForgetsAfterNinetyDays) {
  add(1, "SubmitJob", "ann");
  EXPECT_EQ(ids({}), "1 ");
  clock_.advance(AuditLog::kKeptMs + 1);
  add(2, "SubmitJob", "ann");
  EXPECT_EQ(ids({}), "2 ");
  reopen();
  add(3, "SubmitJob", "ann");
  reopen();
  auto file = sql::open_sqlite(folder_ / "audit.db");
  auto count = file->prepare("SELECT count(*) FROM events WHERE id = 'id-1'");
  count->step();
  EXPECT_EQ(count->int64(0), 0);
}

}  // namespace
}  // namespace millrace::audit
