#include "engine/snapshot.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/reject.h"
#include "engine/resource_name.h"

namespace millrace::engine {
namespace {

constexpr size_t kFrontMax = 100;
constexpr size_t kTopSharesMax = 20;

json::array in_vcpus(int64_t milli) {
  json::array out;
  out.push_back(json::object{{"capacityUnit", "VCPU"}, {"quantity", static_cast<double>(milli) / 1000}});
  return out;
}

json::array front_of(const JobQueue& queue, const Engine& engine, TimeMs now) {
  json::array front;
  auto show = [&](const std::string& id, TimeMs created_at) {
    front.push_back({{"jobArn", engine.config().arn("job/" + id)},
                     {"earliestTimeAtPosition", std::max(created_at, queue.moved_at)}});
  };
  LineWalk walk(queue.line, now, engine.mean_length_s());
  while (front.size() < kFrontMax) {
    const Job* job = walk.next();
    if (!job) break;
    if (!job->array) {
      show(engine.job_id(*job), job->created_at);
      continue;
    }
    // Of a sequential array only the next child can start.
    int32_t end = job->array->sequential ? job->array->next + 1 : job->array->limit;
    for (int32_t index = job->array->next; index < end && front.size() < kFrontMax; ++index)
      if (job->array->at(index) == ArrayState::kUnmade)
        show(fmt::format("{}:{}", engine.job_id(*job), index), job->created_at);
  }
  return front;
}

}  // namespace

json::object get_job_queue_snapshot(const json::object& input, const Engine& engine, TimeMs now) {
  std::string wanted(base::find_string(input, "jobQueue").value_or(""));
  const JobQueue* queue = engine.find_queue(resource_name(wanted, "job-queue"));
  if (!queue) throw Reject("JobQueue " + wanted + " not found.");
  std::vector<const Share*> shares;
  int64_t running = 0;
  for (const auto& share : queue->line.shares()) {
    running += share->running_milli;
    shares.push_back(share.get());
  }
  json::object utilization{{"totalCapacityUsage", in_vcpus(running)}, {"lastUpdatedAt", now}};
  if (queue->line.policy()) {
    std::erase_if(shares, [](const Share* share) { return share->running_milli == 0; });
    std::sort(shares.begin(), shares.end(), [](const Share* a, const Share* b) {
      return a->running_milli != b->running_milli ? a->running_milli > b->running_milli
                                                  : a->identifier < b->identifier;
    });
    json::array top;
    for (size_t i = 0; i < std::min(shares.size(), kTopSharesMax); ++i)
      top.push_back({{"shareIdentifier", shares[i]->identifier},
                     {"capacityUsage", in_vcpus(shares[i]->running_milli)}});
    utilization["fairshareUtilization"] = {{"activeShareCount", queue->line.active_shares(now)},
                                           {"topCapacityUtilization", std::move(top)}};
  }
  return {{"frontOfQueue", {{"jobs", front_of(*queue, engine, now)}, {"lastUpdatedAt", now}}},
          {"queueUtilization", std::move(utilization)}};
}

}  // namespace millrace::engine
