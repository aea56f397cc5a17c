#include "workloads/ingest/outcome.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/strings.h"
#include "workloads/ingest/repository.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

namespace json = base::json;

constexpr std::array<std::string_view, kSteps> kStepNames{"check",    "clone",     "build",
                                                          "snapshot", "inventory", "publish"};
constexpr std::array<std::string_view, 6> kStatusNames{"published", "unchanged", "failed",
                                                       "timed-out", "stopped",   "lost"};
constexpr std::array<std::string_view, 6> kOwnColumns{"cloneUrl", "branch",    "origin",
                                                      "path",     "changeset", "publishUri"};
// Which of the lock's columns hold the times of the steps, in their order.
constexpr std::array<std::string_view, kSteps> kStepColumns{"checkMs",    "cloneMs",     "buildMs",
                                                            "snapshotMs", "inventoryMs", "publishMs"};

template <typename Enum, size_t N>
Enum named(const std::array<std::string_view, N>& names, std::string_view text, const char* what) {
  auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) throw base::CorruptError("'" + workloads::printable(text) + "' is no " + what);
  return static_cast<Enum>(found - names.begin());
}

std::string text(const json::object& object, std::string_view name) {
  return workloads::storage_bytes(base::find_string(object, name).value_or(""));
}

json::string json_text(std::string_view bytes) { return json::string(workloads::storage_text(bytes)); }

// The text of a column, or nothing where it is one of the input's.
std::optional<std::string> own_value(const Outcome& outcome, std::string_view name) {
  if (name == "cloneUrl") return outcome.clone_url;
  if (name == "branch") return outcome.branch.empty() ? outcome.wanted_branch : outcome.branch;
  if (name == "origin") return outcome.origin;
  if (name == "path") return outcome.path;
  if (name == "changeset" && !outcome.changeset.empty()) return outcome.changeset;
  if (name == "publishUri" && !outcome.publish_uri.empty()) return outcome.publish_uri;
  return std::nullopt;
}

std::optional<std::string> lock_value(const Outcome& outcome, std::string_view name) {
  if (name == "row") return std::to_string(outcome.row);
  if (name == "outcome") return std::string(to_text(outcome.status));
  if (name == "step") return outcome.failed() ? std::string(to_text(outcome.step)) : "";
  if (name == "code") return outcome.code;
  if (name == "reason") return outcome.reason;
  if (name == "build") return outcome.build;
  if (name == "startedAt") return outcome.started == 0 ? "" : base::iso8601(outcome.started, true);
  if (name == "durationMs") return std::to_string(outcome.finished - outcome.started);
  if (name == "attempts") return std::to_string(outcome.attempts);
  if (name == "files") return std::to_string(outcome.files);
  if (name == "treeBytes") return std::to_string(outcome.tree_bytes);
  if (name == "publishedBytes") return std::to_string(outcome.published_bytes);
  if (name == "snapshotSha256") return outcome.snapshot_sha256;
  if (name == "logUri") return outcome.log_uri;
  for (size_t i = 0; i < kSteps; ++i)
    if (name == kStepColumns[i]) return outcome.step_ms[i] < 0 ? "" : std::to_string(outcome.step_ms[i]);
  return std::nullopt;
}

}  // namespace

std::string_view to_text(Step step) { return kStepNames.at(static_cast<size_t>(step)); }
std::string_view to_text(Status status) { return kStatusNames.at(static_cast<size_t>(status)); }

Outcome outcome_of(const Repository& repository) {
  Outcome outcome;
  outcome.row = repository.row;
  // A URL in the wrong column is no name of a repository, but may have a login in it all the same.
  outcome.origin = without_credentials(repository.origin);
  outcome.path = without_credentials(repository.path);
  outcome.clone_url = without_credentials(repository.clone_url);
  outcome.wanted_branch = repository.branch;
  outcome.columns = repository.columns;
  outcome.step_ms.fill(-1);
  for (auto& [name, value] : outcome.columns)
    if (value.find("://") != std::string::npos) value = without_credentials(value);
  return outcome;
}

json::object to_json(const Outcome& outcome) {
  json::object object;
  object["row"] = outcome.row;
  object["origin"] = json_text(outcome.origin);
  object["path"] = json_text(outcome.path);
  object["cloneUrl"] = json_text(outcome.clone_url);
  object["branch"] = json_text(outcome.branch);
  object["wantedBranch"] = json_text(outcome.wanted_branch);
  object["changeset"] = json_text(outcome.changeset);
  object["outcome"] = to_text(outcome.status);
  object["step"] = to_text(outcome.step);
  if (!outcome.code.empty()) object["code"] = json_text(outcome.code);
  if (!outcome.reason.empty()) object["reason"] = json_text(outcome.reason);
  json::object steps;
  for (size_t i = 0; i < kSteps; ++i)
    if (outcome.step_ms[i] >= 0) steps[kStepNames[i]] = outcome.step_ms[i];
  object["stepMs"] = std::move(steps);
  object["attempts"] = outcome.attempts;
  if (outcome.started != 0) object["startedAt"] = base::iso8601(outcome.started, true);
  if (outcome.finished != 0) object["finishedAt"] = base::iso8601(outcome.finished, true);
  object["build"] = json_text(outcome.build);
  object["buildKey"] = outcome.build_key;
  object["files"] = outcome.files;
  object["treeBytes"] = outcome.tree_bytes;
  object["publishedBytes"] = outcome.published_bytes;
  object["snapshotSha256"] = outcome.snapshot_sha256;
  object["publishUri"] = json_text(outcome.publish_uri);
  object["logUri"] = json_text(outcome.log_uri);
  json::object columns;
  for (const auto& [name, value] : outcome.columns) columns[json_text(name)] = json_text(value);
  object["columns"] = std::move(columns);
  return object;
}

Outcome outcome_from_json(const json::object& object) {
  Outcome outcome;
  auto number = [&](std::string_view name) {
    auto value = base::find_int(object, name);
    return value && *value > 0 ? static_cast<uint64_t>(*value) : 0;
  };
  auto time = [&](std::string_view name) {
    auto value = base::find_string(object, name);
    return value ? base::parse_iso8601(*value).value_or(0) : 0;
  };
  if (!base::find_string(object, "outcome")) throw base::CorruptError("no outcome of a repository");
  outcome.row = number("row");
  outcome.origin = text(object, "origin");
  outcome.path = text(object, "path");
  outcome.clone_url = text(object, "cloneUrl");
  outcome.branch = text(object, "branch");
  outcome.wanted_branch = text(object, "wantedBranch");
  outcome.changeset = text(object, "changeset");
  outcome.status = named<Status>(kStatusNames, text(object, "outcome"), "outcome");
  outcome.step = named<Step>(kStepNames, text(object, "step"), "step");
  outcome.code = text(object, "code");
  outcome.reason = text(object, "reason");
  outcome.step_ms.fill(-1);
  if (const json::object* steps = base::find_object(object, "stepMs"))
    for (size_t i = 0; i < kSteps; ++i)
      outcome.step_ms[i] = base::find_int(*steps, kStepNames[i]).value_or(-1);
  outcome.attempts = static_cast<int>(number("attempts"));
  outcome.started = time("startedAt");
  outcome.finished = time("finishedAt");
  outcome.build = text(object, "build");
  outcome.build_key = text(object, "buildKey");
  outcome.files = number("files");
  outcome.tree_bytes = number("treeBytes");
  outcome.published_bytes = number("publishedBytes");
  outcome.snapshot_sha256 = text(object, "snapshotSha256");
  outcome.publish_uri = text(object, "publishUri");
  outcome.log_uri = text(object, "logUri");
  if (const json::object* columns = base::find_object(object, "columns"))
    for (const auto& member : *columns)
      if (member.value().is_string())
        outcome.columns.emplace_back(workloads::storage_bytes({member.key().data(), member.key().size()}),
                                     workloads::storage_bytes(base::view(member.value().get_string())));
  return outcome;
}

std::vector<std::string> lock_header(const std::vector<std::pair<std::string, std::string>>& input_columns) {
  std::vector<std::string> header;
  auto add = [&](std::string_view name) {
    if (std::find(header.begin(), header.end(), name) == header.end()) header.emplace_back(name);
  };
  for (const auto& [name, value] : input_columns) add(name);
  for (std::string_view name : kOwnColumns) add(name);
  for (std::string_view name : kLockColumns) add(name);
  return header;
}

std::string lock_row(const Outcome& outcome, const std::vector<std::string>& header) {
  std::vector<std::string> fields;
  fields.reserve(header.size());
  for (const std::string& name : header) {
    std::optional<std::string> value = own_value(outcome, name);
    if (!value) value = lock_value(outcome, name);
    if (!value)
      for (const auto& [column, text_of_row] : outcome.columns)
        if (column == name) value = text_of_row;
    fields.push_back(value.value_or(""));
  }
  return csv_line(fields);
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) line += ',';
    const std::string& field = fields[i];
    // Blanks around a field and a '#' at the start of a line mean something to readers.
    bool plain = field.find_first_of(",\"\r\n") == std::string::npos && !field.starts_with('#') &&
                 base::trim(field).size() == field.size();
    line += plain ? field : '"' + base::replace_all(field, "\"", "\"\"") + '"';
  }
  // A record of one empty field would be a blank line.
  if (line.empty()) line = "\"\"";
  return line + '\n';
}

Outcome outcome_from_lock(const std::vector<std::string>& header, const std::vector<std::string>& fields) {
  std::map<std::string_view, std::string_view> by_name;
  for (size_t i = 0; i < header.size() && i < fields.size(); ++i) by_name.emplace(header[i], fields[i]);
  auto value = [&](std::string_view name) {
    auto found = by_name.find(name);
    return std::string(found == by_name.end() ? std::string_view() : found->second);
  };
  auto number = [&](std::string_view name) { return base::parse_number<uint64_t>(value(name)).value_or(0); };
  if (!by_name.contains("outcome") || !by_name.contains("path"))
    throw base::CorruptError("no repos-lock.csv: it has no columns outcome and path");
  Outcome outcome;
  outcome.row = number("row");
  outcome.origin = value("origin");
  outcome.path = value("path");
  outcome.clone_url = value("cloneUrl");
  outcome.branch = outcome.wanted_branch = value("branch");
  outcome.changeset = value("changeset");
  outcome.status = named<Status>(kStatusNames, value("outcome"), "outcome");
  if (std::string step = value("step"); !step.empty()) outcome.step = named<Step>(kStepNames, step, "step");
  outcome.code = value("code");
  outcome.reason = value("reason");
  for (size_t i = 0; i < kSteps; ++i)
    outcome.step_ms[i] = base::parse_number<int64_t>(value(kStepColumns[i])).value_or(-1);
  outcome.attempts = static_cast<int>(number("attempts"));
  outcome.started = base::parse_iso8601(value("startedAt")).value_or(0);
  outcome.finished = outcome.started + static_cast<base::TimeMs>(number("durationMs"));
  outcome.build = value("build");
  outcome.files = number("files");
  outcome.tree_bytes = number("treeBytes");
  outcome.published_bytes = number("publishedBytes");
  outcome.snapshot_sha256 = value("snapshotSha256");
  outcome.publish_uri = value("publishUri");
  outcome.log_uri = value("logUri");
  for (size_t i = 0; i < header.size() && i < fields.size(); ++i)
    if (std::find(kLockColumns.begin(), kLockColumns.end(), header[i]) == kLockColumns.end())
      outcome.columns.emplace_back(header[i], fields[i]);
  return outcome;
}

size_t userinfo_end(std::string_view url) {
  size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string_view::npos;
  const size_t begin = scheme + 3;
  // '#' and '?' stand in passwords more often than right behind a host.
  size_t end = std::min(url.find('/', begin), url.size());
  size_t at = url.substr(begin, end - begin).rfind('@');
  if (at != std::string_view::npos) return begin + at;
  // "user:pass/word@host": what stands behind the colon is no port, so the host is further on.
  std::string_view authority = url.substr(begin, end - begin);
  size_t colon = authority.find(':');
  if (authority.starts_with('[') || colon == std::string_view::npos) return std::string_view::npos;
  std::string_view port = authority.substr(colon + 1);
  if (std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::string_view::npos;
  return url.find('@', end);
}

std::string without_credentials(std::string_view url) {
  const size_t at = userinfo_end(url);
  if (at == std::string_view::npos) return std::string(url);
  const size_t begin = url.find("://") + 3;
  std::string_view user = url.substr(begin, at - begin);
  // The user of an SSH URL is part of the address, and no secret.
  if (url.starts_with("ssh://") && user.find(':') == std::string_view::npos) return std::string(url);
  return std::string(url.substr(0, begin)) + std::string(url.substr(at + 1));
}

}  // namespace millrace::ingest
