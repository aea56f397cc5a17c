// What became of each object, line by line: CSV or JSON lines, in a file or in a bucket.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace millrace::copy {

struct ReportLine {
  uint64_t row = 0;         // line of the list, 0: from the command line
  std::string_view action;  // copied, skipped, deleted, failed, …; of whole rows: row-done, row-failed
  std::string_view source, destination;
  uint64_t bytes = 0;
  std::string_view version, etag, checksum, code, reason;
};

// Thread-safe. Memory does not grow with the lines: a report for a bucket is collected in an unnamed file.
class Report {
 public:
  // `destination`: a path or s3://BUCKET/KEY; CSV when it ends in ".csv", else JSON lines; "-": standard
  // output. `append`: a file that is there goes on (buckets: begins anew). Throws UsageError, DeniedError …
  // for what cannot be written.
  Report(const std::string& destination, bool append);
  ~Report();
  void write(const ReportLine& line);
  // What was written so far is on the disk afterwards (files).
  void sync();
  // Complete and durable, or uploaded. Throws what keeps it from that.
  void finish();

 private:
  void flush();
  const std::string destination_;
  bool csv_ = false, s3_ = false;
  std::mutex mutex_;
  std::string buffer_;
  int fd_ = -1;
  std::string spool_;  // of a report for a bucket
};

// One line without its end.
std::string json_line(const ReportLine& line);
std::string csv_line(const ReportLine& line);
inline constexpr std::string_view kCsvHeader =
    "row,action,source,destination,bytes,version,etag,checksum,code,reason";

}  // namespace millrace::copy
