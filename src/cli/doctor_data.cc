// What is on disk: the engine's folder, and the list of repositories.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/strings.h"
#include "cli/data_folder.h"
#include "cli/doctor.h"
#include "sql/connection.h"
#include "workloads/ingest/repository.h"
#include "workloads/ingest/repository_list.h"
#include "workloads/text.h"

namespace millrace::cli {
namespace {

using State = Check::State;

constexpr size_t kDatabasesMax = 1000;
constexpr size_t kNamed = 5;  // rows of a list that are wrong

// SQLite's own check of one file.
Check check_file(const std::string& file, bool engine_runs) {
  const std::string name = "data " + std::filesystem::path(file).filename().string();
  try {
    const auto connection = sql::open_sqlite(file, {.durable = false, .exclusive = false, .read_only = true});
    auto check = connection->prepare("PRAGMA quick_check(1)");
    check->step();
    const std::string said(check->text(0));
    if (said == "ok") return {State::kOk, name, file + " is whole", ""};
    return {State::kBroken, name, file + ": " + said, "stop the engine and restore the file from a backup"};
  } catch (const base::CorruptError& error) {
    return {State::kBroken, name, error.what(), "stop the engine and restore the file from a backup"};
  } catch (const base::Error& error) {
    if (engine_runs) return {State::kSkipped, name, file + " is in use by the engine", ""};
    return {State::kBroken, name, error.what(), "can this user read it, and write beside it?"};
  }
}

void check_modes(const DataFolder& folder, Checks& checks) {
  struct stat info{};
  if (stat(folder.path.c_str(), &info) != 0) return;
  if ((info.st_mode & 077) != 0)
    checks.push_back({State::kWarning, "data", folder.path + " is open to other users: there are keys in it",
                      "chmod 700 " + folder.path});
  if (info.st_uid != geteuid() && geteuid() != 0)
    checks.push_back(
        {State::kWarning, "data", folder.path + " belongs to another user", "run this as that user"});
}

}  // namespace

Checks check_data(const std::string& path) {
  const DataFolder folder = name_data_folder(path);
  std::error_code error;
  if (!std::filesystem::is_directory(folder.path, error))
    return {{State::kSkipped, "data", folder.path + " is not there: no engine was ever started on it", ""}};
  if (access(folder.path.c_str(), R_OK | X_OK) != 0)
    return {
        {State::kBroken, "data", base::system_message(folder.path, errno), "run this as the engine's user"}};
  Checks checks;
  const bool runs = engine_holds(folder);
  const std::string url = runs ? running_endpoint(folder) : "";
  checks.push_back(
      {State::kOk, "data",
       folder.path + (runs ? ": an engine runs" + (url.empty() ? "" : " at " + url) : ": no engine runs"),
       ""});
  check_modes(folder, checks);
  // Databases of the folder itself and one level below (objects/index.db, secrets/…, watch/…).
  std::map<std::string, bool> files;
  auto at = std::filesystem::recursive_directory_iterator(
      folder.path, std::filesystem::directory_options::skip_permission_denied, error);
  for (; !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    if (at.depth() >= 1) at.disable_recursion_pending();
    std::error_code ignored;
    if (at->path().extension() == ".db" && at->is_regular_file(ignored) && files.size() < kDatabasesMax)
      files[at->path().string()] = true;
  }
  for (const auto& [file, is_there] : files) checks.push_back(check_file(file, runs));
  return checks;
}

Checks check_list(const std::string& list, const std::shared_ptr<http::Client>& client) {
  const std::string name = "list";
  try {
    uint64_t duplicates = 0, wrong = 0;
    std::string named;
    std::map<std::string, uint64_t> hosts;
    ingest::RepositoryListReader reader(
        [&](const ingest::Repository& row, uint64_t duplicate_of, const ingest::RowProblem* problem) {
          if (duplicate_of != 0) ++duplicates;
          if (hosts.size() < 1000) ++hosts[row.origin];
          if (problem == nullptr) return;
          if (wrong++ < kNamed)
            named += fmt::format("; line {}: {}", problem->line, workloads::printable(problem->what));
        });
    ingest::read_list(list, client, [&](std::string_view bytes) { reader.feed(bytes); });
    reader.finish();
    std::string what =
        fmt::format("{}: {} rows of {} origins", workloads::printable(list), reader.rows(), hosts.size());
    if (duplicates > 0) what += fmt::format(", {} of them again", duplicates);
    if (reader.rows() == 0)
      return {{State::kBroken, name, what, "there is nothing to do: is it the right file?"}};
    if (wrong > 0)
      return {{State::kBroken, name, what + fmt::format(", {} make no sense{}", wrong, named),
               "mend these rows: they will be reported as failed"}};
    return {{State::kOk, name, what, ""}};
  } catch (const base::CorruptError& error) {
    return {{State::kBroken, name, workloads::printable(error.what()),
             "it needs a header with cloneUrl, origin and path"}};
  } catch (const base::Error& error) {
    return {
        {State::kBroken, name, workloads::printable(error.what()), "is the name right, and may it be read?"}};
  }
}

}  // namespace millrace::cli
