#include "events/schedule.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "base/error.h"
#include "tests/events/corpora.h"

namespace millrace::events {
namespace {

using base::TimeMs;

std::vector<std::string> firings(const std::string& expression, const std::string& zone,
                                 const std::string& from, size_t count) {
  const Schedule schedule = Schedule::parse(expression, Schedule::Service::kScheduler, TimeZone::load(zone));
  std::vector<std::string> out;
  TimeMs after = base::parse_iso8601(from).value();
  const TimeMs start = 0;
  while (out.size() < count) {
    const auto next = schedule.next(after, start);
    if (!next) break;
    EXPECT_GT(*next, after);
    out.push_back(base::iso8601(*next));
    after = *next;
  }
  return out;
}

std::string refusal(const std::string& expression, Schedule::Service service) {
  try {
    Schedule::parse(expression, service);
  } catch (const base::UsageError& e) {
    EXPECT_EQ(e.code(), "ValidationException");
    return e.what();
  }
  return "";
}

using Times = std::vector<std::string>;

TEST(Cron, DaysThatOtherImplementationsGetWrong) {
  // Without this February 29 slips into March, ranges do not go around and lists lose their earlier half.
  EXPECT_EQ(firings("cron(0 0 29 2 ? *)", "UTC", "2024-03-01T00:00:00Z", 1), Times{"2028-02-29T00:00:00Z"});
  EXPECT_EQ(firings("cron(0 0 31 * ? *)", "UTC", "2025-01-31T00:00:00Z", 2),
            (Times{"2025-03-31T00:00:00Z", "2025-05-31T00:00:00Z"}));
  EXPECT_EQ(firings("cron(0 20-22,1 ? NOV-FEB FRI-MON *)", "UTC", "2025-11-02T22:00:00Z", 2),
            (Times{"2025-11-03T01:00:00Z", "2025-11-03T20:00:00Z"}));
  EXPECT_EQ(firings("cron(5,4 * * * ? *)", "UTC", "2025-01-01T00:00:00Z", 2),
            (Times{"2025-01-01T00:04:00Z", "2025-01-01T00:05:00Z"}));
  EXPECT_EQ(firings("cron(0 0 LW * ? *)", "UTC", "2025-05-01T00:00:00Z", 2),
            (Times{"2025-05-30T00:00:00Z", "2025-06-30T00:00:00Z"}));
  EXPECT_EQ(firings("cron(0 0 1W * ? *)", "UTC", "2025-02-01T00:00:00Z", 1), Times{"2025-02-03T00:00:00Z"});
  EXPECT_EQ(firings("cron(0 0 31W * ? *)", "UTC", "2025-05-02T00:00:00Z", 1), Times{"2025-05-30T00:00:00Z"});
  EXPECT_EQ(firings("cron(0 0 ? * l *)", "UTC", "2025-05-02T00:00:00Z", 1), Times{"2025-05-03T00:00:00Z"});
  EXPECT_EQ(firings("cron(0 0 ? * fril *)", "UTC", "2025-05-02T00:00:00Z", 1), Times{"2025-05-30T00:00:00Z"});
  EXPECT_TRUE(firings("cron(0 0 30 2 ? *)", "UTC", "2025-05-02T00:00:00Z", 1).empty());
}

TEST(Cron, ClocksThatAreSet) {
  // Without this a nightly job runs twice in autumn, or at a wrong hour in spring.
  EXPECT_EQ(firings("cron(30 2 * * ? *)", "Europe/Berlin", "2024-03-30T00:00:00Z", 2),
            (Times{"2024-03-30T01:30:00Z", "2024-04-01T00:30:00Z"}));
  EXPECT_EQ(firings("cron(30 2 * * ? *)", "Europe/Berlin", "2024-10-26T12:00:00Z", 2),
            (Times{"2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"}));
  // Beyond the table of the file, by its rule.
  EXPECT_EQ(firings("cron(0 12 1 7 ? *)", "Europe/Berlin", "2150-01-01T00:00:00Z", 1),
            Times{"2150-07-01T10:00:00Z"});
  EXPECT_EQ(firings("cron(0 12 1 1 ? *)", "Australia/Sydney", "2150-01-02T00:00:00Z", 1),
            Times{"2151-01-01T01:00:00Z"});
}

TEST(Schedule, RefusalsAreTheServices) {
  // Without this the message a client shows is not the one AWS gives.
  using Service = Schedule::Service;
  for (const char* wrong : {"",
                            "cron()",
                            "cron(0 0 * * * *)",
                            "cron(0 0 ? * ? *)",
                            "cron(60 0 * * ? *)",
                            "cron(0 0 1,L * ? *)",
                            "cron(0 0 * * ?)",
                            "cron(0 0 ? * MON#6 *)",
                            "cron(0/0 0 * * ? *)",
                            "cron(0 0 L-x * ? *)",
                            "cron(0 0 32W * ? *)",
                            "cron(0 0 * * ? 1969)",
                            "cron(, 0 * * ? *)",
                            "rate(0 days)",
                            "rate(1  day)",
                            "rate(10 Minutes)",
                            "rate(99999999999999999999 days)",
                            "at(2025-02-30T00:00:00)",
                            "at(2025-02-03T00:00:00Z)",
                            "at(2025-02-03)"}) {
    EXPECT_EQ(refusal(wrong, Service::kRules), "Parameter ScheduleExpression is not valid.") << wrong;
    EXPECT_EQ(refusal(wrong, Service::kScheduler), "Invalid Schedule Expression " + std::string(wrong) + ".");
  }
  EXPECT_EQ(refusal("rate(1 days)", Service::kRules), "Parameter ScheduleExpression is not valid.");
  EXPECT_EQ(refusal("rate(1 days)", Service::kScheduler), "");
  EXPECT_EQ(refusal("at(2025-02-03T00:00:00)", Service::kRules),
            "Parameter ScheduleExpression is not valid.");
}

TEST(Schedule, RatesCountFromTheStart) {
  // Without this a rate drifts with every restart, or with the clocks.
  const Schedule rate = Schedule::parse("rate(7 days)", Schedule::Service::kRules);
  const TimeMs start = 1'000'000, week = 7 * 86'400'000LL;
  EXPECT_EQ(rate.next(0, start), start);
  EXPECT_EQ(rate.next(start, start), start + week);
  EXPECT_EQ(rate.next(start + 5 * week + 1, start), start + 6 * week);
}

TEST(Schedule, CronWaitsForItsStart) {
  // Without this a schedule fires before its StartDate.
  const Schedule cron = Schedule::parse("cron(0 12 * * ? *)", Schedule::Service::kScheduler);
  const TimeMs start = base::parse_iso8601("2025-06-10T12:00:00Z").value();
  EXPECT_EQ(cron.next(0, start), start);
  EXPECT_EQ(cron.next(start, start), start + 86'400'000);
}

TEST(TimeZoneNames, OnlyNamesAreLookedUp) {
  // Without this a time zone from a request could read any file.
  EXPECT_THROW(TimeZone::load("../../etc/passwd"), base::UsageError);
  EXPECT_THROW(TimeZone::load("/etc/passwd"), base::UsageError);
  EXPECT_THROW(TimeZone::load(""), base::UsageError);
  EXPECT_THROW(TimeZone::load("Mars/Phobos"), base::NotFoundError);
  EXPECT_THROW(TimeZone::load("Europe"), base::NotFoundError);
  EXPECT_THROW(TimeZone::load("tzdata.zi"), base::UsageError);
}

TEST(ScheduleFuzz, NothingMakesTheParserOrTheSearchGoAstray) {
  // Without this an expression from the network could crash the scheduler or keep it busy.
  static constexpr const char* kSeeds[] = {"cron(0/15 8-17 ? JAN,NOV-FEB MON-FRI 2024/4)",
                                           "cron(0 0 L-3 * ? *)",
                                           "cron(0 0 15W * ? *)",
                                           "cron(0 0 ? * SAT#3 *)",
                                           "rate(5 minutes)",
                                           "at(2025-01-31T23:59:59)"};
  std::mt19937_64 random(5);
  const auto zone = TimeZone::load("America/New_York");
  for (int round = 0; round < 20000; ++round) {
    std::string text = kSeeds[random() % 6];
    for (uint64_t n = 1 + random() % 3; n > 0 && !text.empty(); --n) {
      static constexpr std::string_view kBytes = "0123456789*?/-,#LWlw ()SATcron:T\xff";
      const size_t at = random() % text.size();
      if (random() % 3 == 0) {
        text.erase(at, 1);
      } else {
        text[at] = kBytes[random() % kBytes.size()];
      }
    }
    try {
      const Schedule schedule = Schedule::parse(text, Schedule::Service::kScheduler, zone);
      const TimeMs after = static_cast<TimeMs>(random() % 4'000'000'000'000);
      const auto next = schedule.next(after, 0);
      ASSERT_TRUE(!next || *next > after) << text;
    } catch (const base::UsageError&) {
    }
  }
}

TEST(TimeZoneFuzz, BrokenFilesAreRefused) {
  // Without this a damaged database could crash the scheduler.
  std::ifstream in("/usr/share/zoneinfo/Europe/Berlin", std::ios::binary);
  if (!in) GTEST_SKIP() << "no time zone database";
  std::stringstream all;
  all << in.rdbuf();
  std::mt19937_64 random(6);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = all.str();
    for (uint64_t n = 1 + random() % 4; n > 0; --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    try {
      const auto zone = TimeZone::parse(bytes);
      zone->offset_at(static_cast<int64_t>(random() % 8'000'000'000));
    } catch (const base::CorruptError&) {
    }
  }
}

TEST(ScheduleCorpora, NextTimesAreTheRecordedOnes) {
  // Without this our reading of cron drifts from what independent implementations agree on.
  size_t checked = 0;
  for (const char* file : {"cron-next.jsonl", "cron-dst.jsonl", "rate-at.jsonl"}) {
    for (const auto& each : corpus(file)) {
      const std::string expression = text_of(each, "expression"), zone = text_of(each, "timezone");
      ++checked;
      if (text_of(each, "expect") == "invalid") {
        EXPECT_NE(refusal(expression, Schedule::Service::kScheduler), "") << expression;
        continue;
      }
      // From its edition 2026a on the database has Morocco leave summer time for good.
      const bool older_database = TimeZone::load("Africa/Casablanca")->offset_at(1806460200) == 3600;
      if (zone == "Africa/Casablanca" && older_database) continue;
      Times wanted;
      for (const auto& time : *base::find_array(each, "next"))
        wanted.emplace_back(base::view(time.as_string()));
      if (const std::string start_date = text_of(each, "start_date"); !start_date.empty()) {
        const Schedule schedule =
            Schedule::parse(expression, Schedule::Service::kScheduler, TimeZone::load(zone));
        const TimeMs start = base::parse_iso8601(start_date).value();
        Times have;
        for (TimeMs after = start - 1; have.size() < wanted.size();) {
          after = schedule.next(after, start).value();
          have.push_back(base::iso8601(after));
        }
        EXPECT_EQ(have, wanted) << expression;
        continue;
      }
      const std::string from = text_of(each, "from").empty() ? "1971-01-01T00:00:00Z" : text_of(each, "from");
      const size_t more = wanted.size() < 8 && file == std::string("cron-next.jsonl") ? 1 : 0;
      EXPECT_EQ(firings(expression, zone, from, wanted.size() + more), wanted)
          << expression << " " << zone << " " << from;
    }
  }
  for (const auto& each : corpus("schedule-validation.jsonl")) {
    if (!text_of(each, "bus").empty()) continue;  // not a matter of the expression
    const bool rules = text_of(each, "service") == "events";
    const std::string have = refusal(text_of(each, "expression"),
                                     rules ? Schedule::Service::kRules : Schedule::Service::kScheduler);
    EXPECT_EQ(have, text_of(each, "message")) << text_of(each, "expression");
    ++checked;
  }
  if (checked == 0) GTEST_SKIP() << "MILLRACE_CORPORA is not set";
}

}  // namespace
}  // namespace millrace::events
