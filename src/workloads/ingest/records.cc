#include "workloads/ingest/records.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"

namespace millrace::ingest {

namespace json = base::json;

std::string StateRecords::key_of(const std::string& repository_key) const {
  std::string name = base::sha256_hex(repository_key).substr(0, 40);
  return prefix_ + name.substr(0, 2) + "/" + name + ".json";
}

std::optional<StateRecords::Known> StateRecords::find(const Repository& repository) {
  std::optional<std::string> text = place_.get(key_of(repository.key()));
  if (!text) return std::nullopt;
  try {
    json::value parsed = base::parse_json(*text);
    const json::object* object = parsed.if_object();
    if (!object) return std::nullopt;
    Known known{outcome_from_json(*object), std::string(base::find_string(*object, "job").value_or(""))};
    if (known.outcome.key() != repository.key() || known.outcome.failed()) return std::nullopt;
    return known;
  } catch (const base::CorruptError&) {
    return std::nullopt;
  }
}

void StateRecords::write(const Outcome& outcome, const std::string& job) {
  json::object object = to_json(outcome);
  object["job"] = job;
  place_.put(key_of(outcome.key()), json::serialize(object) + "\n", "application/json");
}

std::string LockFile::text() const {
  std::string text = csv_line(header_);
  for (const auto& [row, line] : rows_) text += line;
  return text;
}

void LogText::add(std::string_view bytes) {
  if (head_.size() < kHead) {
    std::string_view first = bytes.substr(0, kHead - head_.size());
    head_ += first;
    bytes.remove_prefix(first.size());
  }
  tail_ += bytes;
  // Not at every line: moving what is kept has its price.
  if (tail_.size() > 2 * kTail) {
    left_out_ += tail_.size() - kTail;
    tail_.erase(0, tail_.size() - kTail);
  }
}

std::string LogText::text() const {
  std::string_view tail = tail_;
  uint64_t left_out = left_out_;
  if (tail.size() > kTail) {
    left_out += tail.size() - kTail;
    tail.remove_prefix(tail.size() - kTail);
  }
  return head_ + (left_out > 0 ? "\n[… " + std::to_string(left_out) + " bytes left out …]\n" : "") +
         std::string(tail);
}

std::string log_key(bool is_s3, const std::string& range, base::TimeMs time) {
  base::Civil at = base::to_civil(time);
  std::string stamp = fmt::format("{:04}{:02}{:02}{:02}{:02}", at.year, at.month, at.day, at.hour, at.minute);
  return fmt::format("{}/{}/{}/ingest-log-cli-{}-{}.zip", is_s3 ? ".logs" : "io/moderne/ingest-log", range,
                     stamp, stamp, range);
}

}  // namespace millrace::ingest
