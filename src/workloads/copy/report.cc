#include "workloads/copy/report.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/error.h"
#include "base/strings.h"
#include "objects/s3_client.h"
#include "objects/store.h"
#include "workloads/text.h"

namespace millrace::copy {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;

void append_json_text(std::string& out, std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string safe;
  if (!workloads::is_storage_text(text)) text = safe = workloads::storage_text(text);
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kDigits[static_cast<unsigned char>(c) >> 4];
      out += kDigits[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_csv_text(std::string& out, std::string_view text) {
  std::string safe;
  if (!workloads::is_storage_text(text)) text = safe = workloads::storage_text(text);
  if (text.find_first_of(",\"\r\n") == std::string_view::npos &&
      (text.empty() || (text[0] != ' ' && text.back() != ' '))) {
    out += text;
    return;
  }
  out += '"';
  for (char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace

std::string json_line(const ReportLine& line) {
  std::string out = "{\"row\":" + std::to_string(line.row) + ",\"action\":\"";
  out += line.action;
  out += "\",\"source\":";
  append_json_text(out, line.source);
  out += ",\"destination\":";
  append_json_text(out, line.destination);
  out += ",\"bytes\":" + std::to_string(line.bytes);
  for (auto [name, value] : {std::pair{"version", line.version},
                             {"etag", line.etag},
                             {"checksum", line.checksum},
                             {"code", line.code},
                             {"reason", line.reason}}) {
    if (value.empty()) continue;
    out += ",\"";
    out += name;
    out += "\":";
    append_json_text(out, value);
  }
  out += '}';
  return out;
}

std::string csv_line(const ReportLine& line) {
  std::string out = std::to_string(line.row) + ",";
  out += line.action;
  for (std::string_view text : {line.source, line.destination}) {
    out += ',';
    append_csv_text(out, text);
  }
  out += "," + std::to_string(line.bytes);
  for (std::string_view text : {line.version, line.etag, line.checksum, line.code, line.reason}) {
    out += ',';
    append_csv_text(out, text);
  }
  return out;
}

Report::Report(const std::string& destination, bool append) : destination_(destination) {
  csv_ = base::to_lower(destination).ends_with(".csv");
  bool fresh = true;
  if (destination == "-") {
    fd_ = STDOUT_FILENO;
  } else {
    objects::Location where = objects::parse_location(destination);
    if (where.is_s3) {
      if (where.path.empty() || where.path.ends_with('/'))
        throw base::UsageError("a report in a bucket needs a key: '" + destination + "'");
      s3_ = true;
      const char* folder = std::getenv("TMPDIR");
      spool_ = std::string(folder && *folder ? folder : "/tmp") + "/millrace-report-XXXXXX";
      fd_ = mkostemp(spool_.data(), O_CLOEXEC);
    } else {
      fd_ = open(where.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0644);
      struct stat st{};
      if (fd_ >= 0 && fstat(fd_, &st) == 0) fresh = st.st_size == 0;
    }
    if (fd_ < 0) throw base::DeniedError(base::system_message("write the report " + destination, errno));
  }
  if (csv_ && fresh) (buffer_ += kCsvHeader) += '\n';
}

Report::~Report() {
  if (fd_ >= 0 && fd_ != STDOUT_FILENO) close(fd_);
  if (!spool_.empty()) unlink(spool_.c_str());
}

void Report::write(const ReportLine& line) {
  std::string text = csv_ ? csv_line(line) : json_line(line);
  text += '\n';
  std::lock_guard lock(mutex_);
  buffer_ += text;
  if (buffer_.size() >= kBufferBytes) flush();
}

void Report::flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    ssize_t n = ::write(fd_, left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::TransientError(base::system_message("write the report " + destination_, errno));
    left.remove_prefix(static_cast<size_t>(n));
  }
  buffer_.clear();
}

void Report::sync() {
  std::lock_guard lock(mutex_);
  flush();
  if (fd_ != STDOUT_FILENO && !s3_ && fdatasync(fd_) != 0 && errno != EINVAL && errno != EROFS)
    throw base::TransientError(base::system_message("write the report " + destination_, errno));
}

void Report::finish() {
  sync();
  if (!s3_) return;
  objects::Location where = objects::parse_location(destination_);
  objects::open_s3(where.bucket)
      ->put_file(where.path, spool_, csv_ ? "text/csv; charset=utf-8" : "application/x-ndjson");
}

}  // namespace millrace::copy
