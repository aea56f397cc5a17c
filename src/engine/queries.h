// The reading operations of AWS Batch: Describe… and List….
#pragma once

#include "base/json.h"
#include "engine/engine.h"
#include "engine/store.h"

namespace millrace::engine {

// Input and output are those of the operation of the same name (Batch API reference). Throw Reject. Pages are
// by key, never by offset; a page of ListJobs looks at no more than 20,000 jobs and may therefore be short,
// or empty, and still have a nextToken, as AWS documents it.
json::object describe_jobs(const json::object& input, const Engine& engine, Store& store);
json::object list_jobs(const json::object& input, const Engine& engine, Store& store);
// Engine::explain() of the job `jobId`. `now`: ms since the epoch.
json::object explain_job(const json::object& input, const Engine& engine, Store& store, TimeMs now);
json::object describe_job_definitions(const json::object& input, const Engine& engine);
json::object describe_compute_environments(const json::object& input, const Engine& engine);
json::object describe_job_queues(const json::object& input, const Engine& engine);
json::object describe_scheduling_policies(const json::object& input, const Engine& engine);
json::object list_scheduling_policies(const json::object& input, const Engine& engine);
json::object describe_consumable_resource(const json::object& input, const Engine& engine);
json::object list_consumable_resources(const json::object& input, const Engine& engine);
json::object list_jobs_by_consumable_resource(const json::object& input, const Engine& engine);
json::object list_tags_for_resource(const json::object& input, const Engine& engine, Store& store);

}  // namespace millrace::engine
