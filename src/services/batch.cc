#include "services/batch.h"

#include <array>

#include "aws/api_error.h"
#include "base/random.h"
#include "engine/queries.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using engine::ApiOperation;
using engine::Engine;
using engine::Store;
using Query = json::object (*)(const json::object& input, const Engine& engine, Store& store);

struct Write {
  std::string_view name;
  ApiOperation operation;
};
constexpr std::array<Write, 15> kWrites = {{
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
    {"TagResource", ApiOperation::kTagResource},
    {"UntagResource", ApiOperation::kUntagResource},
}};

struct ReadOperation {
  std::string_view name;
  Query query;
};
constexpr std::array<ReadOperation, 6> kReads = {{
    {"DescribeJobs", engine::describe_jobs},
    {"ListJobs", engine::list_jobs},
    {"DescribeJobDefinitions", [](const json::object& input, const Engine& e,
                                  Store&) { return engine::describe_job_definitions(input, e); }},
    {"DescribeComputeEnvironments", [](const json::object& input, const Engine& e,
                                       Store&) { return engine::describe_compute_environments(input, e); }},
    {"DescribeJobQueues", [](const json::object& input, const Engine& e,
                             Store&) { return engine::describe_job_queues(input, e); }},
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
  auto answer = std::make_shared<Reply>(std::move(reply));
  auto run = [query = read->query, input = std::move(input), answer](const Engine& engine, Store& store) {
    try {
      (*answer)(query(input, engine, store));
    } catch (const aws::ApiError& error) {
      (*answer)(engine::Refusal{error.status, error.code(), error.what()});
    } catch (const std::exception& error) {
      (*answer)(engine::Refusal{500, "ServerException", error.what()});
    }
  };
  driver_.read(std::move(run), [answer](engine::Refusal refusal) { (*answer)(std::move(refusal)); });
}

}  // namespace millrace::services
