#include "workloads/copy/shared_place.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "objects/s3_client.h"
#include "workloads/copy/report.h"
#include "workloads/text.h"

namespace millrace::copy {
namespace {

namespace json = base::json;

constexpr int kVersion = 1;
constexpr int kCutProbes = 40;
constexpr size_t kChunkBytes = 1024 * 1024;  // of a report, read at a time
const char kPlan[] = "plan.json";

// What the shards say of one row, and what their objects add up to.
struct RowTotals {
  struct Word {
    bool failed = false;
    uint64_t objects_failed = 0;
    std::string code, broken;
  };
  std::map<uint32_t, Word> words;  // by shard: of its last attempt that came to the row's end
  std::string source, destination;
  uint64_t copied = 0, skipped = 0, deleted = 0, bytes = 0;
};

// The reason of a row's line: "1 copied, 2 skipped, 0 deleted, 3 failed; why not all of it was seen".
RowTotals::Word word_of(std::string_view action, std::string_view code, std::string_view reason) {
  RowTotals::Word word;
  word.failed = action == "row-failed";
  word.code = code;
  size_t totals = reason.find(" failed");
  if (totals == std::string_view::npos || reason.find(" copied, ") > totals) {
    word.broken = reason;
    return word;
  }
  size_t number = reason.rfind(' ', totals - 1);
  word.objects_failed =
      base::parse_number<uint64_t>(reason.substr(number + 1, totals - number - 1)).value_or(0);
  std::string_view rest = reason.substr(totals + std::string_view(" failed").size());
  if (rest.starts_with("; ")) word.broken = rest.substr(2);
  return word;
}

}  // namespace

std::string plan_text(const ShardPlan& plan) {
  json::object rows;
  for (const auto& [row, keys] : plan.cuts) {
    json::array cuts;
    for (const std::string& key : keys) cuts.push_back(json::string(workloads::storage_text(key)));
    rows[std::to_string(row)] = std::move(cuts);
  }
  return json::serialize(json::object{{"millrace_copy_plan", kVersion},
                                      {"fingerprint", plan.fingerprint},
                                      {"shards", plan.shards},
                                      {"rows", plan.rows},
                                      {"cuts", std::move(rows)}}) +
         "\n";
}

ShardPlan parse_plan(const std::string& text) {
  auto corrupt = [](const char* why) {
    return base::CorruptError(std::string("the plan of the shards cannot be read: ") + why);
  };
  json::value value = base::parse_json(base::trim(text));
  if (!value.is_object()) throw corrupt("it is no object");
  const json::object& object = value.get_object();
  if (base::find_int(object, "millrace_copy_plan") != kVersion) throw corrupt("another version wrote it");
  ShardPlan plan;
  plan.fingerprint = base::find_string(object, "fingerprint").value_or("");
  plan.shards = static_cast<uint32_t>(base::find_int(object, "shards").value_or(0));
  plan.rows = static_cast<uint64_t>(base::find_int(object, "rows").value_or(0));
  const json::object* cuts = base::find_object(object, "cuts");
  if (plan.shards == 0 || !cuts) throw corrupt("something is missing");
  for (const auto& member : *cuts) {
    auto row = base::parse_number<size_t>(std::string_view(member.key().data(), member.key().size()));
    if (!row || !member.value().is_array()) throw corrupt("a row is none");
    std::vector<std::string>& keys = plan.cuts[*row];
    for (const json::value& key : member.value().get_array()) {
      if (!key.is_string()) throw corrupt("a key is no text");
      keys.push_back(workloads::storage_bytes(base::view(key.get_string())));
    }
    if (!std::is_sorted(keys.begin(), keys.end())) throw corrupt("keys are not in order");
  }
  return plan;
}

std::vector<std::string> cut_keys(const NextKey& next_key, size_t ranges_max) {
  std::vector<std::string> cuts;
  // Every range in halves, then those, as long as any has two.
  for (bool more = true; more && cuts.size() + 1 < ranges_max;) {
    more = false;
    std::vector<std::string> found;
    for (size_t i = 0; i <= cuts.size() && cuts.size() + found.size() + 1 < ranges_max; ++i) {
      std::string after = i == 0 ? "" : cuts[i - 1], until = i == cuts.size() ? "" : cuts[i];
      auto first = next_key(after);
      if (!first || (!until.empty() && *first >= until)) continue;
      if (auto key = split_key(*first, until, next_key, kCutProbes)) found.push_back(std::move(*key));
    }
    more = !found.empty();
    cuts.insert(cuts.end(), found.begin(), found.end());
    std::sort(cuts.begin(), cuts.end());
  }
  return cuts;
}

SharedPlace::SharedPlace(std::string place) : place_(std::move(place)) {
  if (!place_.ends_with('/')) place_ += '/';
  where_ = objects::parse_location(place_);
  if (!where_.is_s3) {
    std::error_code error;
    std::filesystem::create_directories(where_.path, error);
    if (error) throw base::DeniedError("make the folder " + place_ + ": " + error.message());
  }
  reader_ = objects::open_reader(where_);
}

std::optional<std::string> SharedPlace::read(const std::string& name) const {
  std::string text;
  try {
    for_each_line(name, [&](std::string_view line) { (text += line) += '\n'; });
  } catch (const base::NotFoundError& error) {
    if (error.code() == "NoSuchBucket") throw;
    return std::nullopt;
  }
  return text;
}

void SharedPlace::for_each_line(const std::string& name,
                                const std::function<void(std::string_view)>& visit) const {
  std::string key = where_.is_s3 ? where_.path + name : name;
  std::string text(kChunkBytes, '\0'), left;
  uint64_t size = reader_->head(key).size;
  for (uint64_t at = 0; at < size;) {
    size_t n = reader_->read(key, at, text.data(), text.size(), "");
    if (n == 0) break;
    at += n;
    std::string_view fresh(text.data(), n);
    for (size_t end; (end = fresh.find('\n')) != std::string_view::npos; fresh.remove_prefix(end + 1)) {
      if (left.empty()) {
        visit(fresh.substr(0, end));
      } else {
        visit(left += fresh.substr(0, end));
        left.clear();
      }
    }
    left += fresh;
  }
  if (!left.empty()) visit(left);
}

std::optional<ShardPlan> SharedPlace::plan() const {
  auto text = read(kPlan);
  if (!text) return std::nullopt;
  return parse_plan(*text);
}

ShardPlan SharedPlace::agree(const ShardPlan& plan) const {
  std::string text = plan_text(plan);
  if (where_.is_s3) {
    objects::UploadOptions options;
    options.headers.add("Content-Type", "application/json");
    options.if_none_match = true;
    try {
      objects::open_s3(where_.bucket)->put(where_.path + kPlan, text, options);
    } catch (const base::ConflictError&) {
      // Another one was first; or this one was, and its answer was lost.
    }
  } else {
    std::string draft = at("plan.new-" + base::random_hex(8));
    base::UniqueFd file(open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        fsync(file.get()) != 0) {
      int number = errno;
      unlink(draft.c_str());
      throw base::TransientError(base::system_message("write " + at(kPlan), number));
    }
    int linked = link(draft.c_str(), at(kPlan).c_str()), number = errno;
    unlink(draft.c_str());
    if (linked != 0 && number != EEXIST)
      throw base::TransientError(base::system_message("write " + at(kPlan), number));
  }
  auto agreed = this->plan();
  if (!agreed) throw base::TransientError("the plan of the shards was removed from " + place_);
  return *agreed;
}

bool SharedPlace::all_ended(uint32_t shards) const {
  std::set<std::string> names;
  reader_->list(where_.is_s3 ? where_.path : "", [&](const objects::ObjectInfo& info) {
    names.insert(where_.is_s3 ? info.key.substr(where_.path.size()) : info.key);
    return true;
  });
  for (uint32_t i = 0; i < shards; ++i)
    if (!names.contains("shard-" + std::to_string(i) + ".json")) return false;
  return true;
}

void SharedPlace::merge(const std::string& report_place, workloads::JobResult& result) const {
  auto plan = this->plan();
  if (!plan) throw base::NotFoundError("there is no plan of shards at " + place_, "NoSuchPlan");
  result.detail("shards", plan->shards);

  // Results: what failed, and what it cost.
  std::map<std::string, int64_t> costs;
  std::set<std::string> bad_rows;
  int64_t objects_failed = 0;
  std::string missing, failed;
  for (uint32_t i = 0; i < plan->shards; ++i) {
    std::string name = "shard-" + std::to_string(i) + ".json";
    auto text = read(name);
    if (!text) {
      missing += (missing.empty() ? "" : ", ") + std::to_string(i);
      continue;
    }
    json::value value = base::parse_json(base::trim(*text));
    if (!value.is_object()) throw base::CorruptError(at(name) + " is no result");
    const json::object& object = value.get_object();
    if (auto error = base::find_string(object, "error"); error && failed.empty())
      failed = "shard " + std::to_string(i) + ": " + std::string(*error);
    if (const json::object* counts = base::find_object(object, "counts")) {
      for (const char* cost : {"requests", "retries", "throttled"})
        costs[cost] += base::find_int(*counts, cost).value_or(0);
      objects_failed += base::find_int(*counts, "failed").value_or(0);
    }
    const json::array* items = base::find_array(object, "failed");
    for (const json::value& item : items ? *items : json::array()) {
      if (!item.is_object()) continue;
      auto field = [&](const char* what) {
        return workloads::storage_bytes(std::string(base::find_string(item.get_object(), what).value_or("")));
      };
      // Every shard reads the whole list.
      if (field("code") == "BadRow" && !bad_rows.insert(field("item")).second) continue;
      result.item_failed(field("item"), field("error"), field("code"));
    }
  }
  if (!missing.empty())
    result.fail("shards without a result: " + missing);
  else if (!failed.empty())
    result.fail(failed);

  // Reports: lines of objects as they are, those of rows in one.
  std::vector<std::pair<uint32_t, std::string>> parts;
  reader_->list(where_.is_s3 ? where_.path : "", [&](const objects::ObjectInfo& info) {
    std::string name = where_.is_s3 ? info.key.substr(where_.path.size()) : info.key;
    if (name.starts_with("shard-") && name.ends_with(".jsonl"))
      if (auto shard = base::parse_number<uint32_t>(std::string_view(name).substr(6, name.find('.') - 6));
          shard && *shard < plan->shards)
        parts.emplace_back(*shard, name);
    return true;
  });
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
    // Attempts in their order: 10 behind 9.
    return std::tuple(a.first, a.second.size(), a.second) < std::tuple(b.first, b.second.size(), b.second);
  });
  Report report(report_place.empty() ? at("report.csv") : report_place, false);
  std::map<uint64_t, RowTotals> rows;
  uint64_t vanished = 0;
  for (const auto& [shard, name] : parts)
    for_each_line(name, [&, shard = shard](std::string_view text) {
      json::value value;
      try {
        value = base::parse_json(text);
      } catch (const base::CorruptError&) {
        return;  // the last line of an attempt that was killed
      }
      if (!value.is_object()) return;
      const json::object& object = value.get_object();
      auto field = [&](const char* what) { return base::find_string(object, what).value_or(""); };
      auto number = [&](const char* what) {
        return static_cast<uint64_t>(base::find_int(object, what).value_or(0));
      };
      std::string_view action = field("action");
      RowTotals& row = rows[number("row")];
      if (action == "row-done" || action == "row-failed") {
        row.source = field("source");
        row.destination = field("destination");
        row.words[shard] = word_of(action, field("code"), field("reason"));
        return;
      }
      row.copied += action == "copied";
      if (action == "copied") row.bytes += number("bytes");
      row.skipped += action == "skipped";
      row.deleted += action == "deleted";
      vanished += action == "vanished";
      report.write({number("row"), action, field("source"), field("destination"), number("bytes"),
                    field("version"), field("etag"), field("checksum"), field("code"), field("reason")});
    });

  RowTotals all;
  uint64_t done = 0, rows_failed = 0;
  for (const auto& [line, row] : rows) {
    all.copied += row.copied;
    all.skipped += row.skipped;
    all.deleted += row.deleted;
    all.bytes += row.bytes;
    if (row.words.empty()) continue;  // nobody came to its end
    RowTotals::Word whole;
    for (const auto& [shard, word] : row.words) {
      whole.failed |= word.failed;
      whole.objects_failed += word.objects_failed;
      if (whole.code.empty()) whole.code = word.code;
      if (whole.broken.empty()) whole.broken = word.broken;
    }
    ++(whole.failed ? rows_failed : done);
    std::string totals = std::to_string(row.copied) + " copied, " + std::to_string(row.skipped) +
                         " skipped, " + std::to_string(row.deleted) + " deleted, " +
                         std::to_string(whole.objects_failed) + " failed";
    if (!whole.broken.empty()) totals += "; " + whole.broken;
    report.write({line,
                  whole.failed ? "row-failed" : "row-done",
                  row.source,
                  row.destination,
                  row.bytes,
                  {},
                  {},
                  {},
                  whole.code,
                  totals});
  }
  report.finish();
  result.count("rows", static_cast<int64_t>(plan->rows));
  result.count("rows_done", static_cast<int64_t>(done));
  result.count("rows_failed", static_cast<int64_t>(rows_failed));
  result.count("copied", static_cast<int64_t>(all.copied));
  result.count("bytes_copied", static_cast<int64_t>(all.bytes));
  result.count("skipped", static_cast<int64_t>(all.skipped));
  if (vanished > 0) result.count("vanished", static_cast<int64_t>(vanished));
  result.count("deleted", static_cast<int64_t>(all.deleted));
  result.count("failed", objects_failed);
  for (const auto& [name, value] : costs) result.count(name, value);
}

}  // namespace millrace::copy
