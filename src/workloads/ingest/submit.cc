#include "workloads/ingest/submit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "http/client.h"
#include "objects/new_object.h"
#include "workloads/ingest/outcome.h"
#include "workloads/ingest/preflight.h"
#include "workloads/result.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

namespace json = base::json;

constexpr uint64_t kArrayMax = 10'000;  // children of an array job, Batch's own limit
constexpr size_t kNameMax = 128;        // characters of a job name
constexpr std::chrono::milliseconds kConnectTime{10'000};

json::string json_text(std::string_view bytes) { return json::string(workloads::storage_text(bytes)); }

// Reads the list once: its rows, its digest, and a copy of it in an unnamed file.
Checked check(const SubmitOptions& options, const std::shared_ptr<http::Client>& client, std::FILE* copy,
              workloads::JobResult& result) {
  Checked checked;
  std::map<std::pair<std::string, uint16_t>, uint64_t> endpoints;  // and the first row that leads there
  auto problem = [&](const RowProblem& found) {
    ++checked.problem_count;
    if (checked.problems.size() < Checked::kProblemsShown) checked.problems.push_back(found);
    result.item_failed("row " + std::to_string(found.row), found.what, found.code);
  };
  RepositoryListReader reader([&](const Repository& row, uint64_t duplicate_of, const RowProblem* bad) {
    if (bad) return problem(*bad);
    if (duplicate_of != 0) ++checked.duplicates;
    if (!options.preflight) return;
    if (auto endpoint = endpoint_of(row.clone_url)) endpoints.emplace(*endpoint, row.row);
  });
  base::Digest digest(base::Digest::Algorithm::kSha256);
  read_list(options.list, client, [&](std::string_view bytes) {
    digest.update(bytes);
    if (std::fwrite(bytes.data(), 1, bytes.size(), copy) != bytes.size())
      throw base::TransientError(base::system_message("keep a copy of the list in a temporary file", errno));
    reader.feed(bytes);
  });
  reader.finish();
  checked.rows = reader.rows();
  checked.sha256 = base::hex(digest.finish());
  std::set<std::pair<std::string, uint16_t>> asked;
  for (const auto& [endpoint, row] : endpoints) asked.insert(endpoint);
  for (const Unreachable& host : find_unreachable(asked, kConnectTime))
    problem({endpoints.at({host.host, host.port}), 0, "unreachable",
             fmt::format("{}:{} cannot be reached: {}", host.host, host.port, host.why)});
  return checked;
}

std::string store(const SubmitOptions& options, const Checked& checked, std::FILE* copy) {
  std::string place = options.store;
  while (place.size() > 1 && place.ends_with('/')) place.pop_back();
  place += "/" + checked.sha256 + ".csv";
  objects::Location location = objects::parse_location(place);
  if (!location.is_s3) {
    location.path = std::filesystem::absolute(location.path).lexically_normal().string();
    std::filesystem::create_directories(std::filesystem::path(location.path).parent_path());
    place = location.path;
  }
  objects::NewObject object(location, "text/csv");
  std::rewind(copy);
  std::string buffer(64 * 1024, '\0');
  for (size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), copy)) > 0;)
    object.write({buffer.data(), n});
  if (std::ferror(copy)) throw base::TransientError("the copy of the list cannot be read again");
  object.publish();
  return place;
}

// What is the same for submissions that are the same.
std::string fingerprint(const SubmitOptions& options, const Checked& checked) {
  std::string text = checked.sha256;
  auto add = [&](std::string_view part) { text += "\n" + std::string(part); };
  add(std::to_string(options.partition_size));
  add(options.compat ? "compat" : "array");
  add(options.job_name);
  add(options.job_queue);
  add(options.job_definition);
  add(options.token);
  for (const auto& [name, value] : options.parameters) add(name + "=" + value);
  return base::sha256_hex(text).substr(0, 12);
}

// Jobs of that name that have not failed, whatever else they are.
std::string find_job(const BatchCall& batch, const std::string& queue, const std::string& name) {
  std::string token;
  do {
    json::object input{
        {"jobQueue", queue},
        {"filters", json::array{json::object{{"name", "JOB_NAME"}, {"values", json::array{name}}}}}};
    if (!token.empty()) input["nextToken"] = token;
    json::object answer = batch("listjobs", input);
    if (const json::array* jobs = base::find_array(answer, "jobSummaryList"))
      for (const json::value& value : *jobs) {
        const json::object* job = value.if_object();
        if (!job) continue;
        auto status = base::find_string(*job, "status"), id = base::find_string(*job, "jobId");
        if (id && status && *status != "FAILED" && base::find_string(*job, "jobName").value_or("") == name)
          return std::string(*id);
      }
    token = base::find_string(answer, "nextToken").value_or("");
  } while (!token.empty());
  return "";
}

void check_name(const std::string& name) {
  bool fine = !name.empty() && name.size() <= kNameMax && std::isalnum(static_cast<unsigned char>(name[0])) &&
              std::all_of(name.begin(), name.end(),
                          [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; });
  if (!fine)
    throw base::UsageError("'" + name + "' is no name for a job: letters, digits, '-' and '_', at most 128");
}

}  // namespace

std::vector<Range> partitions(uint64_t rows, uint64_t size) {
  if (size == 0) throw base::UsageError("a partition must have at least one row");
  std::vector<Range> ranges;
  for (uint64_t first = 1; first <= rows; first += std::min(size, rows))
    ranges.push_back({first, rows - first < size ? rows : first + size - 1});
  return ranges;
}

void run_submit(const SubmitOptions& options, const std::shared_ptr<http::Client>& client,
                const BatchCall& batch, workloads::JobResult& result) {
  if (options.partition_size == 0) throw base::UsageError("--partition-size must be at least 1");
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> copy(std::tmpfile(), std::fclose);
  if (!copy) throw base::TransientError(base::system_message("make a temporary file", errno));
  Checked checked = check(options, client, copy.get(), result);
  result.detail("list", json_text(without_credentials(options.list)));
  result.detail("sha256", json_text(checked.sha256));
  result.detail("rows", checked.rows);
  result.detail("duplicates", checked.duplicates);
  if (checked.rows == 0) throw base::CorruptError("the list has no rows");
  if (checked.problem_count > 0 && !options.allow_problems) {
    result.fail(fmt::format(
        "{} rows of {} cannot be done as they stand; nothing was submitted (--allow-problems submits "
        "all the same)",
        checked.problem_count, checked.rows));
    return;
  }
  // As the original counts: both ends are in the range, so that one more row fits.
  std::vector<Range> ranges = partitions(checked.rows, options.partition_size + (options.compat ? 1 : 0));
  result.detail("partitions", ranges.size());
  if (!options.compat && ranges.size() > kArrayMax)
    throw base::UsageError(
        fmt::format("{} rows in partitions of {} are {} children; Batch allows {}: give "
                    "--partition-size {} or more",
                    checked.rows, options.partition_size, ranges.size(), kArrayMax,
                    (checked.rows + kArrayMax - 1) / kArrayMax));
  const std::string name = options.job_name + "-" + fingerprint(options, checked);
  check_name(options.compat ? name + "-10000000-10000000" : name);
  if (options.dry_run) {
    result.detail("dry_run", true);
    result.detail("job_name", json_text(name));
    return;
  }
  const std::string list = store(options, checked, copy.get());
  result.detail("snapshot", json_text(list));

  json::array jobs;
  auto submit = [&](const std::string& job_name, json::object parameters, uint64_t children) {
    if (!options.again)
      if (std::string id = find_job(batch, options.job_queue, job_name); !id.empty()) {
        result.count("found");
        jobs.push_back(json::object{{"jobId", id}, {"jobName", job_name}, {"found", true}});
        return;
      }
    for (const auto& [parameter, value] : options.parameters) parameters[parameter] = value;
    json::object input{{"jobName", job_name},
                       {"jobQueue", options.job_queue},
                       {"jobDefinition", options.job_definition},
                       {"parameters", std::move(parameters)}};
    if (children > 1) input["arrayProperties"] = json::object{{"size", children}};
    json::object answer = batch("submitjob", input);
    auto id = base::find_string(answer, "jobId");
    if (!id) throw base::CorruptError("Batch answers a submission without a job id");
    result.count("submitted");
    jobs.push_back(json::object{{"jobId", *id}, {"jobName", job_name}});
  };
  auto tell = [&] { result.detail("jobs", jobs); };
  try {
    if (!options.compat) {
      submit(name, {{"list", json_text(list)}, {"partitionSize", std::to_string(options.partition_size)}},
             ranges.size());
    } else {
      for (const Range& range : ranges)
        submit(fmt::format("{}-{}-{}", name, range.first, range.last),
               {{"Start", std::to_string(range.first)}, {"End", std::to_string(range.last)}}, 1);
    }
  } catch (...) {
    tell();  // what was submitted is known: the same command finds it and submits the rest
    throw;
  }
  tell();
}

}  // namespace millrace::ingest
