// CloudWatch Logs' data: groups, streams and events, over the segment files of any number of writers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "logs/group_table.h"
#include "logs/log_queries.h"

namespace millrace::logs {

struct LogStoreOptions {
  std::string writer = "engine";  // of the store's own segments; one store a directory and name
  uint64_t segment_bytes_max = 64 << 20;
  uint64_t scan_bytes_max = 1 << 30;  // a filter answers with what it has after reading that much
};

// Thread-safe. Sees what other processes have flushed to their segments at the time of each call. Errors
// carry CloudWatch Logs' codes: ResourceNotFoundException, ResourceAlreadyExistsException,
// InvalidParameterException; TransientError when the disk is full. Memory: see LogIndex; a query takes its
// page and one span.
class LogStore {
 public:
  // Opens or creates the directory and reads the heads of all segments.
  LogStore(const std::string& directory, const base::Clock& clock, LogStoreOptions options = {});
  ~LogStore();

  void create_group(std::string_view name, std::string_view log_class = "STANDARD",
                    std::string_view kms_key = "", const std::map<std::string, std::string>& tags = {});
  // Does nothing when there is one: for jobs' groups.
  void ensure_group(std::string_view name);
  // Frees the disk of segments that held nothing else.
  void delete_group(std::string_view name);
  bool has_group(std::string_view name);
  // By name, from after `after` on; `contains` may be empty. At most `limit`.
  std::vector<GroupInfo> groups(std::string_view prefix, std::string_view contains, std::string_view after,
                                size_t limit);
  // 0 days: for ever.
  void set_retention(std::string_view group, int days);
  void set_kms_key(std::string_view group, std::string_view key);
  std::map<std::string, std::string> tags(std::string_view group);
  // At most 50 afterwards: TooManyTagsException.
  void set_tags(std::string_view group, const std::map<std::string, std::string>& tags);
  void remove_tags(std::string_view group, const std::vector<std::string>& keys);

  // See GroupTable. A document's group must exist.
  std::vector<Document> documents(DocumentKind kind, std::string_view group);
  void put_document(DocumentKind kind, const Document& document);
  bool delete_document(DocumentKind kind, std::string_view group, std::string_view name);

  void create_stream(std::string_view group, std::string_view name);
  void delete_stream(std::string_view group, std::string_view name);
  StreamPage streams(const StreamQuery& query);

  // Durable on return; concurrent calls share one sync. The batch's shape (order, sizes, span of time) is the
  // caller's to check.
  Rejections put_events(std::string_view group, std::string_view stream,
                        const std::vector<InputEvent>& events);
  GetPage get_events(const GetQuery& query);
  FilterPage filter_events(const FilterQuery& query);

  // What was stored since, of what the query wants; groups need not exist. Events that are late by their own
  // time come too: a tail goes by arrival.
  TailPosition tail_from_now();
  TailPage tail(const TailQuery& query, TailPosition& position);

  // Deletes segments in which every event is past its group's retention, or deleted. Returns how many. To be
  // called now and then; readers do not show expired events in any case.
  size_t apply_retention();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::logs
