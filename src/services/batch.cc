#include "services/batch.h"

#include <array>

#include "aws/api_error.h"
#include "base/random.h"
#include "base/time.h"
#include "engine/queries.h"
#include "engine/snapshot.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using engine::ApiOperation;
using engine::Engine;
using engine::Store;
using Answer = json::object (*)(const json::object& input, const Engine& engine, Store& store);

struct Write {
  std::string_view name;
  ApiOperation operation;
};
constexpr std::array<Write, 21> kWrites = {{
    {"RegisterJobDefinition", ApiOperation::kRegisterJobDefinition},
    {"DeregisterJobDefinition", ApiOperation::kDeregisterJobDefinition},
    {"CreateComputeEnvironment", ApiOperation::kCreateComputeEnvironment},
    {"UpdateComputeEnvironment", ApiOperation::kUpdateComputeEnvironment},
    {"DeleteComputeEnvironment", ApiOperation::kDeleteComputeEnvironment},
    {"CreateJobQueue", ApiOperation::kCreateJobQueue},
    {"UpdateJobQueue", ApiOperation::kUpdateJobQueue},
    {"DeleteJobQueue", ApiOperation::kDeleteJobQueue},
    {"SubmitJob", ApiOperation::kSubmitJob},
    {"CancelJob", ApiOperation::kCancelJob},
    {"TerminateJob", ApiOperation::kTerminateJob},
    {"CancelJobs", ApiOperation::kCancelJobs},
    {"TerminateJobs", ApiOperation::kTerminateJobs},
    {"CreateSchedulingPolicy", ApiOperation::kCreateSchedulingPolicy},
    {"UpdateSchedulingPolicy", ApiOperation::kUpdateSchedulingPolicy},
    {"DeleteSchedulingPolicy", ApiOperation::kDeleteSchedulingPolicy},
    {"CreateConsumableResource", ApiOperation::kCreateConsumableResource},
    {"UpdateConsumableResource", ApiOperation::kUpdateConsumableResource},
    {"DeleteConsumableResource", ApiOperation::kDeleteConsumableResource},
    {"TagResource", ApiOperation::kTagResource},
    {"UntagResource", ApiOperation::kUntagResource},
}};

// A query that needs nothing but the engine.
template <json::object (*Of)(const json::object&, const Engine&)>
json::object of_engine(const json::object& input, const Engine& engine, Store&) {
  return Of(input, engine);
}

json::object snapshot_now(const json::object& input, const Engine& engine, Store&) {
  return engine::get_job_queue_snapshot(input, engine, base::SystemClock().now_ms());
}

struct ReadOperation {
  std::string_view name;
  Answer query;
};
constexpr std::array<ReadOperation, 12> kReads = {{
    {"DescribeJobs", engine::describe_jobs},
    {"ListJobs", engine::list_jobs},
    {"DescribeJobDefinitions", of_engine<engine::describe_job_definitions>},
    {"DescribeComputeEnvironments", of_engine<engine::describe_compute_environments>},
    {"DescribeJobQueues", of_engine<engine::describe_job_queues>},
    {"DescribeSchedulingPolicies", of_engine<engine::describe_scheduling_policies>},
    {"ListSchedulingPolicies", of_engine<engine::list_scheduling_policies>},
    {"DescribeConsumableResource", of_engine<engine::describe_consumable_resource>},
    {"ListConsumableResources", of_engine<engine::list_consumable_resources>},
    {"ListJobsByConsumableResource", of_engine<engine::list_jobs_by_consumable_resource>},
    {"GetJobQueueSnapshot", snapshot_now},
    {"ListTagsForResource", engine::list_tags_for_resource},
}};

template <typename Table>
const typename Table::value_type* find_row(const Table& table, std::string_view name) {
  for (const auto& row : table)
    if (row.name == name) return &row;
  return nullptr;
}

}  // namespace

bool BatchService::implements(std::string_view operation) {
  return find_row(kWrites, operation) || find_row(kReads, operation);
}

void BatchService::call(const aws::Operation& operation, json::object input, Reply reply) {
  if (const Write* write = find_row(kWrites, operation.name)) {
    std::string uuid = write->operation == ApiOperation::kCreateComputeEnvironment ? base::uuid4() : "";
    return driver_.post({write->operation, std::move(input), std::move(uuid)}, std::move(reply));
  }
  const ReadOperation* read = find_row(kReads, operation.name);
  if (!read)
    throw aws::ApiError(400, "ClientException",
                        std::string(operation.name) + " is not supported by this version of Millrace.");
  this->read([query = read->query, input = std::move(input)](
                 const Engine& engine, Store& store) { return query(input, engine, store); },
             std::move(reply));
}

void BatchService::explain(json::object input, Reply reply) {
  read(
      [input = std::move(input)](const Engine& engine, Store& store) {
        return engine::explain_job(input, engine, store, base::SystemClock().now_ms());
      },
      std::move(reply));
}

void BatchService::read(Query query, Reply reply) {
  auto answer = std::make_shared<Reply>(std::move(reply));
  auto run = [query = std::move(query), answer](const Engine& engine, Store& store) {
    try {
      (*answer)(query(engine, store));
    } catch (const aws::ApiError& error) {
      (*answer)(engine::Refusal{error.status, error.code(), error.what()});
    } catch (const std::exception& error) {
      (*answer)(engine::Refusal{500, "ServerException", error.what()});
    }
  };
  driver_.read(std::move(run), [answer](engine::Refusal refusal) { (*answer)(std::move(refusal)); });
}

}  // namespace millrace::services
