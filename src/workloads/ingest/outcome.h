// What became of one repository: a row of repos-lock.csv, an element of "repositories" in the JSON result,
// and the record by which the next run knows that nothing has changed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/time.h"

namespace millrace::ingest {

struct Repository;

enum class Step : uint8_t { kCheck, kClone, kBuild, kSnapshot, kInventory, kPublish };
inline constexpr size_t kSteps = 6;
std::string_view to_text(Step step);  // "check", "clone", "build", "snapshot", "inventory", "publish"

enum class Status : uint8_t {
  kPublished,  // everything that was asked for was done
  kUnchanged,  // same commit, same configuration, published before: nothing to do
  kFailed,     // `step` and `reason` say where and why
  kTimedOut,   // `step` took longer than it may
  kStopped,    // the job was ended, or its limit of failures was reached, before this one was done
  kLost,       // in reports only: a row of the list of which no result says anything
};
std::string_view to_text(
    Status status);  // "published", "unchanged", "failed", "timed-out", "stopped", "lost", "lost"

struct Outcome {
  uint64_t row = 0;  // 1-based
  std::string origin, path;
  std::string clone_url;  // without credentials
  std::string branch;     // the real one: of the row, or the default branch; empty when it was never known
  std::string changeset;  // the commit, in hexadecimal; empty when it was never known
  std::string wanted_branch;  // as the row has it: with origin and path it identifies the repository
  Status status = Status::kStopped;
  Step step = Step::kCheck;  // where it failed, was stopped, or ended
  std::string code;          // of a failure: "timeout", "network", "denied", "not-found", "exit-1", "disk" …
  std::string reason;        // for people; empty when it was published
  std::array<int64_t, kSteps> step_ms{};  // by Step; -1: not done
  int attempts = 0;                       // of the step that took most
  base::TimeMs started = 0, finished = 0;
  std::string build;      // what built it: "none", "maven", "npm", "command" …
  std::string build_key;  // SHA-256 over all that decides what a build of the same commit gives
  uint64_t files = 0;     // in the tree
  uint64_t tree_bytes = 0;
  uint64_t published_bytes = 0;
  std::string snapshot_sha256;
  std::string publish_uri;  // the folder, prefix or URL that holds what was published
  std::string log_uri;      // the output of clone and build
  // The columns of the row, as they stood.
  std::vector<std::pair<std::string, std::string>> columns;

  bool failed() const { return status != Status::kPublished && status != Status::kUnchanged; }
  // What identifies the repository; equals Repository::key() of its row.
  std::string key() const { return origin + '\n' + path + '\n' + wanted_branch; }
};

// An outcome for `repository` with what its row says already.
Outcome outcome_of(const Repository& repository);

// The JSON form, for the result and the records of the last run. from_json throws CorruptError.
base::json::object to_json(const Outcome& outcome);
Outcome outcome_from_json(const base::json::object& object);

// repos-lock.csv: the columns of the input in their order (branch, changeset, cloneUrl and publishUri with
// what was found), then kLockColumns. Rows end in LF; fields are quoted where RFC 4180 needs it.
inline constexpr std::array<std::string_view, 20> kLockColumns = {
    "row",        "outcome", "step",      "code",           "reason",         "build",       "startedAt",
    "durationMs", "checkMs", "cloneMs",   "buildMs",        "snapshotMs",     "inventoryMs", "publishMs",
    "attempts",   "files",   "treeBytes", "publishedBytes", "snapshotSha256", "logUri"};
// The header over outcomes with these input columns (cloneUrl, branch, origin, path, changeset and publishUri
// are added where the input lacks them).
std::vector<std::string> lock_header(const std::vector<std::pair<std::string, std::string>>& input_columns);
// The record below such a header.
std::string lock_row(const Outcome& outcome, const std::vector<std::string>& header);
std::string csv_line(const std::vector<std::string>& fields);
// Back from a record of such a file, also of one whose columns have another order. Throws CorruptError.
Outcome outcome_from_lock(const std::vector<std::string>& header, const std::vector<std::string>& fields);

// Where the '@' behind the user and password of "scheme://user:password@host" is; npos without one. Passwords
// that should have been percent-encoded are found too.
size_t userinfo_end(std::string_view url);
// "https://user:secret@host/x" -> "https://host/x"; also what has no scheme stays as it is.
std::string without_credentials(std::string_view url);

}  // namespace millrace::ingest
