#include "engine/queries.h"

#include <algorithm>
#include <map>
#include <queue>

#include "base/hash.h"
#include "base/strings.h"
#include "engine/reject.h"
#include "engine/resource_name.h"
#include "engine/submission.h"
#include "engine/views.h"

namespace millrace::engine {
namespace {

constexpr size_t kDescribeJobsMax = 100;
constexpr int64_t kPageMax = 100;
constexpr int64_t kListMax = 1000;
constexpr size_t kScanMax = 20'000;

std::string text(const json::object& input, std::string_view name) {
  return std::string(base::find_string(input, name).value_or(""));
}

// Tokens carry the key of the last entry of a page, in base64 so that nobody builds on them.
std::string make_token(std::string_view key) { return base::base64(key); }

std::string read_token(const json::object& input) {
  std::string token = text(input, "nextToken");
  auto key = base::unbase64(token);
  if (!key || (!token.empty() && key->empty())) throw Reject("The specified nextToken is not valid.");
  return *key;
}

int64_t page_size(const json::object& input, int64_t max) {
  auto wanted = base::find_int(input, "maxResults");
  if (!wanted) return max;
  if (*wanted < 1) throw Reject("maxResults must be at least 1.");
  return std::min(*wanted, max);
}

// ---- ListJobs
// ------------------------------------------------------------------------------------------------------

struct Filter {
  std::string name;
  std::vector<std::string> values;

  // "PREFIX*" or the whole.
  static bool matches(std::string_view pattern, std::string_view value) {
    if (!pattern.empty() && pattern.back() == '*')
      return value.substr(0, pattern.size() - 1) == pattern.substr(0, pattern.size() - 1);
    return pattern == value;
  }

  bool accepts(const Job& job, const Config& config) const {
    for (const std::string& value : values) {
      if (name == "JOB_NAME" && matches(base::to_lower(value), base::to_lower(job.name))) return true;
      if (name == "JOB_DEFINITION" &&
          (matches(value, job.definition->name) || value == job.definition->arn(config) ||
           value == job.definition->name + ":" + std::to_string(job.definition->revision)))
        return true;
      if (name == "SHARE_IDENTIFIER" && matches(value, share_identifier(job))) return true;
      if (name == "BEFORE_CREATED_AT" && job.created_at < number(value)) return true;
      if (name == "AFTER_CREATED_AT" && job.created_at > number(value)) return true;
    }
    return false;
  }

  static int64_t number(const std::string& value) {
    auto ms = base::parse_number<int64_t>(value);
    if (!ms) throw Reject("Filter value must be a time in milliseconds since the epoch: " + value);
    return *ms;
  }
};

std::optional<Filter> read_filter(const json::object& input) {
  const json::array* filters = base::find_array(input, "filters");
  if (!filters || filters->empty()) return std::nullopt;
  if (filters->size() > 1) throw Reject("Only one filter can be used at a time.");
  const json::object& given = (*filters)[0].as_object();
  Filter filter;
  filter.name = text(given, "name");
  if (const json::array* values = base::find_array(given, "values"))
    for (const json::value& value : *values) filter.values.emplace_back(base::view(value.as_string()));
  bool known = filter.name == "JOB_NAME" || filter.name == "JOB_DEFINITION" ||
               filter.name == "BEFORE_CREATED_AT" || filter.name == "AFTER_CREATED_AT" ||
               filter.name == "SHARE_IDENTIFIER";
  if (!known || filter.values.empty())
    throw Reject(
        "Filter must be one of [JOB_NAME, JOB_DEFINITION, BEFORE_CREATED_AT, AFTER_CREATED_AT, "
        "SHARE_IDENTIFIER] with at least one value.");
  if (filter.name.ends_with("CREATED_AT"))
    for (const std::string& value : filter.values) Filter::number(value);
  return filter;
}

// Collects summaries of one source, newest first, until the page is full or enough has been looked at.
class Page {
 public:
  Page(size_t size, const std::optional<Filter>& filter, const Engine& engine)
      : size_(size), filter_(filter), engine_(engine) {}

  // False: stop here; `job` was the last one looked at. One more than a page is collected: it tells whether
  // another page follows.
  bool visit(const Job& job) {
    last_ = job.seq;
    if (!filter_ || filter_->accepts(job, engine_.config()))
      found_.emplace_back(job.seq, summarize(job, engine_));
    complete_ = found_.size() <= size_ && ++looked_ < kScanMax;
    return complete_;
  }
  // Everything from `floor()` upwards has been looked at; 0: everything.
  JobSeq floor() const { return complete_ ? 0 : last_; }
  std::vector<std::pair<JobSeq, json::object>>& found() { return found_; }

 private:
  size_t size_;
  const std::optional<Filter>& filter_;
  const Engine& engine_;
  size_t looked_ = 0;
  JobSeq last_ = 0;
  bool complete_ = true;
  std::vector<std::pair<JobSeq, json::object>> found_;
};

// Walks the live jobs of `statuses` below `below`, newest first.
void walk_live(const JobQueue& queue, const std::vector<JobStatus>& statuses, JobSeq below, Page& page) {
  using Jobs = std::map<JobSeq, Job*>;
  using Range = std::pair<Jobs::const_reverse_iterator, const Jobs*>;
  auto older = [](const Range& a, const Range& b) { return a.first->first < b.first->first; };
  std::priority_queue<Range, std::vector<Range>, decltype(older)> heap(older);
  for (JobStatus status : statuses) {
    const auto& jobs = queue.jobs[static_cast<size_t>(status)];
    auto begin = below == 0 ? jobs.rbegin() : std::make_reverse_iterator(jobs.lower_bound(below));
    if (begin != jobs.rend()) heap.push({begin, &jobs});
  }
  while (!heap.empty()) {
    Range next = heap.top();
    heap.pop();
    const Job& job = *next.first->second;
    if (job.parent == 0) {
      if (!page.visit(job)) return;
      ++next.first;
    } else {  // past its siblings too, of which there may be millions: between it and the parent is nobody
              // else
      next.first = std::make_reverse_iterator(next.second->lower_bound(job.parent + 1));
    }
    if (next.first != next.second->rend()) heap.push(next);
  }
}

// The job of that id, with what keeps it alive when the engine does not; null when there is none.
struct Found {
  const Job* job = nullptr;
  std::unique_ptr<Job> owned;

  Found() = default;
  explicit Found(const Job* live) : job(live) {}
  explicit Found(std::unique_ptr<Job> made) : job(made.get()), owned(std::move(made)) {}
};

Found find_any(std::string_view id, const Engine& engine, Store& store) {
  auto seq = engine.job_seq(id);
  if (!seq) return {};
  if (const Job* job = engine.find_job(*seq)) return engine.job_id(*job) == id ? Found(job) : Found();
  if (std::unique_ptr<Job> finished = store.load_job(*seq, engine))
    return engine.job_id(*finished) == id ? Found(std::move(finished)) : Found();
  size_t colon = id.find(':');
  if (colon == std::string_view::npos) return {};
  JobSeq parent_seq = *engine.job_seq(id.substr(0, colon));
  std::unique_ptr<Job> ended;
  const Job* parent = engine.find_job(parent_seq);
  if (!parent) parent = (ended = store.load_job(parent_seq, engine)).get();
  if (!parent || !parent->array || *seq > parent_seq + static_cast<JobSeq>(parent->array->size)) return {};
  return Found(engine.unmade_child(*parent, static_cast<int32_t>(*seq - parent_seq - 1)));
}

// Children of an array job by index; the token is the index to go on with.
json::object list_children(const json::object& input, const Engine& engine, Store& store) {
  auto seq = engine.job_seq(text(input, "arrayJobId"));
  std::unique_ptr<Job> ended;
  const Job* parent = seq ? engine.find_job(*seq) : nullptr;
  if (!parent && seq) parent = (ended = store.load_job(*seq, engine)).get();
  json::object out;
  json::array summaries;
  std::string wanted = text(input, "jobStatus");
  std::optional<JobStatus> status = wanted.empty() ? JobStatus::kRunning : job_status(wanted);
  if (!status) throw Reject("jobStatus is not valid: " + wanted);
  auto size = static_cast<size_t>(page_size(input, kListMax));
  int32_t from = 0;
  if (std::string key = read_token(input); !key.empty()) {
    auto index = base::parse_number<int32_t>(key);
    if (!index || *index < 0) throw Reject("The specified nextToken is not valid.");
    from = *index;
  }
  // Of a parent that has ended so have all children.
  bool may_be = parent && parent->array && (!is_finished(parent->status) || is_finished(*status));
  if (may_be && from < parent->array->size) {
    // Of every finished child that has a row: its summary when it is wanted.
    std::map<int32_t, std::optional<json::object>> finished;
    int32_t end = parent->array->size;
    if (is_finished(*status)) {
      size_t wanted_ones = 0, looked = 0;
      store.children(*parent, from, engine, [&](const Job& child) {
        if (++looked > kScanMax) {  // enough for one answer
          end = child.index();
          return false;
        }
        std::optional<json::object>& summary = finished[child.index()];
        if (child.status != *status) return true;
        summary = summarize(child, engine);
        if (++wanted_ones <= size) return true;
        end = child.index();
        return false;
      });
    }
    for (int32_t index = from; index < end; ++index) {
      std::optional<json::object> summary;
      if (auto done = finished.find(index); done != finished.end()) {
        summary = std::move(done->second);
      } else if (!is_finished(parent->status) && parent->array->at(index) != ArrayState::kUnmade) {
        const Job* child = engine.find_job(parent->child(index));
        if (child && child->status == *status) summary = summarize(*child, engine);
      } else if (Engine::unmade_status(*parent, index) == *status) {
        summary = summarize(*engine.unmade_child(*parent, index), engine);
      }
      if (!summary) continue;
      if (summaries.size() == size) {
        out["nextToken"] = make_token(std::to_string(index));
        break;
      }
      summaries.push_back(std::move(*summary));
    }
    if (!out.contains("nextToken") && end < parent->array->size)
      out["nextToken"] = make_token(std::to_string(end));
  }
  out["jobSummaryList"] = std::move(summaries);
  return out;
}

}  // namespace

json::object list_jobs(const json::object& input, const Engine& engine, Store& store) {
  std::string queue_name = text(input, "jobQueue");
  int given = !queue_name.empty() + input.contains("arrayJobId") + input.contains("multiNodeJobId");
  if (given != 1) throw Reject("Exactly one of jobQueue, arrayJobId and multiNodeJobId must be given.");
  json::object out;
  json::array summaries;
  if (input.contains("arrayJobId")) return list_children(input, engine, store);
  if (queue_name.empty()) {
    out["jobSummaryList"] = std::move(summaries);
    return out;
  }
  JobQueue* queue = engine.find_queue(queue_name);
  if (!queue) throw Reject("JobQueue " + queue_name + " not found.");
  std::optional<Filter> filter = read_filter(input);
  std::optional<JobStatus> status;
  if (!filter || (filter->name == "SHARE_IDENTIFIER" && input.contains("jobStatus"))) {
    std::string name = text(input, "jobStatus");
    status = name.empty() ? JobStatus::kRunning : job_status(name);
    if (!status) throw Reject("jobStatus is not valid: " + name);
  }
  JobSeq below = 0;
  if (std::string key = read_token(input); !key.empty()) {
    auto seq = base::parse_number<JobSeq>(key);
    if (!seq || *seq == 0) throw Reject("The specified nextToken is not valid.");
    below = *seq;
  }
  auto size = static_cast<size_t>(page_size(input, filter ? kPageMax : kListMax));

  Page live(size, filter, engine), finished(size, filter, engine);
  std::vector<JobStatus> live_statuses;
  for (size_t i = 0; i < static_cast<size_t>(JobStatus::kSucceeded); ++i)
    if (!status || *status == static_cast<JobStatus>(i)) live_statuses.push_back(static_cast<JobStatus>(i));
  walk_live(*queue, live_statuses, below, live);
  if (!status || is_finished(*status))
    store.finished_jobs(queue->number, status, below, engine,
                        [&](const Job& job) { return finished.visit(job); });

  auto& all = live.found();
  std::move(finished.found().begin(), finished.found().end(), std::back_inserter(all));
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  // Below the higher of the two floors one of the sources has not been looked at yet.
  JobSeq floor = std::max(live.floor(), finished.floor());
  for (auto& [seq, summary] : all) {
    if (seq < floor) break;
    if (summaries.size() == size) {
      floor = std::max<JobSeq>(floor, seq + 1);
      break;
    }
    summaries.push_back(std::move(summary));
  }
  if (floor > 1) out["nextToken"] = make_token(std::to_string(floor));
  out["jobSummaryList"] = std::move(summaries);
  return out;
}

json::object describe_jobs(const json::object& input, const Engine& engine, Store& store) {
  const json::array& ids = input.at("jobs").as_array();
  if (ids.size() > kDescribeJobsMax) throw Reject("Maximum number of jobs supported is  100");
  json::array jobs;
  for (const json::value& id : ids)
    if (Found found = find_any(base::view(id.as_string()), engine, store); found.job)
      jobs.push_back(describe(*found.job, engine));
  return {{"jobs", std::move(jobs)}};
}

json::object explain_job(const json::object& input, const Engine& engine, Store& store, TimeMs now) {
  std::string id = text(input, "jobId");
  Found found = find_any(id, engine, store);
  if (!found.job) throw Reject("Job " + id + " not found.");
  return engine.explain(*found.job, now);
}

// ---- definitions, environments, queues
// -----------------------------------------------------------------------------

json::object describe_job_definitions(const json::object& input, const Engine& engine) {
  json::array shown;
  json::object out;
  if (const json::array* names = base::find_array(input, "jobDefinitions"); names && !names->empty()) {
    if (input.contains("jobDefinitionName") || input.contains("status"))
      throw Reject("jobDefinitions cannot be used together with other parameters.");
    for (const json::value& name : *names)
      if (const JobDefinition* definition = engine.find_definition(base::view(name.as_string())))
        shown.push_back(describe(*definition, engine.config()));
    out["jobDefinitions"] = std::move(shown);
    return out;
  }
  std::string only = text(input, "jobDefinitionName"), status = text(input, "status");
  auto size = static_cast<size_t>(page_size(input, kPageMax));
  std::string after = read_token(input);  // "name:revision"
  std::string after_name = after.substr(0, after.find(':'));
  int64_t after_revision =
      after.empty()
          ? 0
          : base::parse_number<int64_t>(std::string_view(after).substr(after.find(':') + 1)).value_or(0);
  const auto& all = engine.definitions();
  for (auto it = all.lower_bound(std::max(only, after_name)); it != all.end(); ++it) {
    if (!only.empty() && it->first != only) break;
    for (const auto& [revision, definition] : it->second) {
      if (!after.empty() && it->first == after_name && revision <= after_revision) continue;
      if (!status.empty() && status != (definition->active ? "ACTIVE" : "INACTIVE")) continue;
      if (shown.size() == size) {
        const json::object& last = shown.back().as_object();
        out["nextToken"] = make_token(std::string(base::find_string(last, "jobDefinitionName").value_or("")) +
                                      ":" + std::to_string(base::find_int(last, "revision").value_or(0)));
        out["jobDefinitions"] = std::move(shown);
        return out;
      }
      shown.push_back(describe(*definition, engine.config()));
    }
  }
  out["jobDefinitions"] = std::move(shown);
  return out;
}

namespace {

// Pages through a map of names, or shows the named ones; `find` gives a thing or null, `get` one from a map
// entry.
template <typename Map, typename Find, typename Get>
json::object describe_named(const json::object& input, const char* list, const Map& all, const Config& config,
                            const Find& find, const Get& get) {
  json::object out;
  json::array shown;
  if (const json::array* names = base::find_array(input, list); names && !names->empty()) {
    for (const json::value& name : *names)
      if (const auto* thing = find(base::view(name.as_string()))) shown.push_back(describe(*thing, config));
    out[list] = std::move(shown);
    return out;
  }
  auto size = static_cast<size_t>(page_size(input, kPageMax));
  std::string after = read_token(input);
  for (auto it = all.upper_bound(after); it != all.end(); ++it) {
    if (shown.size() == size) {
      out["nextToken"] = make_token(std::prev(it)->first);
      break;
    }
    shown.push_back(describe(*get(*it), config));
  }
  out[list] = std::move(shown);
  return out;
}

}  // namespace

json::object describe_compute_environments(const json::object& input, const Engine& engine) {
  return describe_named(
      input, "computeEnvironments", engine.environments(), engine.config(),
      [&](std::string_view name) { return engine.find_environment(name); },
      [](const auto& entry) { return entry.second.get(); });
}

json::object describe_job_queues(const json::object& input, const Engine& engine) {
  return describe_named(
      input, "jobQueues", engine.queues(), engine.config(),
      [&](std::string_view name) { return engine.find_queue(name); },
      [](const auto& entry) { return entry.second; });
}

json::object describe_scheduling_policies(const json::object& input, const Engine& engine) {
  const json::array& arns = input.at("arns").as_array();
  if (arns.size() > static_cast<size_t>(kPageMax)) throw Reject("At most 100 arns can be described at once.");
  json::array shown;
  for (const json::value& arn : arns)
    if (const SchedulingPolicy* policy = engine.find_policy(base::view(arn.as_string())))
      shown.push_back(describe(*policy, engine.config()));
  return {{"schedulingPolicies", std::move(shown)}};
}

json::object list_scheduling_policies(const json::object& input, const Engine& engine) {
  json::object out;
  json::array shown;
  auto size = static_cast<size_t>(page_size(input, kPageMax));
  const auto& all = engine.policies();
  for (auto it = all.upper_bound(read_token(input)); it != all.end(); ++it) {
    if (shown.size() == size) {
      out["nextToken"] = make_token(std::prev(it)->first);
      break;
    }
    shown.push_back(json::object{{"arn", it->second->arn(engine.config())}});
  }
  out["schedulingPolicies"] = std::move(shown);
  return out;
}

json::object describe_consumable_resource(const json::object& input, const Engine& engine) {
  std::string wanted = text(input, "consumableResource");
  const ConsumableResource* resource = engine.find_consumable(resource_name(wanted, "consumable-resource"));
  if (!resource) throw Reject("ConsumableResource " + wanted + " not found.");
  return describe(*resource, engine.config());
}

json::object list_consumable_resources(const json::object& input, const Engine& engine) {
  std::vector<std::string> patterns;
  if (const json::array* filters = base::find_array(input, "filters"))
    for (const json::value& value : *filters) {
      const json::object& filter = value.as_object();
      if (text(filter, "name") != "CONSUMABLE_RESOURCE_NAME")
        throw Reject("Filter must be one of [CONSUMABLE_RESOURCE_NAME].");
      if (const json::array* values = base::find_array(filter, "values"))
        for (const json::value& pattern : *values)
          patterns.push_back(base::to_lower(base::view(pattern.as_string())));
    }
  json::object out;
  json::array shown;
  auto size = static_cast<size_t>(page_size(input, kPageMax));
  const auto& all = engine.consumables();
  for (auto it = all.upper_bound(read_token(input)); it != all.end(); ++it) {
    const ConsumableResource& resource = *it->second;
    std::string name = base::to_lower(resource.name);
    if (!patterns.empty() && std::none_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
          return Filter::matches(pattern, name);
        }))
      continue;
    if (shown.size() == size) {
      out["nextToken"] = make_token(shown.back().as_object().at("consumableResourceName").as_string());
      break;
    }
    shown.push_back({{"consumableResourceArn", resource.arn(engine.config())},
                     {"consumableResourceName", resource.name},
                     {"totalQuantity", resource.total},
                     {"inUseQuantity", resource.in_use()},
                     {"resourceType", resource.replenishable ? "REPLENISHABLE" : "NON_REPLENISHABLE"}});
  }
  out["consumableResources"] = std::move(shown);
  return out;
}

// Jobs that have not ended and name the resource, oldest first.
json::object list_jobs_by_consumable_resource(const json::object& input, const Engine& engine) {
  std::string wanted = text(input, "consumableResource");
  const ConsumableResource* resource = engine.find_consumable(resource_name(wanted, "consumable-resource"));
  if (!resource) throw Reject("ConsumableResource " + wanted + " not found.");
  std::vector<std::string> statuses, names;
  if (const json::array* filters = base::find_array(input, "filters"))
    for (const json::value& value : *filters) {
      const json::object& filter = value.as_object();
      std::string name = text(filter, "name");
      if (name != "JOB_STATUS" && name != "JOB_NAME")
        throw Reject("Filter must be one of [JOB_STATUS, JOB_NAME].");
      if (const json::array* values = base::find_array(filter, "values"))
        for (const json::value& wanted_value : *values)
          (name == "JOB_STATUS" ? statuses : names).emplace_back(base::view(wanted_value.as_string()));
    }
  JobSeq after = 0;
  if (std::string key = read_token(input); !key.empty()) {
    auto seq = base::parse_number<JobSeq>(key);
    if (!seq) throw Reject("The specified nextToken is not valid.");
    after = *seq;
  }
  auto accepts = [&](const Job& job) {
    std::string lower = base::to_lower(job.name);
    bool status =
        statuses.empty() || std::find(statuses.begin(), statuses.end(), name(job.status)) != statuses.end();
    return status &&
           (names.empty() || std::any_of(names.begin(), names.end(), [&](const std::string& pattern) {
              return Filter::matches(base::to_lower(pattern), lower);
            }));
  };
  json::object out;
  json::array shown;
  auto size = static_cast<size_t>(page_size(input, kPageMax));
  size_t looked = 0;
  for (auto it = resource->jobs.upper_bound(after); it != resource->jobs.end(); ++it) {
    const Job& job = *engine.find_job(*it);
    bool enough = ++looked > kScanMax;
    if (!enough && !accepts(job)) continue;
    if (enough || shown.size() == size) {
      out["nextToken"] = make_token(std::to_string(*it - 1));
      break;
    }
    json::object summary = summarize(job, engine);
    json::object entry{{"jobArn", summary.at("jobArn")},
                       {"jobQueueArn", job.queue->arn(engine.config())},
                       {"jobName", job.name},
                       {"jobDefinitionArn", summary.at("jobDefinition")},
                       {"jobStatus", name(job.status)},
                       {"createdAt", job.created_at},
                       {"consumableResourceProperties", effective_job(job).consumables}};
    for (const auto& [named, quantity] : *job.needs)
      if (named == resource) entry["quantity"] = quantity;
    for (const char* member : {"shareIdentifier", "statusReason", "startedAt"})
      if (const json::value* value = base::find(summary, member)) entry[member] = *value;
    shown.push_back(std::move(entry));
  }
  out["jobs"] = std::move(shown);
  return out;
}

json::object list_tags_for_resource(const json::object& input, const Engine& engine, Store& store) {
  std::string arn = text(input, "resourceArn");
  if (arn.substr(0, 4) != "arn:") throw Reject("Resource not found: " + arn);
  if (const JobQueue* queue = engine.find_queue(arn)) return {{"tags", queue->tags}};
  if (const ComputeEnvironment* environment = engine.find_environment(arn))
    return {{"tags", environment->tags}};
  if (const SchedulingPolicy* policy = engine.find_policy(arn)) return {{"tags", policy->tags}};
  if (const ConsumableResource* resource = engine.find_consumable(arn)) return {{"tags", resource->tags}};
  if (const JobDefinition* definition = engine.find_definition(arn)) return {{"tags", definition->tags}};
  if (size_t at = arn.find(":job/"); at != std::string::npos)
    if (auto seq = engine.job_seq(std::string_view(arn).substr(at + 5))) {
      std::unique_ptr<Job> finished;
      const Job* job = engine.find_job(*seq);
      if (!job) {
        finished = store.load_job(*seq, engine);
        job = finished.get();
      }
      if (job) return {{"tags", job->tags ? *job->tags : json::object()}};
    }
  throw Reject("Resource not found: " + arn);
}

}  // namespace millrace::engine
