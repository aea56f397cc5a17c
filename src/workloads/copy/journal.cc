#include "workloads/copy/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "objects/s3_client.h"
#include "workloads/text.h"

namespace millrace::copy {
namespace {

namespace json = base::json;

constexpr int kVersion = 1;

json::string text_of(const std::string& bytes) { return json::string(workloads::storage_text(bytes)); }

[[noreturn]] void corrupt(const std::string& why) {
  throw base::CorruptError("the journal cannot be read (" + why + "): remove it to begin anew");
}

std::string bytes_at(const json::object& object, const char* name) {
  auto text = base::find_string(object, name);
  if (!text) corrupt("a key is missing");
  return workloads::storage_bytes(*text);
}

void sync_folder(const std::string& path) {
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  base::UniqueFd fd(open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd) fsync(fd.get());
}

}  // namespace

std::string journal_text(const JournalState& state) {
  json::array done;
  for (auto [first, last] : state.done) done.push_back(json::array{first, last});
  std::string out = json::serialize(json::object{
      {"millrace_copy_journal", kVersion}, {"fingerprint", state.fingerprint}, {"done", std::move(done)}});
  for (const auto& [row, left] : state.rows) {
    json::array ranges, failed;
    for (const KeyRange& range : left.ranges)
      ranges.push_back(json::object{{"after", text_of(range.after)}, {"until", text_of(range.until)}});
    for (const std::string& key : left.failed) failed.push_back(text_of(key));
    out += "\n" + json::serialize(json::object{
                      {"row", row}, {"ranges", std::move(ranges)}, {"failed", std::move(failed)}});
  }
  for (const OpenUpload& upload : state.uploads)
    out += "\n" + json::serialize(json::object{{"upload", upload.id},
                                               {"bucket", upload.bucket},
                                               {"key", text_of(upload.key)},
                                               {"version", upload.version},
                                               {"begun", upload.begun}});
  return out + "\n";
}

JournalState parse_journal(const std::string& text) {
  JournalState state;
  bool first = true;
  for (std::string_view line : base::split(text, '\n')) {
    if (line.empty()) continue;
    json::value value = base::parse_json(line);
    if (!value.is_object()) corrupt("a line is no object");
    const json::object& object = value.get_object();
    if (std::exchange(first, false)) {
      if (base::find_int(object, "millrace_copy_journal") != kVersion) corrupt("another version wrote it");
      state.fingerprint = base::find_string(object, "fingerprint").value_or("");
      const json::array* done = base::find_array(object, "done");
      if (!done) corrupt("nothing says what is done");
      for (const json::value& pair : *done) {
        if (!pair.is_array() || pair.get_array().size() != 2) corrupt("a range of rows is none");
        state.done.emplace_back(pair.get_array()[0].to_number<size_t>(),
                                pair.get_array()[1].to_number<size_t>());
      }
      continue;
    }
    if (auto id = base::find_string(object, "upload")) {
      auto text = [&](const char* name) { return std::string(base::find_string(object, name).value_or("")); };
      state.uploads.push_back({text("bucket"), bytes_at(object, "key"), std::string(*id), text("version"),
                               base::find_int(object, "begun").value_or(0)});
      continue;
    }
    auto row = base::find_int(object, "row");
    const json::array *ranges = base::find_array(object, "ranges"),
                      *failed = base::find_array(object, "failed");
    if (!row || *row < 0 || !ranges || !failed) corrupt("a row is incomplete");
    RowLeft left;
    for (const json::value& range : *ranges) {
      if (!range.is_object()) corrupt("a range of keys is none");
      left.ranges.push_back({bytes_at(range.get_object(), "after"), bytes_at(range.get_object(), "until")});
    }
    for (const json::value& key : *failed) {
      if (!key.is_string()) corrupt("a key is no text");
      left.failed.push_back(workloads::storage_bytes(base::view(key.get_string())));
    }
    state.rows[static_cast<size_t>(*row)] = std::move(left);
  }
  if (first) corrupt("it is empty");
  return state;
}

objects::S3Client& Journal::bucket(const std::string& name) const {
  if (!client_) client_ = objects::open_s3(name);
  return *client_;
}

std::optional<JournalState> Journal::load() const {
  objects::Location where = objects::parse_location(location_);
  std::string text;
  if (where.is_s3) {
    try {
      bucket(where.bucket).get(where.path, [&](std::string_view bytes) { text += bytes; });
    } catch (const base::NotFoundError&) {
      return std::nullopt;
    }
  } else {
    std::ifstream file(where.path, std::ios::binary);
    if (!file) {
      if (errno == ENOENT) return std::nullopt;
      throw base::DeniedError(base::system_message("read the journal " + location_, errno));
    }
    std::ostringstream all;
    all << file.rdbuf();
    text = std::move(all).str();
  }
  return parse_journal(text);
}

void Journal::save(const JournalState& state) const {
  std::string text = journal_text(state);
  objects::Location where = objects::parse_location(location_);
  if (where.is_s3) {
    bucket(where.bucket).put(where.path, text, "application/x-ndjson");
    return;
  }
  std::string draft = where.path + ".new-" + std::to_string(getpid());  // another run may be at it, too
  auto fail = [&] {
    throw base::TransientError(base::system_message("write the journal " + location_, errno));
  };
  base::UniqueFd file(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) fail();
  for (std::string_view left = text; !left.empty();) {
    ssize_t n = write(file.get(), left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail();
    left.remove_prefix(static_cast<size_t>(n));
  }
  if (fdatasync(file.get()) != 0 || rename(draft.c_str(), where.path.c_str()) != 0) fail();
  sync_folder(where.path);
}

void Journal::remove() const {
  objects::Location where = objects::parse_location(location_);
  if (where.is_s3) {
    bucket(where.bucket).remove(where.path);
  } else if (unlink(where.path.c_str()) == 0) {
    sync_folder(where.path);
  }
}

std::string default_journal(const std::string& fingerprint) {
  std::string folder;
  if (const char* state = std::getenv("XDG_STATE_HOME"); state && *state)
    folder = state;
  else if (const char* home = std::getenv("HOME"); home && *home)
    folder = std::string(home) + "/.local/state";
  if (folder.empty()) return "";
  folder += "/millrace/copy";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || access(folder.c_str(), W_OK) != 0) return "";
  return folder + "/" + fingerprint + ".journal";
}

}  // namespace millrace::copy
