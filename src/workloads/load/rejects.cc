#include "workloads/load/rejects.h"

#include "base/error.h"
#include "base/strings.h"
#include "workloads/text.h"

namespace millrace::load {
namespace {

constexpr size_t kValueBytesMax = 1000;

std::string csv_cell(std::string_view text) {
  if (text.find_first_of("\",\r\n") == std::string_view::npos) return std::string(text);
  return '"' + base::replace_all(std::string(text), "\"", "\"\"") + '"';
}

}  // namespace

RejectLimit parse_reject_limit(const std::string& text) {
  RejectLimit limit;
  if (text.ends_with('%')) {
    const auto percent = base::parse_number<double>(std::string_view(text).substr(0, text.size() - 1));
    if (percent && *percent >= 0 && *percent <= 100) {
      limit.share = *percent / 100;
      return limit;
    }
  } else if (const auto rows = base::parse_number<uint64_t>(text)) {
    limit.rows = *rows;
    return limit;
  }
  throw base::UsageError("--max-rejects: '" + text + "' is neither a number nor a share such as 0.5%");
}

Rejects::Rejects(const std::string& place, const RejectLimit& limit) : limit_(limit) {
  if (place.empty()) return;
  file_ = std::make_unique<objects::NewObject>(objects::parse_location(place), "text/csv");
  file_->write("database,source,line,byte,column,value,reason\n");
}

Rejects::~Rejects() = default;

void Rejects::begin(const std::string& database, const std::string& source) {
  database_ = database;
  source_ = source;
  count_ = skip_ = 0;
  shown_.clear();
}

void Rejects::add(const Problem& problem) {
  if (skip_ > 0) {
    --skip_;
    return;
  }
  ++count_;
  const std::string value = workloads::shortened(
      workloads::storage_text(problem.value.substr(0, 2 * kValueBytesMax)), kValueBytesMax);
  if (shown_.size() < kShown)
    shown_.push_back(
        "line " + std::to_string(problem.line) +
        (problem.column.empty() ? "" : ", column " + problem.column) + ": " + problem.reason +
        (problem.value.empty() ? "" : " ('" + workloads::shortened(workloads::printable(value), 100) + "')"));
  if (!file_) return;
  file_->write(csv_cell(database_) + "," + csv_cell(workloads::storage_text(source_)) + "," +
               std::to_string(problem.line) + "," +
               (problem.has_offset ? std::to_string(problem.offset) : "") + "," +
               csv_cell(workloads::storage_text(problem.column)) + "," + csv_cell(value) + "," +
               csv_cell(workloads::storage_text(problem.reason)) + "\n");
}

bool Rejects::too_many_of(uint64_t rows) const {
  if (limit_.share == 0) return too_many();
  return static_cast<double>(count_) > limit_.share * static_cast<double>(rows);
}

std::string Rejects::limit_shown() const {
  if (limit_.share == 0) return std::to_string(limit_.rows);
  std::string percent = std::to_string(limit_.share * 100);
  percent.erase(percent.find_last_not_of('0') + 1);
  if (percent.ends_with('.')) percent.pop_back();
  return percent + "%";
}

void Rejects::publish() {
  if (file_) file_->publish();
}

}  // namespace millrace::load
