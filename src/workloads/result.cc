#include "workloads/result.h"

#include <cerrno>

#include "base/error.h"
#include "base/strings.h"
#include "objects/new_object.h"
#include "workloads/text.h"

namespace millrace::workloads {
namespace {

namespace json = base::json;

constexpr size_t kTextMax = 2048;  // bytes of one name or message

json::string json_text(std::string_view bytes) {
  return json::string(shortened(storage_text(bytes), kTextMax));
}

// "s3://…" is a place in a bucket, all else a path, also what looks like another URL.
objects::Location place_of(const std::string& destination) {
  if (!destination.starts_with("s3://")) return {false, "", destination};
  objects::Location place = objects::parse_location(destination);
  if (place.path.empty() || place.path.ends_with('/'))
    throw base::UsageError("--result " + destination + ": a result in a bucket needs a key");
  return place;
}

}  // namespace

JobResult::JobResult(std::string_view job, const base::Clock& clock)
    : clock_(clock), started_(clock.now_ms()) {
  head_["job"] = job;
}

JobResult::~JobResult() = default;

void JobResult::count(std::string_view name, int64_t by) {
  std::lock_guard lock(mutex_);
  json::value& value = counts_[name];
  value = (value.is_null() ? 0 : value.as_int64()) + by;
}

void JobResult::detail(std::string_view name, json::value value) {
  std::lock_guard lock(mutex_);
  details_[name] = std::move(value);
}

void JobResult::item_failed(std::string_view item, std::string_view error, std::string_view code) {
  json::object object;
  object["item"] = json_text(item);
  if (!code.empty()) object["code"] = json_text(code);
  object["error"] = json_text(error);
  std::string line = json::serialize(object);
  std::lock_guard lock(mutex_);
  ++failed_;
  failed_items_.add(std::move(line));
}

void JobResult::item(const json::object& object) {
  std::string line = json::serialize(object);
  std::lock_guard lock(mutex_);
  items_.add(std::move(line));
}

void JobResult::List::add(std::string line) {
  if (first.size() < kItemsInMemory) {
    first.push_back(std::move(line));
    return;
  }
  if (!spill) spill.reset(std::tmpfile());
  line += '\n';
  if (!spill || std::fwrite(line.data(), 1, line.size(), spill.get()) != line.size())
    throw base::TransientError(base::system_message("keep the list of items in a temporary file", errno));
}

void JobResult::List::write(objects::NewObject& file) const {
  for (size_t i = 0; i < first.size(); ++i) file.write((i > 0 ? ",\n" : "\n") + first[i]);
  if (!spill) return;
  std::rewind(spill.get());
  char* line = nullptr;
  size_t capacity = 0;
  for (ssize_t n; (n = getline(&line, &capacity, spill.get())) > 0;) {
    file.write(",\n");
    file.write({line, static_cast<size_t>(n - 1)});
  }
  std::free(line);
  std::fseek(spill.get(), 0, SEEK_END);
}

void JobResult::fail(std::string_view error) {
  std::lock_guard lock(mutex_);
  if (whole_failed_) return;
  whole_failed_ = true;
  error_ = error;
}

int64_t JobResult::failed_count() const {
  std::lock_guard lock(mutex_);
  return failed_;
}

int JobResult::exit_code() const {
  std::lock_guard lock(mutex_);
  return whole_failed_ ? kExitFailed : failed_ > 0 ? kExitPartial : kExitDone;
}

// All but the list of items and the closing brace. The caller holds the lock.
void JobResult::write_head(std::string& out, base::TimeMs finished) const {
  json::object head = head_;
  head["status"] = whole_failed_ ? "failed" : failed_ > 0 ? "partial" : "succeeded";
  head["exit_code"] = whole_failed_ ? kExitFailed : failed_ > 0 ? kExitPartial : kExitDone;
  if (whole_failed_) head["error"] = json_text(error_);
  head["started_at"] = base::iso8601(started_, true);
  head["finished_at"] = base::iso8601(finished, true);
  head["duration_ms"] = finished - started_;
  for (const auto& member : details_) head[member.key()] = member.value();
  head["counts"] = counts_;
  head["failed_count"] = failed_;
  out = json::serialize(head);
  out.pop_back();
}

std::string JobResult::log_line() const {
  std::lock_guard lock(mutex_);
  std::string line;
  write_head(line, clock_.now_ms());
  line += ",\"failed\":[";
  for (size_t i = 0; i < failed_items_.first.size() && i < kItemsInLogLine; ++i) {
    if (i > 0) line += ',';
    line += failed_items_.first[i];
  }
  return line + "]}";
}

void JobResult::write(const std::string& destination) const {
  std::lock_guard lock(mutex_);
  objects::NewObject file(place_of(destination), "application/json");
  std::string text;
  write_head(text, clock_.now_ms());
  file.write(text + ",\"failed\":[");
  failed_items_.write(file);
  if (!items_.first.empty()) {
    file.write("],\"items\":[");
    items_.write(file);
  }
  file.write("]}\n");
  file.publish();
}

void JobResult::require_writable(const std::string& destination) {
  objects::NewObject trial(place_of(destination), "application/json");
}

}  // namespace millrace::workloads
