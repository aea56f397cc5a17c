#include "engine/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/random.h"
#include "sql/migration.h"

namespace millrace::engine {
namespace {

constexpr char kVersion1[] = R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE definitions(number INTEGER PRIMARY KEY, name TEXT NOT NULL, revision INTEGER NOT NULL,
  active INTEGER NOT NULL, body TEXT NOT NULL, tags TEXT NOT NULL, UNIQUE(name, revision)) STRICT;
CREATE TABLE environments(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL,
  tags TEXT NOT NULL) STRICT;
CREATE TABLE queues(number INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT NOT NULL, tags TEXT NOT NULL) STRICT;
CREATE TABLE jobs(seq INTEGER PRIMARY KEY, queue INTEGER NOT NULL, definition INTEGER NOT NULL,
  status INTEGER NOT NULL, created INTEGER NOT NULL, vcpus_milli INTEGER NOT NULL, memory_mib INTEGER NOT NULL,
  gpus INTEGER NOT NULL, name TEXT NOT NULL, submission TEXT NOT NULL, state TEXT NOT NULL) STRICT;
CREATE INDEX jobs_live ON jobs(seq) WHERE status < 5;
CREATE INDEX jobs_finished ON jobs(queue, status, seq) WHERE status >= 5;
)sql";

// A finished job is in one of them, in the order in which it is listed.
constexpr char kVersion2[] = R"sql(
DROP INDEX jobs_finished;
CREATE INDEX jobs_succeeded ON jobs(queue, seq) WHERE status = 5;
CREATE INDEX jobs_failed ON jobs(queue, seq) WHERE status = 6;
)sql";

// Children of array jobs have the numbers after their parent's, and no name and submission of their own.
constexpr char kVersion3[] = R"sql(
ALTER TABLE jobs ADD COLUMN parent INTEGER NOT NULL DEFAULT 0;
DROP INDEX jobs_succeeded;
DROP INDEX jobs_failed;
CREATE INDEX jobs_succeeded ON jobs(queue, seq) WHERE status = 5 AND parent = 0;
CREATE INDEX jobs_failed ON jobs(queue, seq) WHERE status = 6 AND parent = 0;
)sql";

// Submissions that must not be made twice.
constexpr char kVersion4[] = R"sql(
CREATE TABLE submission_tokens(job INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE) STRICT;
)sql";

// Scheduling policies, consumable resources, and what jobs and queues have of them.
constexpr char kVersion5[] = R"sql(
ALTER TABLE jobs ADD COLUMN share TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
CREATE TABLE policies(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL,
  tags TEXT NOT NULL) STRICT;
CREATE TABLE consumables(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL,
  tags TEXT NOT NULL) STRICT;
CREATE TABLE usages(queue INTEGER NOT NULL, share TEXT NOT NULL, vcpu_seconds REAL NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY(queue, share)) STRICT, WITHOUT ROWID;
)sql";

// What is to be told of jobs, until it was heard. AUTOINCREMENT: no number is used twice.
constexpr char kVersion6[] = R"sql(
CREATE TABLE notices(seq INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, resources TEXT NOT NULL,
  detail TEXT NOT NULL) STRICT;
)sql";

// What makes version n + 1 of version n. user_version of the file says how many were done.
constexpr std::array<const char*, 6> kSteps = {kVersion1, kVersion2, kVersion3,
                                               kVersion4, kVersion5, kVersion6};

constexpr char kJobColumns[] =
    "SELECT seq, queue, definition, status, created, vcpus_milli, memory_mib, gpus, name, submission, state, "
    "parent, share, priority FROM jobs ";

// The names in a job's `state` are short because a million rows carry them.
json::object encode(const Attempt& attempt) {
  json::object out{{"n", attempt.token}, {"e", attempt.cluster}, {"i", attempt.instance}};
  if (attempt.after) out["d"] = attempt.after;
  if (attempt.started_at) out["b"] = attempt.started_at;
  if (attempt.stopped_at) out["s"] = attempt.stopped_at;
  if (attempt.exit_code) out["x"] = *attempt.exit_code;
  if (attempt.cpu_ms) out["u"] = attempt.cpu_ms;
  if (attempt.memory_peak_bytes) out["m"] = attempt.memory_peak_bytes;
  if (!attempt.reason.empty()) out["r"] = attempt.reason;
  if (!attempt.status_reason.empty()) out["sr"] = attempt.status_reason;
  return out;
}

Attempt decode_attempt(const json::object& in) {
  Attempt attempt;
  attempt.token = static_cast<uint64_t>(base::find_int(in, "n").value_or(0));
  attempt.cluster = base::find_string(in, "e").value_or("");
  attempt.instance = base::find_string(in, "i").value_or("");
  attempt.after = static_cast<uint64_t>(base::find_int(in, "d").value_or(0));
  attempt.started_at = base::find_int(in, "b").value_or(0);
  attempt.stopped_at = base::find_int(in, "s").value_or(0);
  if (auto code = base::find_int(in, "x")) attempt.exit_code = static_cast<int>(*code);
  attempt.cpu_ms = base::find_int(in, "u").value_or(0);
  attempt.memory_peak_bytes = base::find_int(in, "m").value_or(0);
  attempt.reason = base::find_string(in, "r").value_or("");
  attempt.status_reason = base::find_string(in, "sr").value_or("");
  return attempt;
}

std::string encode_state(const Job& job) {
  json::object out;
  if (job.started_at) out["b"] = job.started_at;
  if (job.stopped_at) out["s"] = job.stopped_at;
  if (!job.status_reason.empty()) out["r"] = job.status_reason;
  if (!job.stop_reason.empty()) out["sr"] = job.stop_reason;
  int flags =
      (job.cancelled ? 1 : 0) | (job.terminated ? 2 : 0) | (job.timed_out ? 4 : 0) | (job.holds ? 8 : 0);
  if (flags) out["f"] = flags;
  if (job.timeout_s) out["to"] = job.timeout_s;
  if (job.needs && job.parent == 0) {
    json::array needs;
    for (const auto& [resource, quantity] : *job.needs)
      needs.push_back(json::array{resource->name, quantity});
    out["k"] = std::move(needs);
  }
  if (job.tags) out["t"] = *job.tags;
  if (job.array) out["z"] = json::array{job.array->size, job.array->limit, job.array->sequential};
  if (job.current) out["c"] = encode(*job.current);
  if (!job.attempts.empty()) {
    json::array attempts;
    for (const Attempt& attempt : job.attempts) attempts.push_back(encode(attempt));
    out["a"] = std::move(attempts);
  }
  if (out.empty()) return "";
  return json::serialize(out);
}

std::shared_ptr<const ConsumableNeeds> decode_needs(const json::array& in, const Engine& engine) {
  auto needs = std::make_shared<ConsumableNeeds>();
  for (const json::value& need : in)
    if (ConsumableResource* resource = engine.find_consumable(base::view(need.at(0).as_string())))
      needs->emplace_back(resource, need.at(1).as_int64());
  return needs;
}

void decode_state(std::string_view text, Job& job, const Engine& engine) {
  if (text.empty()) return;
  json::value value = base::parse_json(text);
  const json::object& in = value.as_object();
  job.started_at = base::find_int(in, "b").value_or(0);
  job.stopped_at = base::find_int(in, "s").value_or(0);
  job.status_reason = base::find_string(in, "r").value_or("");
  job.stop_reason = base::find_string(in, "sr").value_or("");
  int64_t flags = base::find_int(in, "f").value_or(0);
  job.cancelled = flags & 1;
  job.terminated = flags & 2;
  job.timed_out = flags & 4;
  job.holds = flags & 8;
  job.timeout_s = static_cast<int32_t>(base::find_int(in, "to").value_or(0));
  if (const json::array* needs = base::find_array(in, "k"); needs && !is_finished(job.status))
    job.needs = decode_needs(*needs, engine);
  if (const json::object* tags = base::find_object(in, "t")) job.tags = std::make_unique<json::object>(*tags);
  if (const json::array* array = base::find_array(in, "z")) {
    job.array =
        std::make_unique<ArrayState>(static_cast<int32_t>(array->at(0).as_int64()), array->at(2).as_bool());
    job.array->limit = static_cast<int32_t>(array->at(1).as_int64());
  }
  if (const json::object* current = base::find_object(in, "c"))
    job.current = std::make_unique<Attempt>(decode_attempt(*current));
  if (const json::array* attempts = base::find_array(in, "a"))
    for (const json::value& attempt : *attempts) job.attempts.push_back(decode_attempt(attempt.as_object()));
}

// Throws CorruptError when the queue or definition of the row is not there.
std::unique_ptr<Job> read_job(const sql::Statement& row, const Engine& engine) {
  auto job = std::make_unique<Job>();
  job->seq = static_cast<JobSeq>(row.int64(0));
  job->queue = engine.queue(row.int64(1));
  job->definition = engine.definition(row.int64(2));
  if (!job->queue || !job->definition)
    throw base::CorruptError("job " + std::to_string(job->seq) +
                             " of state.db names a queue or definition that is "
                             "not there");
  job->status = static_cast<JobStatus>(row.int64(3));
  job->created_at = row.int64(4);
  job->vcpus_milli = static_cast<int32_t>(row.int64(5));
  job->memory_mib = row.int64(6);
  job->gpus = static_cast<int32_t>(row.int64(7));
  job->name = row.text(8);
  job->submission = row.text(9);
  decode_state(row.text(10), *job, engine);
  job->parent = static_cast<JobSeq>(row.int64(11));
  if (const Job* parent = job->parent != 0 ? engine.find_job(job->parent) : nullptr) {
    job->name = parent->name;
    job->submission = parent->submission;
  }
  return job;
}

json::object parse_object(std::string_view text) { return base::parse_json(text).as_object(); }

}  // namespace

Store::Store(const std::string& path) {
  sql::SqliteOptions options;
  options.exclusive = true;
  connection_ = sql::open_sqlite(path, options);
  sql::migrate(*connection_, path, kSteps, [this] {
    auto seed = connection_->prepare("INSERT INTO meta(key, value) VALUES ('id_seed', $1)");
    seed->bind_blob(1, base::random_bytes(16)).run();
  });
  auto seed = connection_->prepare("SELECT value FROM meta WHERE key = 'id_seed'");
  if (!seed->step()) throw base::CorruptError(path + " has no id_seed; restore it from a backup");
  id_seed_ = seed->text(0);
  seed->reset();
  insert_job_ = connection_->prepare(
      "INSERT INTO jobs(seq, queue, definition, status, created, vcpus_milli, memory_mib, gpus, name, "
      "submission, "
      "state, parent, share, priority) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)");
  update_job_ = connection_->prepare("UPDATE jobs SET status = $2, state = $3 WHERE seq = $1");
  put_meta_ = connection_->prepare(
      "INSERT INTO meta(key, value) VALUES ($1, $2) "
      "ON CONFLICT(key) DO UPDATE SET value = excluded.value");
}

Store::~Store() = default;

void Store::load_shares(Engine& engine) {
  auto rows = connection_->prepare("SELECT number, name, body, tags FROM policies");
  while (rows->step()) {
    auto policy = std::make_unique<SchedulingPolicy>();
    policy->number = rows->int64(0);
    policy->name = rows->text(1);
    policy->fairshare = parse_object(rows->text(2));
    policy->tags = parse_object(rows->text(3));
    engine.restore(std::move(policy));
  }
  rows = connection_->prepare("SELECT number, name, body, tags FROM consumables");
  while (rows->step()) {
    auto resource = std::make_unique<ConsumableResource>();
    resource->number = rows->int64(0);
    resource->name = rows->text(1);
    json::object body = parse_object(rows->text(2));
    resource->replenishable = body.at("replenishable").as_bool();
    resource->total = body.at("total").as_int64();
    resource->used_up = body.at("used_up").as_int64();
    resource->created_at = body.at("created").as_int64();
    for (const auto& [token, at] : body.at("tokens").as_object()) resource->tokens[token] = at.as_int64();
    resource->tags = parse_object(rows->text(3));
    engine.restore(std::move(resource));
  }
}

void Store::load(Engine& engine) {
  load_shares(engine);
  auto rows = connection_->prepare("SELECT number, name, revision, active, body, tags FROM definitions");
  while (rows->step()) {
    auto definition = std::make_unique<JobDefinition>();
    definition->number = rows->int64(0);
    definition->name = rows->text(1);
    definition->revision = rows->int64(2);
    definition->active = rows->int64(3) != 0;
    definition->body = parse_object(rows->text(4));
    definition->tags = parse_object(rows->text(5));
    engine.restore(std::move(definition));
  }
  std::map<int64_t, ComputeEnvironment*> environments;
  rows = connection_->prepare("SELECT number, name, body, tags FROM environments");
  while (rows->step()) {
    auto environment = std::make_unique<ComputeEnvironment>();
    environment->number = rows->int64(0);
    environment->name = rows->text(1);
    environment->body = parse_object(rows->text(2));
    environment->tags = parse_object(rows->text(3));
    environments[environment->number] = environment.get();
    engine.restore(std::move(environment));
  }
  rows = connection_->prepare("SELECT number, name, body, tags FROM queues");
  while (rows->step()) {
    auto queue = std::make_unique<JobQueue>();
    queue->number = rows->int64(0);
    queue->name = rows->text(1);
    json::object body = parse_object(rows->text(2));
    queue->priority = body.at("priority").as_int64();
    queue->enabled = body.at("enabled").as_bool();
    queue->deleting = body.at("deleting").as_bool();
    queue->deleted = body.at("deleted").as_bool();
    for (const json::value& pair : body.at("environments").as_array()) {
      queue->orders.push_back(pair.at(0).as_int64());
      queue->environments.push_back(environments.at(pair.at(1).as_int64()));
    }
    queue->time_limit_actions = body.at("actions").as_array();
    if (auto policy = base::find_string(body, "policy"))
      queue->line.follow(engine.policies().at(std::string(*policy)).get());
    queue->tags = parse_object(rows->text(3));
    engine.restore(std::move(queue));
  }
  rows = connection_->prepare("SELECT queue, share, vcpu_seconds, at FROM usages");
  while (rows->step())
    engine.restore(Changes::Usage{rows->int64(0), std::string(rows->text(1)), rows->real(2), rows->int64(3)});
  rows = connection_->prepare(std::string(kJobColumns) + "WHERE status < 5 ORDER BY seq");
  std::vector<std::pair<JobSeq, int32_t>> arrays;
  while (rows->step()) {
    std::unique_ptr<Job> job = read_job(*rows, engine);
    job->share = &job->queue->line.share(rows->text(12));
    job->priority = static_cast<int32_t>(rows->int64(13));
    if (job->array) arrays.emplace_back(job->seq, job->array->size);
    engine.restore(std::move(job));
  }
  auto children =
      connection_->prepare("SELECT seq, status FROM jobs WHERE seq > $1 AND seq <= $2 AND status >= 5");
  for (auto [seq, size] : arrays) {
    children->bind(1, static_cast<int64_t>(seq)).bind(2, static_cast<int64_t>(seq) + size);
    while (children->step())
      engine.restore_outcome(seq, static_cast<int32_t>(children->int64(0) - static_cast<int64_t>(seq) - 1),
                             children->int64(1) == static_cast<int64_t>(JobStatus::kSucceeded));
    children->reset();
  }
  JobSeq last_job = 0;
  uint64_t last_token = 0;
  rows = connection_->prepare("SELECT max(seq) FROM jobs");
  if (rows->step() && !rows->is_null(0)) last_job = static_cast<JobSeq>(rows->int64(0));
  rows = connection_->prepare("SELECT value FROM meta WHERE key = 'last_token'");
  if (rows->step()) last_token = std::stoull(std::string(rows->text(0)));
  // Numbers of children that never had a row are used too.
  rows = connection_->prepare("SELECT value FROM meta WHERE key = 'last_job'");
  if (rows->step()) last_job = std::max<JobSeq>(last_job, std::stoull(std::string(rows->text(0))));
  engine.restore_counters(last_job, last_token);
}

void Store::write_job(const Job& job) {
  if (job.stored) {
    update_job_->bind(1, static_cast<int64_t>(job.seq)).bind(2, static_cast<int64_t>(job.status));
    update_job_->bind(3, encode_state(job)).run();
    return;
  }
  insert_job_->bind(1, static_cast<int64_t>(job.seq))
      .bind(2, job.queue->number)
      .bind(3, job.definition->number);
  insert_job_->bind(4, static_cast<int64_t>(job.status)).bind(5, job.created_at);
  insert_job_->bind(6, static_cast<int64_t>(job.vcpus_milli)).bind(7, job.memory_mib);
  insert_job_->bind(8, static_cast<int64_t>(job.gpus))
      .bind(9, job.parent == 0 ? std::string_view(job.name) : "");
  insert_job_->bind(10, job.parent == 0 ? std::string_view(job.submission) : "");
  insert_job_->bind(11, encode_state(job)).bind(12, static_cast<int64_t>(job.parent));
  insert_job_->bind(13, job.share ? std::string_view(job.share->identifier) : "")
      .bind(14, int64_t{job.priority})
      .run();
}

void Store::commit_shares(const Changes& changes) {
  for (int64_t number : changes.deleted_policies)
    connection_->prepare("DELETE FROM policies WHERE number = $1")->bind(1, number).run();
  for (const SchedulingPolicy* p : changes.policies) {
    auto put = connection_->prepare(
        "INSERT INTO policies(number, name, body, tags) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT(number) DO UPDATE SET body = excluded.body, tags = excluded.tags");
    put->bind(1, p->number).bind(2, p->name);
    put->bind(3, json::serialize(p->fairshare)).bind(4, json::serialize(p->tags)).run();
  }
  for (int64_t number : changes.deleted_consumables)
    connection_->prepare("DELETE FROM consumables WHERE number = $1")->bind(1, number).run();
  for (const ConsumableResource* c : changes.consumables) {
    json::object tokens;
    for (const auto& [token, at] : c->tokens) tokens[token] = at;
    json::object body{{"replenishable", c->replenishable},
                      {"total", c->total},
                      {"used_up", c->used_up},
                      {"created", c->created_at},
                      {"tokens", std::move(tokens)}};
    auto put = connection_->prepare(
        "INSERT INTO consumables(number, name, body, tags) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT(number) DO UPDATE SET body = excluded.body, tags = excluded.tags");
    put->bind(1, c->number).bind(2, c->name);
    put->bind(3, json::serialize(body)).bind(4, json::serialize(c->tags)).run();
  }
  if (changes.usages.empty()) return;
  auto put = connection_->prepare(
      "INSERT INTO usages(queue, share, vcpu_seconds, at) VALUES ($1, $2, $3, $4) ON CONFLICT(queue, share) "
      "DO UPDATE SET vcpu_seconds = excluded.vcpu_seconds, at = excluded.at");
  for (const Changes::Usage& usage : changes.usages)
    put->bind(1, usage.queue).bind(2, usage.share).bind(3, usage.vcpu_seconds).bind(4, usage.at).run();
}

void Store::commit(const Changes& changes, const Engine& engine, const Tokens& tokens,
                   const Notices& notices) {
  sql::Transaction transaction(*connection_);
  commit_notices(notices);
  for (const JobDefinition* d : changes.definitions) {
    auto put = connection_->prepare(
        "INSERT INTO definitions(number, name, revision, active, body, tags) VALUES ($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT(number) DO UPDATE SET active = excluded.active, tags = excluded.tags");
    put->bind(1, d->number).bind(2, d->name).bind(3, d->revision).bind(4, int64_t{d->active});
    put->bind(5, json::serialize(d->body)).bind(6, json::serialize(d->tags)).run();
  }
  // First what is gone: its name may be in use again.
  for (int64_t number : changes.deleted_environments)
    connection_->prepare("DELETE FROM environments WHERE number = $1")->bind(1, number).run();
  for (const ComputeEnvironment* e : changes.environments) {
    auto put = connection_->prepare(
        "INSERT INTO environments(number, name, body, tags) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT(number) DO UPDATE SET body = excluded.body, tags = excluded.tags");
    put->bind(1, e->number)
        .bind(2, e->name)
        .bind(3, json::serialize(e->body))
        .bind(4, json::serialize(e->tags))
        .run();
  }
  commit_shares(changes);
  for (const JobQueue* q : changes.queues) {
    json::array environments;
    for (size_t i = 0; i < q->environments.size(); ++i)
      environments.push_back(json::array{q->orders[i], q->environments[i]->number});
    json::object body{{"priority", q->priority},      {"enabled", q->enabled},
                      {"deleting", q->deleting},      {"deleted", q->deleted},
                      {"environments", environments}, {"actions", q->time_limit_actions}};
    if (q->line.policy()) body["policy"] = q->line.policy()->name;
    auto put = connection_->prepare(
        "INSERT INTO queues(number, name, body, tags) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT(number) DO UPDATE SET body = excluded.body, tags = excluded.tags");
    put->bind(1, q->number)
        .bind(2, q->name)
        .bind(3, json::serialize(body))
        .bind(4, json::serialize(q->tags))
        .run();
  }
  for (const Job* job : changes.jobs) write_job(*job);
  if (!changes.jobs.empty())
    put_meta_->bind(1, std::string_view("last_token"))
        .bind_blob(2, std::to_string(engine.counters().second))
        .run();
  if (std::any_of(changes.jobs.begin(), changes.jobs.end(),
                  [](const Job* job) { return job->array && !job->stored; }))
    put_meta_->bind(1, std::string_view("last_job"))
        .bind_blob(2, std::to_string(engine.counters().first))
        .run();
  if (!tokens.empty()) {
    auto put = connection_->prepare("INSERT INTO submission_tokens(job, token) VALUES ($1, $2)");
    for (const auto& [token, job] : tokens) put->bind(1, static_cast<int64_t>(job)).bind(2, token).run();
  }
  transaction.commit();
  for (Job* job : changes.jobs) job->stored = true;
}

std::optional<JobSeq> Store::job_of_token(std::string_view token) {
  auto row = connection_->prepare("SELECT job FROM submission_tokens WHERE token = $1");
  row->bind(1, token);
  if (!row->step()) return std::nullopt;
  return static_cast<JobSeq>(row->int64(0));
}

void Store::probe() {
  sql::Transaction transaction(*connection_);
  // Other bytes each time: SQLite writes nothing for a row that stays what it is.
  put_meta_->bind(1, std::string_view("probe")).bind_blob(2, base::random_bytes(4096)).run();
  transaction.commit();
}

bool Store::purge(TimeMs before, int64_t most, const Engine& engine) {
  // Oldest first in each queue; what was submitted later than `before` cannot have ended before it.
  constexpr std::array<const char*, 2> kOldest = {
      "SELECT queue, seq, created, state FROM jobs WHERE status = 5 AND parent = 0 AND (queue, seq) > ($1, "
      "$2) "
      "ORDER BY queue, seq LIMIT 1",
      "SELECT queue, seq, created, state FROM jobs WHERE status = 6 AND parent = 0 AND (queue, seq) > ($1, "
      "$2) "
      "ORDER BY queue, seq LIMIT 1"};
  sql::Transaction transaction(*connection_);
  auto drop = connection_->prepare("DELETE FROM jobs WHERE seq = $1");
  auto drop_token = connection_->prepare("DELETE FROM submission_tokens WHERE job = $1");
  auto drop_children = connection_->prepare(
      "DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE seq > $1 AND seq <= $2 LIMIT $3)");
  auto changed = connection_->prepare("SELECT changes()");
  int64_t left = most;
  for (size_t which = 0; which < kOldest.size(); ++which) {
    auto oldest = connection_->prepare(kOldest[which]);
    Place& place = purged_to_[which];
    for (; left > 0; --left) {
      oldest->bind(1, place.queue).bind(2, place.seq);
      bool found = oldest->step();
      if (!found) {
        place = {};
        break;
      }
      Place here{oldest->int64(0), oldest->int64(1)};
      TimeMs created = oldest->int64(2);
      Job job;
      job.status = which == 0 ? JobStatus::kSucceeded : JobStatus::kFailed;
      decode_state(oldest->text(3), job, engine);
      oldest->reset();
      if (created >= before) {
        place = {here.queue + 1, -1};  // on to the next queue
        continue;
      }
      if (job.stopped_at >= before) {
        place = here;
        continue;
      }
      if (job.array) {
        drop_children->bind(1, here.seq).bind(2, here.seq + job.array->size).bind(3, left).run();
        changed->step();
        left -= changed->int64(0);
        changed->reset();
        if (left <= 0) break;
      }
      drop->bind(1, here.seq).run();
      drop_token->bind(1, here.seq).run();
      place = here;
    }
  }
  // No window of a scheduling policy is longer than a week.
  connection_->prepare("DELETE FROM usages WHERE at < $1 - 604800000")->bind(1, before).run();
  transaction.commit();
  return left <= 0;
}

std::unique_ptr<Job> Store::load_job(JobSeq seq, const Engine& engine) {
  auto row = connection_->prepare(std::string(kJobColumns) + "WHERE seq = $1");
  row->bind(1, static_cast<int64_t>(seq));
  if (!row->step()) return nullptr;
  std::unique_ptr<Job> job = read_job(*row, engine);
  if (job->parent != 0 && job->submission.empty()) {
    auto parent = connection_->prepare("SELECT name, submission FROM jobs WHERE seq = $1");
    parent->bind(1, static_cast<int64_t>(job->parent));
    if (!parent->step()) return nullptr;
    job->name = parent->text(0);
    job->submission = parent->text(1);
  }
  if (job->array) {
    auto count = connection_->prepare(
        "SELECT status, count(*) FROM jobs WHERE seq > $1 AND seq <= $2 GROUP BY status");
    count->bind(1, static_cast<int64_t>(seq)).bind(2, static_cast<int64_t>(seq) + job->array->size);
    while (count->step())
      job->array->counts.at(static_cast<size_t>(count->int64(0))) = static_cast<int32_t>(count->int64(1));
  }
  return job;
}

void Store::load_children(Job& parent) {
  auto rows =
      connection_->prepare("SELECT seq, status FROM jobs WHERE seq > $1 AND seq <= $2 AND status >= 5");
  rows->bind(1, static_cast<int64_t>(parent.seq))
      .bind(2, static_cast<int64_t>(parent.seq) + parent.array->size);
  while (rows->step()) {
    bool succeeded = rows->int64(1) == static_cast<int64_t>(JobStatus::kSucceeded);
    parent.array->made.at(static_cast<size_t>(rows->int64(0)) - parent.seq - 1) =
        succeeded ? ArrayState::kSucceeded : ArrayState::kFailed;
  }
}

void Store::children(const Job& parent, int32_t from, const Engine& engine,
                     const std::function<bool(const Job&)>& visit) {
  auto rows = connection_->prepare(std::string(kJobColumns) +
                                   "WHERE seq >= $1 AND seq <= $2 AND status >= 5 ORDER BY seq");
  rows->bind(1, static_cast<int64_t>(parent.seq) + 1 + from);
  rows->bind(2, static_cast<int64_t>(parent.seq) + parent.array->size);
  while (rows->step()) {
    std::unique_ptr<Job> child = read_job(*rows, engine);
    child->name = parent.name;
    child->submission = parent.submission;
    if (!visit(*child)) return;
  }
}

void Store::finished_jobs(int64_t queue, std::optional<JobStatus> status, JobSeq below, const Engine& engine,
                          const std::function<bool(const Job&)>& visit) {
  int64_t start = below == 0 ? INT64_MAX : static_cast<int64_t>(below);
  // Each state is one range of its own index; the two are merged here.
  struct Range {
    std::unique_ptr<sql::Statement> rows;
    bool more;
  };
  std::vector<Range> ranges;
  for (const auto& [wanted, condition] : {std::pair(JobStatus::kSucceeded, "status = 5 AND parent = 0"),
                                          std::pair(JobStatus::kFailed, "status = 6 AND parent = 0")}) {
    if (status && *status != wanted) continue;
    auto rows = connection_->prepare(
        fmt::format("{}WHERE {} AND queue = $1 AND seq < $2 ORDER BY seq DESC", kJobColumns, condition));
    rows->bind(1, queue).bind(2, start);
    bool more = rows->step();
    ranges.push_back({std::move(rows), more});
  }
  for (;;) {
    Range* next = nullptr;
    for (Range& range : ranges)
      if (range.more && (!next || range.rows->int64(0) > next->rows->int64(0))) next = &range;
    if (!next || !visit(*read_job(*next->rows, engine))) return;
    next->more = next->rows->step();
  }
}

}  // namespace millrace::engine
