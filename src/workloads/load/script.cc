#include "workloads/load/script.h"

#include <filesystem>

#include "base/error.h"
#include "base/strings.h"
#include "sql/connection.h"
#include "sql/copy_in.h"
#include "workloads/load/source.h"

namespace millrace::load {
namespace {

namespace json = base::json;

constexpr size_t kScriptBytesMax = 4 << 20;
constexpr int kRowsShown = 20;

// The first word, in upper case.
std::string first_word(std::string_view sql) {
  std::string word;
  for (const char c : sql) {
    if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) break;
    word += static_cast<char>(c & ~0x20);
  }
  return word;
}

class ScriptParser {
 public:
  explicit ScriptParser(std::string_view text) : text_(text) {}

  std::vector<ScriptStatement> parse() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (starts("--")) {
        skip_to("\n");
      } else if (starts("/*")) {
        skip_comment();
      } else if (c == '\'' || c == '"') {
        quoted(c);
      } else if (c == '$' && dollar_quoted()) {
        continue;
      } else if (c == ';') {
        end();
        ++at_;
      } else if (c == '\\' && base::trim(statement_).empty()) {
        command();
      } else {
        if (base::trim(statement_).empty() && c != '\n' && c != ' ' && c != '\t' && c != '\r') {
          statement_.clear();
          line_ = line_at();
        }
        statement_ += c;
        ++at_;
      }
    }
    end();
    return std::move(statements_);
  }

 private:
  uint64_t line_at() {
    for (; counted_ < at_; ++counted_) lines_ += text_[counted_] == '\n';
    return lines_;
  }
  bool starts(std::string_view with) const { return text_.substr(at_).starts_with(with); }
  void skip_to(std::string_view end) {
    const size_t found = text_.find(end, at_);
    at_ = found == std::string_view::npos ? text_.size() : found + (end == "\n" ? 0 : end.size());
  }
  void skip_comment() {  // they nest
    int depth = 0;
    do {
      if (starts("/*")) {
        ++depth;
        at_ += 2;
      } else if (starts("*/")) {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0 && at_ < text_.size());
    statement_ += ' ';
  }
  void quoted(char quote) {
    if (base::trim(statement_).empty()) line_ = line_at();
    const bool escapes = quote == '\'' && !statement_.empty() &&
                         (statement_.back() == 'E' || statement_.back() == 'e') &&
                         (statement_.size() == 1 ||
                          !std::isalnum(static_cast<unsigned char>(statement_[statement_.size() - 2])));
    const size_t begin = at_++;
    while (at_ < text_.size() && text_[at_] != quote) at_ += escapes && text_[at_] == '\\' ? 2 : 1;
    at_ = std::min(at_ + 1, text_.size());
    statement_ += text_.substr(begin, at_ - begin);
  }
  bool dollar_quoted() {
    size_t tag = at_ + 1;
    while (tag < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[tag])) || text_[tag] == '_'))
      ++tag;
    if (tag >= text_.size() || text_[tag] != '$') return false;
    const std::string_view mark = text_.substr(at_, tag + 1 - at_);
    const size_t end = text_.find(mark, tag + 1);
    const size_t stop = end == std::string_view::npos ? text_.size() : end + mark.size();
    statement_ += text_.substr(at_, stop - at_);
    at_ = stop;
    return true;
  }
  void end() {
    std::string sql(base::trim(statement_));
    statement_.clear();
    if (sql.empty()) return;
    const std::string word = first_word(sql);
    for (const char* own : {"BEGIN", "COMMIT", "ROLLBACK", "START", "END", "ABORT"})
      if (word == own)
        throw base::UsageError(
            "line " + std::to_string(line_) + ": " + word +
            ": the script is one transaction already, so that it is done whole or not at all");
    statements_.push_back({line_, std::move(sql), ""});
  }
  void command() {
    line_ = line_at();
    const size_t stop = std::min(text_.find('\n', at_), text_.size());
    std::string_view rest = base::trim(text_.substr(at_, stop - at_));
    at_ = stop;
    statement_.clear();
    while (rest.ends_with(';')) rest = base::trim(rest.substr(0, rest.size() - 1));
    const std::string where = "line " + std::to_string(line_) + ": ";
    if (!base::to_lower(rest).starts_with("\\copy "))
      throw base::UsageError(where + std::string(rest.substr(0, 40)) +
                             ": of psql's own commands only \\copy is known");
    rest = base::trim(rest.substr(6));
    // TABLE [(COLUMNS)] FROM 'FILE' OPTIONS
    const std::string lower = base::to_lower(rest);
    size_t from = std::string::npos;
    int depth = 0;
    for (size_t at = 0; at + 6 <= lower.size(); ++at) {
      depth += lower[at] == '(' ? 1 : lower[at] == ')' ? -1 : 0;
      const bool before = at == 0 || lower[at - 1] == ' ' || lower[at - 1] == ')' || lower[at - 1] == '\t';
      if (depth == 0 && before && lower.compare(at, 4, "from") == 0 &&
          (lower[at + 4] == ' ' || lower[at + 4] == '\'')) {
        from = at;
        break;
      }
    }
    if (from == std::string::npos) throw base::UsageError(where + "\\copy: only TABLE FROM 'FILE' is known");
    std::string_view tail = base::trim(rest.substr(from + 4));
    ScriptStatement statement;
    statement.line = line_;
    if (tail.starts_with('\'')) {
      size_t close = 1;
      for (; close < tail.size(); ++close) {
        if (tail[close] == '\'') {
          if (close + 1 >= tail.size() || tail[close + 1] != '\'') break;
          ++close;
        }
        statement.copy_file += tail[close];
      }
      if (close >= tail.size()) throw base::UsageError(where + "\\copy: a quote is never closed");
      tail.remove_prefix(close + 1);
    } else {
      const size_t space = std::min(tail.find(' '), tail.size());
      statement.copy_file = tail.substr(0, space);
      tail.remove_prefix(space);
    }
    const std::string file_word = base::to_lower(statement.copy_file);
    if (statement.copy_file.empty() || file_word == "stdin" || file_word == "pstdin" ||
        file_word == "program")
      throw base::UsageError(where + "\\copy: only files are known");
    statement.sql = "COPY " + std::string(base::trim(rest.substr(0, from))) + " FROM STDIN " +
                    std::string(base::trim(tail));
    statements_.push_back(std::move(statement));
  }

  const std::string_view text_;
  size_t at_ = 0, counted_ = 0;
  uint64_t lines_ = 1, line_ = 1;
  std::string statement_;
  std::vector<ScriptStatement> statements_;
};

std::string place_of(const std::string& named, const LoadOptions& options, const std::string& script) {
  const auto base_name = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
  if (!options.source.empty() && base_name(named) == base_name(options.source)) return options.source;
  if (named.starts_with("s3://") || named.starts_with('/')) return named;
  return (std::filesystem::path(script).parent_path() / named).string();
}

void run_in(sql::Connection& connection, const std::vector<ScriptStatement>& statements,
            const LoadOptions& options, const std::string& file, json::array& said) {
  sql::Transaction transaction(connection);
  for (const ScriptStatement& statement : statements) {
    if (options.stop && *options.stop) throw base::TransientError("stopped; nothing was changed");
    const std::string word = first_word(statement.sql);
    json::object entry{{"line", statement.line}, {"statement", statement.sql.substr(0, 500)}};
    try {
      if (!statement.copy_file.empty()) {
        auto source = open_source(place_of(statement.copy_file, options, file));
        auto stream = source->open();
        auto copy = sql::copy_in(connection, statement.sql);
        std::string block(1 << 18, '\0');
        while (const size_t got = stream->read(block.data(), block.size())) copy->write({block.data(), got});
        const int64_t rows = copy->finish();
        options.say("COPY " + std::to_string(rows));
        entry["rows"] = rows;
        entry["source"] =
            json::object{{"name", source->version().name}, {"version", source->version().version}};
      } else if (word == "SELECT" || word == "WITH" || word == "TABLE" || word == "VALUES" ||
                 word == "SHOW") {
        auto query = connection.prepare(statement.sql);
        json::array rows;
        int64_t count = 0;
        while (query->step()) {
          if (++count > kRowsShown) continue;
          std::string shown;
          json::array values;
          for (int column = 0; column < query->columns(); ++column) {
            const std::string text(query->is_null(column) ? "" : query->text(column));
            shown += (column ? " | " : "") + text;
            values.emplace_back(text);
          }
          options.say(base::replace_all(statement.sql, "\n", " ").substr(0, 80) + ": " + shown);
          rows.emplace_back(std::move(values));
        }
        entry["rows"] = std::move(rows);
      } else {
        connection.execute(statement.sql);
        options.say(word + " done (line " + std::to_string(statement.line) + ")");
      }
    } catch (const base::Error& error) {
      throw base::ConflictError(file + ", line " + std::to_string(statement.line) + ": " + error.what() +
                                "; nothing of the script was done");
    }
    said.emplace_back(std::move(entry));
  }
  if (!options.dry_run) transaction.commit();
}

}  // namespace

std::vector<ScriptStatement> parse_script(std::string_view text) { return ScriptParser(text).parse(); }

void run_script(const LoadOptions& options, const std::string& file, workloads::JobResult& result) {
  const std::string text = read_small_source(file, kScriptBytesMax);
  const std::vector<ScriptStatement> statements = parse_script(text);
  if (statements.empty()) throw base::UsageError(file + " has no statements");
  json::array targets;
  size_t failed = 0;
  std::string first_error;
  for (const std::string& database : options.databases) {
    const std::string shown = sql::without_password(database);
    json::object target{{"database", shown}};
    json::array said;
    try {
      std::string url = database;
      if (is_redshift(url)) url = "postgresql" + url.substr(url.find("://"));
      auto connection = url.find("://") == std::string::npos ? sql::open_sqlite(url) : sql::open_url(url);
      options.say("running " + file + " in " + shown);
      run_in(*connection, statements, options, file, said);
      target["status"] = options.dry_run ? "dry-run" : "done";
      result.count("statements", static_cast<int64_t>(statements.size()));
    } catch (const base::UsageError&) {
      throw;
    } catch (const base::Error& error) {
      ++failed;
      if (first_error.empty()) first_error = error.what();
      options.say(shown + ": " + error.what());
      target["status"] = "failed";
      target["error"] = error.what();
      result.item_failed(shown, error.what());
    }
    target["statements"] = std::move(said);
    targets.emplace_back(std::move(target));
  }
  result.detail("script", json::string(file));
  result.detail("targets", std::move(targets));
  if (failed == options.databases.size()) result.fail(first_error);
}

}  // namespace millrace::load
