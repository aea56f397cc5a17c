#include "aws/model.h"

#include <gtest/gtest.h>
#include <re2/re2.h>

#include <algorithm>
#include <set>

#include "aws/pattern.h"
#include "aws/protocol.h"

namespace millrace::aws {
namespace {

// Every shape that an operation or error of the service reaches.
void collect(const Shape* shape, std::set<const Shape*>& found) {
  if (!found.insert(shape).second) return;
  for (const Member& member : shape->members) collect(member.shape, found);
}

std::set<const Shape*> shapes_of(const ServiceModel& service) {
  std::set<const Shape*> found;
  for (const Operation& operation : service.operations) {
    collect(operation.input, found);
    collect(operation.output, found);
    for (const Shape* error : operation.errors) collect(error, found);
  }
  for (const Shape* error : service.errors) collect(error, found);
  return found;
}

TEST(Model, TablesHoldTogether) {
  // Without this a binary search over an unsorted table misses members now and then.
  for (const ServiceModel* service : all_services()) {
    EXPECT_EQ(find_service(service->signing_name), service);
    for (const Operation& operation : service->operations) {
      EXPECT_EQ(find_operation(*service, operation.name), &operation);
      EXPECT_EQ(operation.service, service);
    }
    for (const Shape* shape : shapes_of(*service)) {
      EXPECT_TRUE(std::is_sorted(shape->values.begin(), shape->values.end())) << shape->name;
      if (shape->type != ShapeType::kStructure) continue;
      ASSERT_LT(shape->members.size(), 256u) << shape->name << ": input_check.cc counts on it";
      std::set<std::string_view> body_names;
      for (const Member& member : shape->members) {
        EXPECT_EQ(find_member(*shape, member.name), &member) << shape->name;
        if (member.location == Location::kBody) {
          EXPECT_TRUE(body_names.insert(member.wire).second) << shape->name << " " << member.wire;
        }
      }
    }
  }
}

TEST(Model, KnowsTheNewestBatch) {
  // Without this a regeneration from older models would go unnoticed.
  const ServiceModel& batch = *find_service("batch");
  EXPECT_EQ(batch.operations.size(), 48u);
  const Shape& submit = *find_operation(batch, "SubmitJob")->input;
  std::vector<std::string_view> required;
  for (const Member& member : submit.members)
    if (member.required) required.push_back(member.name);
  EXPECT_EQ(required, (std::vector<std::string_view>{"jobName", "jobQueue", "jobDefinition"}));
  EXPECT_EQ(
      find_member(*find_operation(batch, "CreateConsumableResource")->input, "totalQuantity")->shape->type,
      ShapeType::kLong);
  EXPECT_EQ(find_member(*find_operation(batch, "CreateJobQueue")->input, "priority")->shape->type,
            ShapeType::kInteger);
  for (const char* name : {"s3", "sts", "iam", "ssm", "events", "scheduler", "logs", "secretsmanager"})
    EXPECT_NE(find_service(name), nullptr) << name;
}

TEST(Model, ErrorsByCode) {
  // Without this errors go out with the wrong HTTP status.
  EXPECT_EQ(find_error(*find_service("batch"), "ServerException")->http_status, 500);
  EXPECT_EQ(find_error(*find_service("iam"), "NoSuchEntity")->name, "NoSuchEntityException");
  EXPECT_EQ(find_error(*find_service("batch"), "Nope"), nullptr);
}

TEST(Pattern, OnlyLookAroundIsBeyondRe2) {
  // Without this a new pattern could silently stop being checked.
  std::set<std::string> skipped;
  for (const ServiceModel* service : all_services()) {
    for (const Shape* shape : shapes_of(*service)) {
      if (shape->pattern.empty()) continue;
      re2::RE2::Options options;
      options.set_log_errors(false);
      re2::RE2 pattern(re2_pattern(shape->pattern), options);
      if (!pattern.ok()) skipped.insert(std::string(service->signing_name) + " " + std::string(shape->name));
    }
  }
  EXPECT_EQ(skipped,
            (std::set<std::string>{"iam accountAliasType", "scheduler Source", "ssm StringDateTime"}));
}

TEST(Pattern, Translation) {
  // Without this patterns with \u escapes or long repeats are not checked at all.
  EXPECT_EQ(re2_pattern("[\\u0020-\\u00FF]+"), "[\\x{0020}-\\x{00FF}]+");
  EXPECT_EQ(re2_pattern("a{1,2048}b{2}\\{3,9999}"), "a{1,}b{2}\\{3,9999}");
  Shape shape{};
  shape.pattern = "[a-z]+";
  EXPECT_TRUE(matches_pattern(shape, "abc"));
  EXPECT_FALSE(matches_pattern(shape, "abc1"));
}

TEST(Coverage, ListsEveryOperation) {
  // Without this docs/api-coverage.md could claim more or less than the handlers do.
  std::string text = coverage_markdown([](const ServiceModel& service, const Operation& o) {
    return service.signing_name == "batch" && o.name == "SubmitJob";
  });
  EXPECT_NE(text.find("| SubmitJob | yes |\n"), std::string::npos);
  EXPECT_NE(text.find("| CancelJob | no |\n"), std::string::npos);
  EXPECT_NE(text.find("| Batch | 2016-08-10 | rest-json | 1 | 48 |\n"), std::string::npos);
  size_t rows = 0;
  for (size_t at = 0; (at = text.find(" | no |\n", at)) != std::string::npos; ++at) ++rows;
  size_t operations = 0;
  for (const ServiceModel* service : all_services()) operations += service->operations.size();
  EXPECT_EQ(rows + 1, operations);
}

}  // namespace
}  // namespace millrace::aws
