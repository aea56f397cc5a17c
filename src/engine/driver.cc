#include "engine/driver.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <chrono>

#include "base/error.h"

namespace millrace::engine {
namespace {

constexpr size_t kGroupMax = 4096;     // commands in one commit
constexpr size_t kQueueMax = 200'000;  // commands waiting; more are refused
constexpr int64_t kPurgeRows = 500;    // in one transaction
constexpr TimeMs kPurgeEveryMs = 60'000, kPurgeAgainMs = 50;
constexpr auto kRetryDisk = std::chrono::milliseconds(500);
// How long a group that nobody waits for is held open for more. A short attempt ends within it, and then its
// start and its end are one commit.
constexpr auto kPatience = std::chrono::milliseconds(10);

bool is_report(const Command& command) {
  return std::holds_alternative<AttemptStarted>(command) ||
         std::holds_alternative<AttemptFinished>(command) || std::holds_alternative<HostUp>(command);
}

// Nobody waits for it, and the executor tells it again after a crash: it may share the commit of what comes
// next. Reads never wait, and see it, because they are urgent.
bool may_wait(const Command& command) { return std::holds_alternative<AttemptStarted>(command); }

}  // namespace

Driver::Driver(Config config, Store& store, const base::Clock& clock)
    : config_(std::move(config)), store_(store), clock_(clock), host_(HostUp{}) {
  config_.id_seed = store_.id_seed();
  last_notice_ = store_.last_notice();
  reload();
}

Driver::~Driver() { stop(); }

void Driver::reload() {
  engine_ = std::make_unique<Engine>(config_);
  store_.load(*engine_);
}

void Driver::start(Performer& performer) {
  performer_ = &performer;
  thread_ = std::thread([this] { run(); });
}

void Driver::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Driver::push(Item item) {
  std::unique_lock lock(mutex_);
  bool over = stopping_ || (queue_.size() >= kQueueMax && !is_report(item.command));
  if (!over) {
    bool urgent = item.read || !may_wait(item.command);
    bool wake = queue_.empty() || (urgent && !urgent_);
    urgent_ |= urgent;
    queue_.push_back(std::move(item));
    lock.unlock();
    if (wake) wake_.notify_one();
    return;
  }
  bool stopping = stopping_;
  lock.unlock();
  if (item.reply)
    item.reply(stopping
                   ? Refusal{503, "ServerException", "Millrace is stopping; try again when it is back."}
                   : Refusal{429, "TooManyRequestsException", "Too many requests are waiting; try again."});
}

void Driver::post(ApiCommand command, Reply reply) { push({std::move(command), std::move(reply), nullptr}); }
void Driver::report(Command command) { push({std::move(command), nullptr, nullptr}); }
void Driver::read(Read read, Refused refused) {
  auto reply = [refused = std::move(refused)](auto answer) { refused(std::get<Refusal>(std::move(answer))); };
  push({Tick{}, std::move(reply), std::move(read)});
}

void Driver::run() {
  pthread_setname_np(pthread_self(), "engine");
  std::vector<Item> group;
  for (;;) {
    bool stopping;
    {
      std::unique_lock lock(mutex_);
      TimeMs deadline = engine_->next_deadline();
      if (deadline == 0 || next_purge_ < deadline) deadline = next_purge_;
      auto ready = [this] { return stopping_ || !queue_.empty(); };
      wake_.wait_for(lock, std::chrono::milliseconds(std::max<int64_t>(0, deadline - clock_.now_ms())),
                     ready);
      if (!urgent_ && !queue_.empty())
        wake_.wait_for(lock, kPatience, [this] { return stopping_ || urgent_; });
      stopping = stopping_;
      if (queue_.size() <= kGroupMax) {
        group.swap(queue_);
        urgent_ = false;
      } else {
        auto end = queue_.begin() + kGroupMax;
        group.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
        queue_.erase(queue_.begin(), end);
        stopping = false;
      }
    }
    run_group(group);
    group.clear();
    if (clock_.now_ms() >= next_purge_) purge();
    if (stopping) return;
  }
}

void Driver::run_group(std::vector<Item>& group) {
  TimeMs now = clock_.now_ms();
  if (disk_full_) {
    // Nothing is applied before the disk takes writes again, so that nothing has to be taken back.
    try {
      store_.probe();
      disk_full_ = false;
      spdlog::info("the data folder takes writes again");
    } catch (const base::Error& error) {
      return refuse_group(group, error.what(), true);
    }
  }
  engine_->want_notices(performer_->wants_notices());
  std::vector<Outcome> outcomes;
  outcomes.reserve(group.size() + 1);
  Store::Tokens tokens;
  for (Item& item : group) {
    if (std::holds_alternative<HostUp>(item.command)) host_ = item.command;
    recall(item.command);
    outcomes.push_back(item.read ? Outcome{} : apply(item.command, now, tokens));
  }
  if (engine_->next_deadline() != 0 && engine_->next_deadline() <= now)
    outcomes.push_back(engine_->apply(Tick{}, now));
  Changes changes = engine_->take_changes();
  const Store::Notices notices = number_notices(outcomes);
  if (!changes.empty() || !notices.made.empty()) {
    try {
      store_.commit(changes, *engine_, tokens, notices);
      forgotten_notice_ = notices.heard > 0 ? notices.heard : forgotten_notice_;
    } catch (const base::Error& error) {
      spdlog::error(
          "cannot write the engine's state: {}. Requests that change something are refused until it can.",
          error.what());
      disk_full_ = true;
      // The engine is ahead of the disk: go back to what is durable.
      reload();
      // A commit whose fsync failed stands whole in SQLite's log: a crash now would bring it back, although
      // it is refused. The next write goes over it. What a full disk refused was never whole.
      bool undone = error.code() == "DiskFull";
      try {
        store_.probe();
        undone = true;
        disk_full_ = false;
      } catch (const base::Error&) {
      }
      group.push_back({host_, nullptr, nullptr});
      return refuse_group(group, error.what(), undone);
    }
  }
  engine_->forget_finished();
  std::vector<Effect> effects;
  for (Outcome& outcome : outcomes)
    effects.insert(effects.end(), std::make_move_iterator(outcome.effects.begin()),
                   std::make_move_iterator(outcome.effects.end()));
  if (!effects.empty()) performer_->perform(std::move(effects));
  for (size_t i = 0; i < group.size(); ++i) {
    if (group[i].read) {
      group[i].read(*engine_, store_);
    } else if (group[i].reply) {
      group[i].reply(std::move(outcomes[i].reply));
    }
  }
}

// Throws nothing.
Outcome Driver::apply(const Command& command, TimeMs now, Store::Tokens& tokens) {
  const auto* api = std::get_if<ApiCommand>(&command);
  if (!api || api->token.empty()) return engine_->apply(command, now);
  for (const auto& [token, job] : tokens)
    if (token == api->token) return {submitted(*engine_->find_job(job)), {}};
  try {
    if (std::optional<JobSeq> seq = store_.job_of_token(api->token)) {
      if (const Job* live = engine_->find_job(*seq)) return {submitted(*live), {}};
      if (std::unique_ptr<Job> job = store_.load_job(*seq, *engine_)) return {submitted(*job), {}};
    }
  } catch (const base::Error& error) {
    return {Refusal{500, "ServerException", error.what()}, {}};
  }
  Outcome outcome = engine_->apply(command, now);
  if (const auto* reply = std::get_if<json::object>(&outcome.reply))
    if (auto seq = engine_->job_seq(base::find_string(*reply, "jobId").value_or("")))
      tokens.emplace_back(api->token, *seq);
  return outcome;
}

void Driver::notices_heard(int64_t seq) { heard_notice_ = seq; }

// What this group is to tell, in the order in which it will be told.
Store::Notices Driver::number_notices(std::vector<Outcome>& outcomes) {
  Store::Notices notices;
  for (Outcome& outcome : outcomes)
    for (Effect& effect : outcome.effects)
      if (auto* notice = std::get_if<JobNotice>(&effect)) {
        notice->seq = ++last_notice_;
        notices.made.push_back(notice);
      }
  if (const int64_t heard = heard_notice_; heard > forgotten_notice_) notices.heard = heard;
  return notices;
}

// What SubmitJob answers.
json::object Driver::submitted(const Job& job) const {
  std::string id = engine_->job_id(job);
  return {{"jobArn", config_.arn("job/" + id)}, {"jobName", job.name}, {"jobId", id}};
}

// Drops what finished long ago, a little at a time: nobody waits for more than a few milliseconds.
void Driver::purge() {
  TimeMs now = clock_.now_ms();
  bool more = false;
  try {
    if (!disk_full_) more = store_.purge(now - config_.retain_ms, kPurgeRows, *engine_);
  } catch (const base::Error& error) {
    spdlog::warn("finished jobs that are old enough to go stay for now: {}", error.what());
  }
  next_purge_ = now + (more ? kPurgeAgainMs : kPurgeEveryMs);
}

// Finished jobs are on disk only, but can be tagged and depended on.
void Driver::recall(const Command& command) {
  for (JobSeq seq : engine_->missing_jobs(command)) try {
      std::unique_ptr<Job> job = store_.load_job(seq, *engine_);
      if (job && job->array) store_.load_children(*job);
      if (job) engine_->recall(std::move(job));
    } catch (const base::Error& error) {
      spdlog::error("cannot read job {}: {}", seq, error.what());  // the command says that it is not found
    }
}

void Driver::refuse_group(std::vector<Item>& group, const std::string& why, bool undone) {
  std::string text = "the state cannot be written (" + why + ").";
  text = undone ? "Nothing was changed: " + text
                : "Not done: " + text +
                      " Should Millrace end before it can be, look whether it was done after all.";
  std::vector<Item> again;
  for (Item& item : group) {
    if (item.read) {
      item.read(*engine_, store_);
    } else if (item.reply) {
      item.reply(Refusal{500, "ServerException", text});
    }
    if (is_report(item.command)) again.push_back(std::move(item));
  }
  if (again.empty()) return;
  std::unique_lock lock(mutex_);
  urgent_ = true;
  queue_.insert(queue_.begin(), std::make_move_iterator(again.begin()), std::make_move_iterator(again.end()));
  wake_.wait_for(lock, kRetryDisk, [this] { return stopping_; });
}

}  // namespace millrace::engine
