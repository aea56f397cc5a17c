// The engine's state on disk: one SQLite file, written by group commits.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "sql/connection.h"

namespace millrace::engine {

// What one commit does to the notices that are kept: new ones, and those up to `heard` that go.
struct StoredNotices {
  std::vector<const JobNotice*> made;
  int64_t heard = 0;
};

// Not thread-safe. Throws as sql::Connection does.
class Store {
 public:
  // Opens or creates `path`. Throws ConflictError when another process has it, or when a newer version of
  // Millrace made it.
  explicit Store(const std::string& path);
  ~Store();

  // 16 bytes, drawn when the file was made.
  const std::string& id_seed() const { return id_seed_; }

  // Fills an engine that is new with everything that lives: O(live jobs).
  void load(Engine& engine);

  // Makes `changes` durable in one transaction: on return they survive a power cut; when it throws nothing of
  // them is there.
  // `tokens`: with which submissions' jobs came, see ApiCommand::token.
  using Tokens = std::vector<std::pair<std::string, JobSeq>>;
  // `notices`: what is to be told about them, kept until it was heard.
  using Notices = StoredNotices;
  void commit(const Changes& changes, const Engine& engine, const Tokens& tokens = {},
              const Notices& notices = {});

  // Notices that are kept, after number `seq`, in order.
  std::vector<JobNotice> notices_after(int64_t seq, size_t most);
  int64_t last_notice();  // the highest number ever used

  // The job that was submitted with this token and is still kept.
  std::optional<JobSeq> job_of_token(std::string_view token);

  // Throws when the disk takes no writes now.
  void probe();

  // Drops jobs that finished before `before`, with their children; at most about `most` rows, in one
  // transaction. True when there may be more of them now. Goes on where the last call ended.
  bool purge(TimeMs before, int64_t most, const Engine& engine);

  // A job that finished; nothing when there is none of that number. The engine lends its queues and
  // definitions.
  std::unique_ptr<Job> load_job(JobSeq seq, const Engine& engine);
  // Of a finished array job that load_job() gave: what became of each child.
  void load_children(Job& parent);

  // Finished children of `parent` from index `from` on that have a row, by index, until `visit` returns
  // false.
  void children(const Job& parent, int32_t from, const Engine& engine,
                const std::function<bool(const Job&)>& visit);
  // Finished jobs of a queue from `below` (exclusive; 0: from the newest) downwards until `visit` returns
  // false. With `status` only those.
  void finished_jobs(int64_t queue, std::optional<JobStatus> status, JobSeq below, const Engine& engine,
                     const std::function<bool(const Job&)>& visit);

 private:
  void write_job(const Job& job);
  void load_shares(Engine& engine);
  void commit_shares(const Changes& changes);
  void commit_notices(const Notices& notices);

  std::unique_ptr<sql::Connection> connection_;
  std::unique_ptr<sql::Statement> insert_job_, update_job_, put_meta_;
  std::string id_seed_;
  struct Place {
    int64_t queue = 0, seq = 0;
  };
  std::array<Place, 2> purged_to_;  // of the jobs that succeeded, and of those that failed
};

}  // namespace millrace::engine
