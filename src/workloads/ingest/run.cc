#include "workloads/ingest/run.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/durable_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "base/url.h"
#include "http/client.h"
#include "objects/new_object.h"
#include "workloads/bounded_queue.h"
#include "workloads/ingest/repository_list.h"
#include "workloads/ingest/repository_run.h"
#include "workloads/result.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view kFolderPrefix = "millrace-ingest-";
// Outcomes are made durable together, at most so often.
constexpr milliseconds kCommitEvery{500};

base::json::value json_text(const std::string& bytes) {
  return base::json::string(workloads::storage_text(bytes));
}

bool same_server(const std::string& a, const std::string& b) {
  auto is_http = [](const std::string& url) {
    return url.starts_with("http://") || url.starts_with("https://");
  };
  if (!is_http(a) || !is_http(b)) return false;
  base::Url one = base::parse_url(a), other = base::parse_url(b);
  return one.scheme == other.scheme && base::equals_ignore_case(one.host, other.host) &&
         one.port == other.port;
}

// A folder of our own below `parent`, locked as long as we live; what killed runs left there is taken away.
class WorkFolder {
 public:
  explicit WorkFolder(const std::string& parent) {
    fs::create_directories(parent);
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(parent, error))
      if (entry.path().filename().string().starts_with(kFolderPrefix)) remove_if_abandoned(entry.path());
    // Under another name until it is locked: a run that begins in that moment would take it for abandoned.
    std::string pattern = parent + "/.new-" + std::string(kFolderPrefix) + "XXXXXX";
    if (!mkdtemp(pattern.data())) throw base::TransientError(base::system_message("mkdir " + pattern, errno));
    path_ = pattern;
    lock_.reset(open((path_ + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    std::string name = parent + "/" + pattern.substr(parent.size() + 6);
    if (!lock_ || flock(lock_.get(), LOCK_EX | LOCK_NB) != 0 || rename(path_.c_str(), name.c_str()) != 0) {
      int problem = errno;
      fs::remove_all(path_, error);
      throw base::TransientError(base::system_message("lock " + path_, problem));
    }
    path_ = name;
  }
  ~WorkFolder() {
    try {
      remove_folder(path_);
    } catch (const base::Error&) {  // the next run below this parent tries again
    }
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const std::string& path() const { return path_; }

  // Also folders that a build has made read-only.
  static void remove_folder(const std::string& path) {
    std::error_code error;
    fs::remove_all(path, error);
    if (!error) return;
    std::error_code ignored;
    fs::permissions(path, fs::perms::owner_all, fs::perm_options::add, ignored);
    for (fs::recursive_directory_iterator it(path, fs::directory_options::skip_permission_denied, ignored),
         end;
         it != end; it.increment(ignored))
      if (it->symlink_status(ignored).type() == fs::file_type::directory)
        fs::permissions(it->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
    fs::remove_all(path, error);
    if (error) throw base::TransientError("remove " + path + ": " + error.message(), "disk");
  }

 private:
  static void remove_if_abandoned(const fs::path& folder) {
    // In a folder that all may write to, such a name can be anybody's, and a link to anywhere.
    struct stat status;
    if (lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid()) return;
    base::UniqueFd lock(open((folder / "lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!lock || flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return;
    try {
      remove_folder(folder.string());
    } catch (const base::TransientError&) {  // it is in the way of nothing
    }
  }
  std::string path_;
  base::UniqueFd lock_;
};

class IngestRun final : public RunContext {
 public:
  IngestRun(const RunOptions& options, const base::Clock& clock, workloads::JobResult& result);
  void run();

  const RunOptions& options() const override { return options_; }
  const Git& git() const override { return *git_; }
  const Logins& logins() const override { return logins_; }
  http::Client& http() const override { return *http_; }
  base::TimeMs now_ms() const override { return clock_.now_ms(); }
  Publisher& publisher_for(const Repository& repository) override;
  InventoryDataset* dataset() override { return dataset_.get(); }
  bool must_stop() const override { return stopped() || too_many_.load(); }

 private:
  struct Ended {
    Outcome outcome;
    std::string log;
  };
  bool stopped() const { return options_.stop && options_.stop->load(); }
  void open_places();
  void read_rows();
  void check_loop();
  bool is_unchanged(const Repository& repository, Outcome& outcome);
  void work_loop();
  Ended run_one(const Repository& repository, const std::string& folder, Ctags* ctags);
  void end(Ended ended);
  void record_loop();
  void record(Ended& ended);
  void finish();
  std::string range() const;
  std::string place_for(const std::string& name) const;

  RunOptions options_;
  const base::Clock& clock_;
  workloads::JobResult& result_;
  const base::TimeMs started_;
  std::shared_ptr<http::Client> http_ = std::make_shared<http::Client>();
  Logins logins_;
  std::unique_ptr<WorkFolder> work_;
  std::unique_ptr<Git> git_;
  std::unique_ptr<Publisher> publisher_, state_place_;
  std::unique_ptr<StateRecords> state_;
  std::unique_ptr<InventoryDataset> dataset_;
  std::mutex publishers_mutex_;
  std::map<std::string, std::unique_ptr<Publisher>> publishers_;  // of rows with a publishUri of their own
  std::optional<DiskBudget> disk_;

  std::vector<Repository> rows_;
  std::vector<std::pair<std::string, std::string>> columns_;  // names only matter
  std::atomic<size_t> next_row_ = 0;
  workloads::BoundedQueue<const Repository*> queue_{64};
  workloads::BoundedQueue<Ended> ended_{256};
  std::optional<LockFile> lock_;
  std::optional<ZipWriter> zip_;
  std::string zip_path_, zip_key_;
  std::string summary_;
  RunProgress progress_;
  std::atomic<uint64_t> in_work_ = 0, failures_ = 0;
  uint64_t failures_max_ = UINT64_MAX;
  std::atomic<bool> too_many_ = false;
  std::mutex broken_mutex_;
  std::exception_ptr broken_;  // what ended the run as a whole
};

IngestRun::IngestRun(const RunOptions& options, const base::Clock& clock, workloads::JobResult& result)
    : options_(options),
      clock_(clock),
      result_(result),
      started_(clock.now_ms()),
      logins_(options.git_credentials) {}

std::string IngestRun::range() const {
  if (!options_.organization.empty()) {
    std::string name = "org-" + options_.organization;
    for (char& c : name)
      if (c == '/' || static_cast<unsigned char>(c) < ' ') c = '_';
    return name;
  }
  if (options_.start == 0) return "all";
  return std::to_string(options_.start) + "-" + std::to_string(options_.end);
}

std::string IngestRun::place_for(const std::string& name) const {
  // The children of an array leave theirs in one place.
  std::string job = options_.job.empty() ? "local" : options_.job.substr(0, options_.job.find(':'));
  std::replace(job.begin(), job.end(), '/', '-');
  return ".ingest/runs/" + job + "/" + name;
}

void IngestRun::open_places() {
  publisher_ = open_publisher(options_.publish, options_.login, http_);
  work_ = std::make_unique<WorkFolder>(options_.work_folder);
  const std::string secrets = work_->path() + "/private";
  fs::create_directory(secrets);
  fs::permissions(secrets, fs::perms::owner_all);
  GitOptions& git = options_.git;
  git.private_folder = secrets;
  git.file_bytes_max = options_.disk_budget;
  if (options_.memory_budget > 0) git.memory_bytes_max = options_.memory_budget / std::max(1U, options_.jobs);
  if (std::string lines = logins_.host_lines(); !lines.empty()) {
    git.credentials_file = secrets + "/credentials";
    base::write_durably(git.credentials_file, lines);
  }
  if (!options_.ssh_key.empty()) {
    git.ssh_key_file = secrets + "/key";
    std::string key = options_.ssh_key;
    if (!key.ends_with('\n')) key += '\n';  // ssh refuses a key without it
    base::write_durably(git.ssh_key_file, key);
  }
  git_ = std::make_unique<Git>(git);
  if (options_.state != "none" && (!options_.state.empty() || publisher_->can_get())) {
    if (!options_.state.empty()) state_place_ = open_publisher(options_.state, {}, http_);
    state_ = std::make_unique<StateRecords>(state_place_ ? *state_place_ : *publisher_,
                                            options_.state.empty() ? ".ingest/state/" : "");
  }
  result_.detail("incremental", state_ != nullptr);
  if (options_.inventory && publisher_->can_get())
    dataset_ = std::make_unique<InventoryDataset>(work_->path());
  if (options_.logs) {
    zip_path_ = work_->path() + "/ingest-log.zip";
    zip_.emplace(zip_path_);
    zip_key_ = log_key(publisher_->is_s3(), range(), started_);
  }
  disk_.emplace(options_.disk_budget);
}

void IngestRun::read_rows() {
  // A list that submit has stored is named by its digest.
  std::string name = options_.list.substr(options_.list.rfind('/') + 1);
  std::string wanted = name.size() == 68 && name.ends_with(".csv") && base::unhex(name.substr(0, 64))
                           ? name.substr(0, 64)
                           : "";
  base::Digest digest(base::Digest::Algorithm::kSha256);
  std::vector<Ended> ended;  // rows that need no work
  uint64_t seen = 0;
  // Rows of other organizations than the one that was asked for, and those that do it in their place.
  std::map<uint64_t, uint64_t> done_by;
  RepositoryListReader reader([&](Repository row, uint64_t duplicate_of, const RowProblem* problem) {
    ++seen;
    if (columns_.empty()) columns_ = row.columns;
    if (!options_.organization.empty()) {
      if (std::find(row.organizations.begin(), row.organizations.end(), options_.organization) ==
          row.organizations.end()) {
        if (!problem && duplicate_of == 0) done_by.emplace(row.row, 0);
        return;
      }
      // A repository may stand in several rows, of an organization each: the first row of ours does it.
      if (auto other = done_by.find(duplicate_of); other != done_by.end())
        duplicate_of = std::exchange(other->second, other->second == 0 ? row.row : other->second);
    }
    if (options_.start > 0 && (row.row < options_.start || row.row > options_.end)) return;
    ++progress_.selected;
    if (!problem && duplicate_of == 0) {
      rows_.push_back(std::move(row));
      return;
    }
    Outcome outcome = outcome_of(row);
    outcome.started = outcome.finished = clock_.now_ms();
    if (problem) {
      outcome.status = Status::kFailed;
      outcome.code = problem->code;
      outcome.reason = problem->what;
      ++failures_;
    } else {
      outcome.status = Status::kUnchanged;
      outcome.code = "duplicate";
      outcome.reason = "it is done with row " + std::to_string(duplicate_of);
    }
    ended.push_back({std::move(outcome), ""});
  });
  read_list(options_.list, http_, [&](std::string_view bytes) {
    digest.update(bytes);
    reader.feed(bytes);
  });
  reader.finish();
  if (!wanted.empty() && base::hex(digest.finish()) != wanted)
    throw base::CorruptError("the list " + without_credentials(options_.list) +
                             " is not what its name says: it was changed");
  if (options_.start > seen && seen > 0)
    throw base::UsageError("--start " + std::to_string(options_.start) + ": the list has " +
                           std::to_string(seen) + " rows");
  result_.detail("list_rows", seen);
  lock_.emplace(columns_);
  if (options_.max_failures.count) failures_max_ = *options_.max_failures.count;
  if (options_.max_failures.share)
    failures_max_ =
        static_cast<uint64_t>(*options_.max_failures.share * static_cast<double>(progress_.selected));
  too_many_ = failures_ > failures_max_;
  for (Ended& each : ended) record(each);
}

Publisher& IngestRun::publisher_for(const Repository& repository) {
  if (repository.publish_uri.empty()) return *publisher_;
  std::lock_guard lock(publishers_mutex_);
  auto& publisher = publishers_[repository.publish_uri];
  // The login is for the place the job was given, not for whatever host a list names.
  if (!publisher)
    publisher = open_publisher(
        repository.publish_uri,
        same_server(repository.publish_uri, options_.publish) ? options_.login : PublishLogin{}, http_);
  return *publisher;
}

bool IngestRun::is_unchanged(const Repository& repository, Outcome& outcome) {
  if (!state_) return false;
  auto begun = steady_clock::now();
  std::optional<StateRecords::Known> known = state_->find(repository);
  if (!known || known->outcome.build_key != build_key(options_, repository)) return false;
  // A second attempt of a job does not do again what the first one did, whatever was asked for.
  const bool same_job = !options_.job.empty() && options_.job != "local" && known->job == options_.job;
  if (options_.force && !same_job) return false;
  if (options_.max_age && clock_.now_ms() - known->outcome.finished >
                              std::chrono::duration_cast<milliseconds>(*options_.max_age).count())
    return false;
  RemoteHead head;
  try {
    head = remote_head(*this, repository, work_->path());
  } catch (const std::exception&) {
    return false;  // the clone finds out what is wrong, and tries again where that may help
  }
  if (head.commit.empty() || head.commit != known->outcome.changeset) return false;
  base::TimeMs started = clock_.now_ms();
  auto ms = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begun).count();
  Outcome& before = known->outcome;
  outcome = outcome_of(repository);
  outcome.status = Status::kUnchanged;
  outcome.branch = before.branch;
  outcome.changeset = before.changeset;
  outcome.started = started - ms;
  outcome.finished = started;
  outcome.step_ms[static_cast<size_t>(Step::kCheck)] = ms;
  outcome.build = before.build;
  outcome.build_key = before.build_key;
  outcome.files = before.files;
  outcome.tree_bytes = before.tree_bytes;
  outcome.snapshot_sha256 = before.snapshot_sha256;
  outcome.publish_uri = before.publish_uri;
  return true;
}

void IngestRun::check_loop() {
  while (!must_stop()) {
    size_t i = next_row_++;
    if (i >= rows_.size()) return;
    Outcome outcome;
    if (is_unchanged(rows_[i], outcome)) {
      end({std::move(outcome), ""});
    } else if (!queue_.push(&rows_[i])) {
      return;
    }
  }
}

IngestRun::Ended IngestRun::run_one(const Repository& repository, const std::string& folder, Ctags* ctags) {
  for (bool alone : {false, true}) {
    DiskBudget::Share share(*disk_, alone);
    fs::create_directory(folder);
    fs::permissions(folder, fs::perms::owner_all);
    RepositoryRun run(*this, repository, folder, share, ctags);
    Outcome outcome = run.run();
    try {
      WorkFolder::remove_folder(folder);
    } catch (const base::TransientError& error) {
      // It keeps its place on the disk until the container goes; the others need not suffer from that.
      result_.count("folders_left_behind");
      return {std::move(outcome), run.log().text() + error.what() + "\n"};
    }
    if (run.evicted() && !alone && !must_stop() && outcome.failed()) continue;
    return {std::move(outcome), run.log().text()};
  }
  throw base::InternalError("a repository was evicted twice");
}

void IngestRun::work_loop() {
  std::optional<Ctags> ctags;
  if (options_.inventory && options_.symbols) ctags.emplace();
  while (std::optional<const Repository*> repository = queue_.pop()) {
    if (must_stop()) continue;  // it gets its outcome in the end
    ++in_work_;
    Ended ended = run_one(**repository, work_->path() + "/" + std::to_string((*repository)->row),
                          ctags ? &*ctags : nullptr);
    --in_work_;
    end(std::move(ended));
  }
}

void IngestRun::end(Ended ended) {
  if (ended.outcome.failed() && ended.outcome.status != Status::kStopped && ++failures_ > failures_max_)
    too_many_ = true;
  ended_.push(std::move(ended));
}

void IngestRun::record(Ended& ended) {
  Outcome& outcome = ended.outcome;
  if (zip_ && !ended.log.empty()) {
    std::string name =
        fmt::format("{:06}-{}.log", outcome.row,
                    base::replace_all(workloads::printable(outcome.origin + "/" + outcome.path), "/", "_"));
    if (zip_->add(name, ended.log, outcome.finished))
      outcome.log_uri = publisher_->uri(zip_key_) + "#" + name;
  }
  if (outcome.status == Status::kPublished && state_) state_->write(outcome, options_.job);
  if (outcome.status == Status::kPublished) ++progress_.published;
  if (outcome.status == Status::kUnchanged) ++progress_.unchanged;
  std::string name = outcome.origin.empty() && outcome.path.empty() ? "row " + std::to_string(outcome.row)
                                                                    : outcome.origin + "/" + outcome.path;
  if (!outcome.wanted_branch.empty()) name += "@" + outcome.wanted_branch;
  if (outcome.failed()) {
    ++progress_.failed;
    result_.item_failed(name, std::string(to_text(outcome.step)) + ": " + outcome.reason, outcome.code);
  }
  result_.count(to_text(outcome.status));
  result_.count("published_bytes", static_cast<int64_t>(outcome.published_bytes));
  result_.item(to_json(outcome));
  lock_->add(outcome);
  summary_ +=
      fmt::format("{} {} {} {} {}\n", base::iso8601(outcome.finished), outcome.row, to_text(outcome.status),
                  workloads::printable(name), workloads::printable(outcome.reason));
  if (options_.on_outcome) options_.on_outcome(outcome);
}

// What was published is made durable before anything says that it was.
void IngestRun::record_loop() {
  std::deque<Ended> batch;
  auto next_commit = steady_clock::now() + kCommitEvery;
  while (true) {
    std::optional<Ended> ended = ended_.pop_until(next_commit);
    if (ended) batch.push_back(std::move(*ended));
    bool last = !ended && ended_.finished();
    if (!last && steady_clock::now() < next_commit && batch.size() < 256) continue;
    if (!batch.empty()) {
      publisher_->sync();
      {
        std::lock_guard lock(publishers_mutex_);
        for (auto& [uri, publisher] : publishers_) publisher->sync();
      }
      for (Ended& each : batch) record(each);
      batch.clear();
    }
    progress_.in_work = in_work_.load();
    if (options_.on_progress) options_.on_progress(progress_);
    if (last) return;
    next_commit = steady_clock::now() + kCommitEvery;
  }
}

// Every row that nothing became of yet; logs, lock file and dataset.
void IngestRun::finish() {
  std::string why = stopped() ? "the job was ended before this repository was done"
                    : broken_ ? "the job failed before this repository was done"
                              : "more repositories failed than --max-failures allows";
  std::vector<Ended> rest;
  for (const Repository& row : rows_) {
    if (lock_->has(row.row)) continue;
    Outcome outcome = outcome_of(row);
    outcome.status = Status::kStopped;
    outcome.code = stopped() ? "stopped" : broken_ ? "job-failed" : "max-failures";
    outcome.reason = why;
    outcome.started = outcome.finished = clock_.now_ms();
    rest.push_back({std::move(outcome), ""});
  }
  for (Ended& each : rest) record(each);
  if (zip_) {
    zip_->add("ingest.log", summary_, clock_.now_ms());
    zip_->finish();
    zip_.reset();
    publisher_->put_file(zip_key_, zip_path_);
    result_.detail("log", json_text(publisher_->uri(zip_key_)));
  }
  std::string file = "repos-lock-" + range() + ".csv";
  if (!options_.lock.empty()) {
    objects::NewObject lock(options_.lock.starts_with("s3://") ? objects::parse_location(options_.lock)
                                                               : objects::Location{false, "", options_.lock},
                            "text/csv");
    lock.write(lock_->text());
    lock.publish();
    result_.detail("lock", json_text(options_.lock));
  } else if (publisher_->can_get()) {
    publisher_->put(place_for(file), lock_->text(), "text/csv");
    result_.detail("lock", json_text(publisher_->uri(place_for(file))));
  }
  if (dataset_ && dataset_->repositories() > 0) {
    std::string job = options_.job.empty() ? "local" : base::replace_all(options_.job, ":", "-");
    InventoryDataset::Written written =
        dataset_->write(publisher_->uri("inventory"), job + "-" + range() + "-" + std::to_string(started_));
    if (!written.note.empty()) result_.detail("inventory_note", json_text(written.note));
    base::json::array files;
    for (const std::string& name : written.files) files.push_back(json_text(name));
    result_.detail("inventory", std::move(files));
  }
  publisher_->sync();
  if (state_place_) state_place_->sync();
  if (failures_ > failures_max_)
    result_.fail(std::to_string(failures_.load()) + " repositories failed, more than --max-failures allows");
}

void IngestRun::run() {
  open_places();
  read_rows();
  // What one thread cannot go on from ends all of them, and is told after they have ended.
  auto guarded = [this](const std::function<void()>& body) {
    try {
      body();
    } catch (...) {
      std::lock_guard lock(broken_mutex_);
      if (!broken_) broken_ = std::current_exception();
      too_many_ = true;
      queue_.close();
      ended_.close();
    }
  };
  std::vector<std::thread> checkers, workers;
  std::thread recorder([&] { guarded([this] { record_loop(); }); });
  unsigned checks = state_ ? std::max(1U, options_.checks) : 1;
  for (unsigned i = 0; i < std::max(1U, options_.jobs); ++i)
    workers.emplace_back([&] { guarded([this] { work_loop(); }); });
  for (unsigned i = 0; i < checks; ++i) checkers.emplace_back([&] { guarded([this] { check_loop(); }); });
  for (std::thread& thread : checkers) thread.join();
  queue_.close();
  for (std::thread& thread : workers) thread.join();
  ended_.close();
  recorder.join();
  if (!broken_) return finish();
  // What is known of the repositories and their logs is worth keeping; the first error is the one to tell.
  try {
    finish();
  } catch (const std::exception& error) {
    result_.detail("also", json_text(error.what()));
  }
  std::rethrow_exception(broken_);
}

}  // namespace

void run_ingest(const RunOptions& options, const base::Clock& clock, workloads::JobResult& result) {
  Orphans orphans;
  IngestRun run(options, clock, result);
  run.run();
}

}  // namespace millrace::ingest
