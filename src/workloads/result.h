// The result of a job: what was done, what was not and why, as one JSON document and as an exit code.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/time.h"

namespace millrace::objects {
class NewObject;
}

namespace millrace::workloads {

inline constexpr int kExitDone = 0;     // everything that was asked for was done
inline constexpr int kExitFailed = 1;   // the job could not do its work
inline constexpr int kExitUsage = 2;    // asked for in a way that makes no sense
inline constexpr int kExitPartial = 3;  // some items failed; each one is named

// Collected while the job runs, by any thread. The document:
//   {"job":"scan","status":"succeeded|partial|failed","exit_code":0,"started_at":…,"finished_at":…,"duration_ms":…,
//    "counts":{…},"failed_count":N,"failed":[{"item":…,"code":…,"error":…}],"error":…(failed only), …details}
// Memory is bounded: beyond kItemsInMemory failed items go to an unnamed temporary file, and all of them come
// back in the document written by write(). The log line names the first kItemsInLogLine and says how many
// there are.
class JobResult {
 public:
  static constexpr size_t kItemsInMemory = 1000;
  static constexpr size_t kItemsInLogLine = 20;

  JobResult(std::string_view job, const base::Clock& clock);
  ~JobResult();

  // Adds to a count, which is 0 until then; counts appear in the order of their first mention.
  void count(std::string_view name, int64_t by = 1);
  // Something else worth knowing ("source", "database" …); never put secrets here.
  void detail(std::string_view name, base::json::value value);
  // An item that was asked for and not (fully) done: the job is at best partial. Texts need not be UTF-8.
  void item_failed(std::string_view item, std::string_view error, std::string_view code = "");
  // What became of one item, done or not: an element of the array "items" of the document that write()
  // writes. Not in the log line; memory is bounded as for failed ones.
  void item(const base::json::object& object);
  // The job as a whole failed; the first call wins.
  void fail(std::string_view error);

  int64_t failed_count() const;
  int exit_code() const;

  // One line without line break, at most about 64 KiB.
  std::string log_line() const;
  // Writes the whole document to `destination`, a file or s3://BUCKET/KEY: complete or not at all. Throws as
  // require_writable(), and what storing throws.
  void write(const std::string& destination) const;

  // Finds out before any work is done that a result cannot be written there. Throws UsageError for a place in
  // a bucket without a key, NotFoundError for a bucket that is not there and DeniedError, NotFoundError or
  // TransientError for a folder that takes no file.
  static void require_writable(const std::string& destination);

 private:
  void write_head(std::string& out, base::TimeMs finished) const;

  const base::Clock& clock_;
  const base::TimeMs started_;
  mutable std::mutex mutex_;
  base::json::object head_;
  base::json::object counts_;
  base::json::object details_;
  // JSON objects in the order they came: the first kItemsInMemory here, the others in an unnamed file.
  struct List {
    void add(std::string line);
    void write(objects::NewObject& file) const;
    std::vector<std::string> first;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> spill{nullptr, std::fclose};
  };
  List failed_items_, items_;
  int64_t failed_ = 0;
  bool whole_failed_ = false;
  std::string error_;
};

}  // namespace millrace::workloads
