#include "workloads/load/load.h"

#include <algorithm>
#include <exception>
#include <map>

#include "base/error.h"
#include "base/strings.h"
#include "sql/connection.h"
#include "workloads/load/outcome.h"
#include "workloads/load/plan.h"
#include "workloads/load/redshift.h"

namespace millrace::load {
namespace {

constexpr int kRoundsMax = 5;  // an object that is overwritten all the time has to be given up some day
constexpr uint64_t kPackedTimes = 4;   // what compressed files grow by, roughly
constexpr uint64_t kStopEvery = 4096;  // rows between looks at the stop signal

namespace json = base::json;

const char* plural(int64_t count) { return count == 1 ? "" : "s"; }

std::string rows_shown(int64_t count) { return std::to_string(count) + " row" + plural(count); }

// One job: its source is opened anew whenever a newer version may count.
class Load {
 public:
  Load(const LoadOptions& options, workloads::JobResult& result)
      : options_(options),
        result_(result),
        table_(parse_table_name(options.table)),
        rejects_(options.explain ? "" : options.rejects, options.max_rejects) {}

  void run() {
    std::map<std::string, Outcome> done;  // by database
    std::map<std::string, std::string> failed;
    for (int round = 0; round < kRoundsMax; ++round) {
      bool changed = false;
      for (const std::string& database : options_.databases) {
        if (const auto found = done.find(database);
            found != done.end() && source_ && found->second.version.version == source_->version().version)
          continue;
        if (failed.contains(database)) continue;
        if (options_.stop && *options_.stop) {
          failed[database] = "stopped; nothing was changed";
          continue;
        }
        try {
          done[database] = load_into(database);
        } catch (const base::Error& error) {
          // Options that fit no database are told as wrong usage, but not once another one has been loaded.
          if (error.kind() == base::ErrorKind::kUsage && done.empty() && failed.empty()) throw;
          if (error.code() == "SourceChanged" && round + 1 < kRoundsMax) {
            options_.say(std::string(error.what()) + "; the newer version is loaded instead");
            source_.reset();
            changed = true;
            break;
          }
          failed[database] = error.what();
          options_.say(sql::without_password(database) + ": " + error.what());
        }
      }
      // All databases shall have the same version: the one that the last of them took.
      for (const auto& [database, outcome] : done)
        changed |=
            source_ && outcome.version.version != source_->version().version && !failed.contains(database);
      if (!changed) break;
    }
    // Overwritten faster than it could be loaded.
    for (const auto& [database, outcome] : done)
      if (source_ && outcome.version.version != source_->version().version && !failed.contains(database))
        failed[database] = "has version " + outcome.version.version + ", the others a newer one";
    report(done, failed);
    try {
      rejects_.publish();
    } catch (const base::Error& error) {
      // What was loaded stays loaded, so this is no failure of the whole.
      result_.item_failed(options_.rejects,
                          std::string("the rejected rows could not be stored: ") + error.what());
    }
  }

 private:
  void report(const std::map<std::string, Outcome>& done, const std::map<std::string, std::string>& failed) {
    json::array targets;
    for (const std::string& database : options_.databases) {
      const std::string shown = sql::without_password(database);
      json::object target{{"database", shown}, {"table", options_.table}};
      if (const auto found = failed.find(database); found != failed.end()) {
        target["status"] = "failed";
        target["error"] = found->second;
        result_.item_failed(shown, found->second);
      } else if (const auto outcome = done.find(database); outcome != done.end()) {
        const Outcome& o = outcome->second;
        target["table"] = o.shown_table;
        target["status"] = o.status;
        target["version"] = o.version.version;
        target["rows"] = o.rows;
        target["rejected"] = o.rejects;
        if (o.status == "loaded" || o.status == "dry-run") {
          target["rows_before"] = o.applied.rows_before;
          target["rows_after"] = o.applied.rows_after;
          target["inserted"] = o.applied.inserted;
          target["updated"] = o.applied.updated;
          target["deleted"] = o.applied.deleted;
          target["unchanged"] = o.applied.unchanged;
          if (o.applied.not_sent) target["not_sent"] = o.applied.not_sent;
          result_.count("rows", o.rows);
          result_.count("inserted", o.applied.inserted);
          result_.count("updated", o.applied.updated);
          result_.count("deleted", o.applied.deleted);
          result_.count("unchanged", o.applied.unchanged);
        }
        result_.count("rejected", o.rejects);
        result_.count(o.status == "loaded" ? "targets_loaded" : "targets_skipped");
      }
      targets.emplace_back(std::move(target));
    }
    if (source_) {
      const SourceVersion& version = source_->version();
      result_.detail("source", json::object{{"name", version.name},
                                            {"version", version.version},
                                            {"etag", version.etag},
                                            {"size", version.size},
                                            {"modified",
                                             version.modified ? base::iso8601(version.modified, true) : ""}});
    }
    result_.detail("targets", std::move(targets));
    if (!failed.empty() && failed.size() == options_.databases.size()) result_.fail(failed.begin()->second);
  }

  Outcome load_into(const std::string& database) {
    const std::string shown = sql::without_password(database);
    if (is_redshift(database)) {
      source_ = open();
      return load_into_redshift(database, options_, *source_);
    }
    auto target = open_target(database, table_);
    target->begin([&] { options_.say("waiting for another load of " + table_.shown() + " in " + shown); },
                  options_.dry_run || options_.explain);
    // Only now, behind the lock: what is loaded is the newest version, and no other load can be beside this.
    auto fresh = open();
    if (!source_ || fresh->version().version != source_->version().version ||
        fresh->version().version.empty()) {
      if (!source_ || !fresh->version().version.empty()) source_ = std::move(fresh);
    }
    Outcome outcome;
    outcome.version = source_->version();
    outcome.shown_table = table_.shown();
    if (const char* why = why_not(*target, outcome.version)) {
      outcome.status = why;
      options_.say(table_.shown() + " in " + shown + ": this version of " + outcome.version.name +
                   (outcome.status == "already" ? " was loaded before; nothing to do (--force loads it again)"
                                                : " is older than the one that was loaded; nothing to do"));
      return outcome;
    }
    try {
      load_rows(*target, shown, outcome);
    } catch (const base::ConflictError& error) {
      // Overwritten while it was read: the ETag or the file's time no longer matches.
      auto now = open();
      if (!outcome.version.version.empty() && now->version().version != outcome.version.version)
        throw base::ConflictError(error.what(), "SourceChanged");
      throw;
    }
    return outcome;
  }

  // What is to be loaded now. Versions that are appended are all wanted, so it is the one that the event
  // named, or the first that was seen, for every database; else the newest wins.
  std::unique_ptr<Source> open() {
    if (options_.mode != Mode::kAppend) {
      try {
        return open_source(options_.source);
      } catch (const base::NotFoundError&) {
        if (options_.version_id.empty()) throw;  // else: deleted since, and what was uploaded is still there
      }
    }
    if (version_id_.empty()) version_id_ = options_.version_id;
    auto source = open_source(options_.source, version_id_);
    version_id_ = source->version().version_id;
    return source;
  }

  // Why there is nothing to do; null: there is.
  const char* why_not(Target& target, const SourceVersion& version) {
    if (options_.force || options_.explain || version.version.empty()) return nullptr;
    // A version that is appended once must never be again, however long ago that was.
    return needless(options_.mode, version,
                    target.loads(version.name, options_.mode == Mode::kAppend ? 1'000'000 : 1),
                    target.loads({}, 1));
  }

  void load_rows(Target& target, const std::string& shown, Outcome& outcome) {
    std::optional<Table> table = target.table();
    std::vector<std::string> known;
    if (table)
      for (const Column& column : table->columns)
        if (!column.generated) known.push_back(column.name);
    if (!table && !options_.create && !options_.explain)
      throw base::NotFoundError("there is no table " + table_.shown() + " in " + shown +
                                "; --create makes it with the types that the file needs");
    if (known.empty())
      for (const NamedColumn& column : options_.columns) known.push_back(column.column.name);
    const bool guess = !table || options_.new_columns == Drift::kAdd || options_.explain;
    ReadOptions read = options_.read;
    for (;;) {
      FileShape shape = examine(*source_, read, known, guess);
      if (options_.explain) return explain(target, table, shape, outcome);
      bool created = false;
      if (!table) {
        Table made;
        made.columns = columns_for(shape, options_);
        made.key = options_.key;
        for (Column& column : made.columns) column.declared = declared_type(column, target.dialect());
        target.create(made.columns, made.key);
        options_.say("created " + create_sql(made, target.dialect()));
        table = target.table();
        created = true;
      }
      Match match = match_columns(shape, *table, options_);
      if (!match.new_columns.empty()) {
        target.add_columns(match.new_columns);
        for (const Column& column : match.new_columns)
          options_.say("added column " + column.name + " " + declared_type(column, target.dialect()));
        table = target.table();
        match = match_columns(shape, *table, options_);
      }
      if (!match.ignored.empty()) options_.say("not loaded: column " + base::join(match.ignored, ", "));
      if (!match.left_out.empty())
        options_.say("not in the file, so left to their defaults: column " +
                     base::join(match.left_out, ", "));
      match.plan.compare = options_.compare;
      match.plan.source_bytes =
          source_->version().size *
          (shape.compression == Compression::kNone && shape.format != Format::kParquet ? 1 : kPackedTimes);
      rejects_.begin(shown, outcome.version.name);
      std::string checksum;
      pass(target, shape, read, match.plan, outcome, checksum);
      // Types that were inferred from a part of the file only, and did not hold for the rest.
      if (created && rejects_.count() > 0 && !shape.sampled_all && read.sample_bytes != UINT64_MAX) {
        throw base::CorruptError("types inferred from the first " + base::human_bytes(read.sample_bytes) +
                                 " do not hold for the rest: " + rejects_.shown()[0] +
                                 "; say --sample all, or the types with --columns");
      }
      finish(target, shown, outcome, checksum);
      return;
    }
  }

  std::string create_sql(const Table& made, Dialect dialect) const {
    std::string text = table_.shown() + " (";
    for (const Column& column : made.columns)
      text += (text.ends_with('(') ? "" : ", ") + column.name + " " + declared_type(column, dialect);
    return text + ")";
  }

  // All rows into the target, checked.
  void pass(Target& target, const FileShape& shape, const ReadOptions& read, const Plan& plan,
            Outcome& outcome, std::string& checksum) {
    for (;;) {
      target.prepare(plan);
      auto rows = read_rows(*source_, shape, read, options_.new_columns == Drift::kIgnore,
                            [&](const std::string& digest) { checksum = digest; });
      Row row;
      Problem problem;
      uint64_t all = 0;
      while (rows->next(row)) {
        if (++all % kStopEvery == 0 && options_.stop && *options_.stop)
          throw base::TransientError("stopped; nothing was changed");
        if (row.problem.empty() && target.add(row, problem)) continue;
        if (!row.problem.empty()) {
          problem.column.clear();
          problem.value = row.cells.empty() ? "" : row.cells[0].text;
          problem.reason = row.problem;
        }
        problem.line = row.line;
        problem.offset = row.offset;
        problem.has_offset = shape.format != Format::kParquet;
        rejects_.add(problem);
        if (rejects_.hopeless()) break;
      }
      outcome.rows = static_cast<int64_t>(all);
      refuse_if_too_many(all);
      if (target.finish_rows([&](const Problem& double_key) { rejects_.add(double_key); })) {
        refuse_if_too_many(all);
        outcome.rejects = static_cast<int64_t>(rejects_.count());
        outcome.rows = static_cast<int64_t>(all - rejects_.count());
        return;
      }
      rejects_.again();
    }
  }

  void refuse_if_too_many(uint64_t rows) {
    if (rejects_.count() == 0 || !rejects_.too_many_of(rows)) return;
    std::string message = std::to_string(rejects_.count()) + (rejects_.hopeless() ? " or more" : "") +
                          " row" + plural(static_cast<int64_t>(rejects_.count())) +
                          " rejected, and --max-rejects is " + rejects_.limit_shown() +
                          "; the table is as it was";
    for (const std::string& reject : rejects_.shown()) message += "\n  " + reject;
    result_.count("rejected", static_cast<int64_t>(rejects_.count()));
    throw base::CorruptError(message);
  }

  void finish(Target& target, const std::string& shown, Outcome& outcome, const std::string& checksum) {
    outcome.applied = target.apply();
    const Applied& a = outcome.applied;
    const SourceVersion& version = outcome.version;
    LedgerEntry entry;
    entry.source = version.name;
    entry.version = version.version;
    entry.etag = version.etag;
    entry.modified = version.modified;
    entry.size = version.size;
    entry.mode = mode_name(options_.mode);
    entry.rows = outcome.rows;
    entry.rejects = outcome.rejects;
    entry.checksum = checksum;
    entry.job = options_.job;
    entry.attempt = options_.attempt;
    target.note(entry);
    outcome.status = options_.dry_run ? "dry-run" : "loaded";
    if (!options_.dry_run) target.commit();
    options_.say(table_.shown() + " in " + shown + ": " + (a.before_estimated ? "about " : "") +
                 rows_shown(a.rows_before) + " before");
    options_.say(table_.shown() + " in " + shown + ": " + (a.before_estimated ? "about " : "") +
                 rows_shown(a.rows_after) + " after: " + std::to_string(a.inserted) + " inserted, " +
                 std::to_string(a.updated) + " updated, " + std::to_string(a.deleted) + " deleted, " +
                 std::to_string(a.unchanged) + " unchanged" +
                 (outcome.rejects ? ", " + rows_shown(outcome.rejects) + " rejected" : "") +
                 (options_.dry_run ? " (dry run: taken back)" : ""));
  }

  void explain(Target& target, const std::optional<Table>& table, const FileShape& shape, Outcome& outcome) {
    outcome.status = "explained";
    options_.say(
        outcome.version.name + ": " + shape.shown() + ", " + std::to_string(shape.width) +
        " columns; types from " +
        (shape.sampled_all ? "the whole file"
                           : "the first " + base::human_bytes(options_.read.sample_bytes)) +
        (shape.types.empty() ? " (" + rows_shown(static_cast<int64_t>(shape.sampled_rows)) + ")" : ""));
    const std::vector<std::string> names = file_names(shape, options_);
    Table made;
    made.columns = columns_for(shape, options_);
    for (size_t i = 0; i < shape.guesses.size(); ++i) {
      const TypeGuess& guess = shape.guesses[i];
      Column column;
      column.type = guess.type();
      options_.say("  " + (i < names.size() ? names[i] : "c" + std::to_string(i + 1)) + ": " +
                   declared_type(column, target.dialect()) + ", " + std::to_string(guess.nulls()) + " NULL" +
                   (guess.values() ? ", such as " + guess.example() : "") +
                   (guess.spoiler().empty() ? "" : "; text because of " + guess.spoiler()));
    }
    if (!table) {
      options_.say("the table is not there; --create makes " + create_sql(made, target.dialect()));
      return;
    }
    const Match match = match_columns(shape, *table, options_);
    for (const PlannedColumn& planned : match.plan.columns)
      options_.say("  column " + std::to_string(planned.cell + 1) + " -> " + planned.column.name + " " +
                   declared_type(planned.column, target.dialect()));
    for (const std::string& name : match.ignored) options_.say("  " + name + " is not loaded");
    for (const std::string& name : match.left_out) options_.say("  " + name + " is not in the file");
  }

  const LoadOptions& options_;
  workloads::JobResult& result_;
  const TableName table_;
  Rejects rejects_;
  std::unique_ptr<Source> source_;
  std::string version_id_;  // once it must not change any more
};

}  // namespace

const char* mode_name(Mode mode) {
  return mode == Mode::kReplace ? "replace" : mode == Mode::kAppend ? "append" : "upsert";
}

void run_load(const LoadOptions& options, workloads::JobResult& result) { Load(options, result).run(); }

}  // namespace millrace::load
