#include "logs/store_state.h"

#include <filesystem>

#include "base/error.h"

namespace millrace::logs {
namespace {

constexpr base::TimeMs kDayMs = 86'400'000;

std::string prepared_directory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw base::TransientError(base::system_message("mkdir " + directory, error.value()));
  return directory;
}

}  // namespace

void no_group() {
  throw base::NotFoundError("The specified log group does not exist.", "ResourceNotFoundException");
}
void no_stream() {
  throw base::NotFoundError("The specified log stream does not exist.", "ResourceNotFoundException");
}
void bad_token() {
  throw base::UsageError("The specified nextToken is invalid.", "InvalidParameterException");
}

StoreState::StoreState(const std::string& directory, const base::Clock& its_clock)
    : clock(its_clock), table(prepared_directory(directory) + "/groups.db"), index(directory) {
  table.load(index);
  catch_up();
}

void StoreState::catch_up() {
  std::scoped_lock look(catch_up_mutex);
  // Only this thread changes what behind() reads while it holds catch_up_mutex; other changes take it too.
  if (!index.behind()) return;
  std::unique_lock lock(mutex);
  for (GroupId id : index.catch_up()) table.save_group(index.group(id));
}

Group& StoreState::known_group(std::string_view name) {
  Group* group = index.group(name);
  if (group == nullptr || !group->exists) no_group();
  return *group;
}

base::TimeMs StoreState::oldest_kept(const Group& group) const {
  return group.retention_days == 0 ? kNoTime : clock.now_ms() - group.retention_days * kDayMs;
}

}  // namespace millrace::logs
