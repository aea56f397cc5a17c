// What is where in the segment files: the sparse index in memory, built from block heads and kept up with
// files that other processes write.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "logs/segment_format.h"

namespace millrace::logs {

using GroupId = uint32_t;
using StreamId = uint32_t;
using SegmentId = uint32_t;

inline constexpr base::TimeMs kNoTime = std::numeric_limits<base::TimeMs>::min();

// Neighbouring blocks of a file, some 256 KiB together: the grain of the index.
struct Span {
  uint64_t offset;
  uint32_t bytes;
  base::TimeMs timestamp_min;
  base::TimeMs timestamp_max;
};

// What a reader needs of a segment after the index was let go.
struct SegmentFile {
  std::string path;
  uint64_t writer;  // xxh3 of the writer's name
  uint32_t number;
};

// Where a stream is in one segment.
struct StreamPart {
  SegmentId segment;
  uint32_t number;  // the stream's in this segment
  uint32_t span_first;
  uint32_t span_last;
  base::TimeMs timestamp_min;
  base::TimeMs timestamp_max;
};

struct Stream {
  GroupId group = 0;
  // Shared with results of queries that outlive the stream.
  std::shared_ptr<const std::string> name;
  bool created_by_call = false;  // stays when its events are gone
  base::TimeMs created = 0;
  base::TimeMs hidden_until =
      kNoTime;  // events ingested up to then belong to a deleted stream of the same name
  base::TimeMs timestamp_min = 0, timestamp_max = 0, ingestion_max = kNoTime;
  std::vector<StreamPart> parts;  // by segment, as they were found
};

struct Group {
  std::string name;
  bool exists = false;  // false: deleted, only `hidden_until` counts
  base::TimeMs created = 0;
  base::TimeMs hidden_until = kNoTime;
  int retention_days = 0;  // 0: for ever
  std::string log_class = "STANDARD";
  std::string kms_key;
  uint64_t stored_bytes = 0;  // as CloudWatch counts: 26 bytes and the message
  base::TimeMs ingestion_max = kNoTime;
  std::map<std::string_view, StreamId> streams;  // by name; views into Stream::name
  std::map<std::string, base::TimeMs, std::less<>>
      hidden_streams;  // deleted streams: see Stream::hidden_until
};

// Not thread-safe. Memory: about 40 bytes per 256 KiB of log, 40 per stream in a segment, 400 per stream.
class LogIndex {
 public:
  explicit LogIndex(std::string directory);

  // True when catch_up() would find something. Changes nothing that a reader sees. Only this and catch_up()
  // look for new files; one thread at a time.
  bool behind();
  // Takes in what the writers have appended. Returns groups seen for the first time.
  std::vector<GroupId> catch_up();

  // The group of that name, whether it exists or not; made when `make`.
  Group* group(std::string_view name, bool make = false);
  GroupId group_id(std::string_view name) const { return group_ids_.at(std::string(name)); }
  Group& group(GroupId id) { return *groups_[id]; }
  const Group& group(GroupId id) const { return *groups_[id]; }
  const std::map<std::string, GroupId, std::less<>>& groups() const { return group_ids_; }

  Stream* stream(std::string_view group, std::string_view name);
  Stream& stream(StreamId id) { return streams_.at(id); }
  const Stream* find_stream(StreamId id) const;
  StreamId make_stream(GroupId group, std::string_view name, base::TimeMs created, base::TimeMs hidden_until);
  // Hides what was ingested up to `until` and forgets the stream.
  void remove_stream(StreamId id, base::TimeMs until);
  void remove_group(Group& group, base::TimeMs until);

  // The stream that a number means in a segment; nothing when it is deleted.
  std::optional<StreamId> stream_of(SegmentId segment, uint32_t number) const;

  struct Segment {
    std::shared_ptr<const SegmentFile> file;
    std::string writer;
    uint64_t indexed_bytes = 0;  // as far as whole blocks go
    uint64_t seen_bytes = 0;     // size of the file at the last look
    bool sealed = false;         // its writer went on in another file
    bool unreadable = false;     // not a segment, or a newer version
    std::vector<Span> spans;
    std::vector<StreamId> stream_ids;  // by number
    struct GroupShare {
      GroupId group;
      base::TimeMs timestamp_max, ingestion_max;
      uint64_t stored_bytes;
    };
    std::vector<GroupShare> groups;
  };
  const std::map<SegmentId, Segment>& segments() const { return segments_; }

  // Deletes the files of which nothing is visible any more: events of a group are gone when they are older
  // than its retention or hidden. Files that a writer holds open stay. Deletes at most `files_max`; returns
  // how many.
  size_t delete_expired(base::TimeMs now, size_t files_max);

 private:
  bool list_directory();
  void add_new_files();
  void index_segment(SegmentId id, Segment& segment, uint64_t size, std::vector<GroupId>& found);
  void index_block(SegmentId id, Segment& segment, uint64_t offset, const ParsedHead& parsed,
                   std::vector<GroupId>& found);
  void forget_segment(SegmentId id);

  const std::string directory_;
  int64_t listed_mtime_ns_ = -1;
  bool list_again_ = true;
  std::vector<SegmentName> new_files_;  // found, not yet in segments_

  std::vector<std::unique_ptr<Group>> groups_;
  std::map<std::string, GroupId, std::less<>> group_ids_;
  std::unordered_map<StreamId, Stream> streams_;
  StreamId next_stream_ = 1;  // never given twice; 0: none
  std::map<SegmentId, Segment> segments_;
  std::map<std::pair<std::string, uint64_t>, SegmentId> segment_ids_;  // by writer and number
  SegmentId next_segment_ = 1;
};

}  // namespace millrace::logs
