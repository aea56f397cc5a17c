#include "logs/log_index.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/hash.h"
#include "base/unique_fd.h"

namespace millrace::logs {
namespace {

constexpr size_t kSpanBytes = 256 << 10;
constexpr size_t kHeadReadBytes = 8 << 10;  // most heads are shorter
constexpr uint64_t kEventBytesOfCloudWatch = 26;
constexpr base::TimeMs kDayMs = 86'400'000;
// Two changes of a directory within a tick of the kernel's clock have the same mtime.
constexpr int64_t kMtimeGrainNs = 1'000'000'000;

std::optional<uint64_t> size_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return static_cast<uint64_t>(status.st_size);
}

// Fills `out` from the file; shorter at its end.
void read_at(int fd, uint64_t offset, size_t size, std::string& out) {
  out.resize(size);
  size_t have = 0;
  while (have < size) {
    ssize_t count = ::pread(fd, out.data() + have, size - have, static_cast<off_t>(offset + have));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    have += static_cast<size_t>(count);
  }
  out.resize(have);
}

}  // namespace

LogIndex::LogIndex(std::string directory) : directory_(std::move(directory)) {}

// Finds files that segments_ does not know; true when there are any.
bool LogIndex::list_directory() {
  struct stat status{};
  if (::stat(directory_.c_str(), &status) != 0) return false;
  int64_t mtime_ns = status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec;
  if (mtime_ns == listed_mtime_ns_ && !list_again_) return false;
  struct timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  listed_mtime_ns_ = mtime_ns;
  list_again_ = now.tv_sec * 1'000'000'000LL + now.tv_nsec - mtime_ns < kMtimeGrainNs;

  DIR* directory = ::opendir(directory_.c_str());
  if (directory == nullptr) return false;
  new_files_.clear();
  while (const dirent* entry = ::readdir(directory)) {
    auto name = parse_segment_file_name(entry->d_name);
    if (name && !segment_ids_.contains({name->writer, name->number})) new_files_.push_back(std::move(*name));
  }
  ::closedir(directory);
  return !new_files_.empty();
}

void LogIndex::add_new_files() {
  for (const SegmentName& name : new_files_) {
    SegmentId id = next_segment_++;
    Segment& segment = segments_[id];
    segment.file = std::make_shared<SegmentFile>(
        SegmentFile{directory_ + "/" + segment_file_name(name.writer, name.number), base::xxh3(name.writer),
                    static_cast<uint32_t>(name.number)});
    segment.writer = name.writer;
    segment_ids_[{name.writer, name.number}] = id;
  }
  new_files_.clear();
}

bool LogIndex::behind() {
  if (list_directory() || !new_files_.empty()) return true;
  for (const auto& [id, segment] : segments_) {
    if (segment.sealed || segment.unreadable) continue;
    auto size = size_of(segment.file->path);
    if (size && *size != segment.seen_bytes) return true;
  }
  return false;
}

std::vector<GroupId> LogIndex::catch_up() {
  list_directory();
  add_new_files();
  std::vector<GroupId> found;
  // By writer and number, so that of streams in several segments the parts come in order.
  for (auto it = segment_ids_.begin(); it != segment_ids_.end(); ++it) {
    Segment& segment = segments_.at(it->second);
    if (segment.sealed || segment.unreadable) continue;
    // A writer goes on in the next file only after the last byte of this one.
    auto next = std::next(it);
    const bool last_of_writer = next == segment_ids_.end() || next->first.first != it->first.first;
    auto size = size_of(segment.file->path);
    if (size && *size != segment.seen_bytes) index_segment(it->second, segment, *size, found);
    if (!last_of_writer) segment.sealed = true;
  }
  return found;
}

void LogIndex::index_segment(SegmentId id, Segment& segment, uint64_t size, std::vector<GroupId>& found) {
  base::UniqueFd file(::open(segment.file->path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return;
  segment.seen_bytes = size;
  std::string window;
  if (segment.indexed_bytes == 0) {
    if (size < kFileHeaderBytes) return;
    read_at(file.get(), 0, kFileHeaderBytes, window);
    if (!is_file_header(window)) {
      segment.unreadable = true;
      return;
    }
    segment.indexed_bytes = kFileHeaderBytes;
  }
  ParsedHead parsed;
  uint64_t window_at = 0;
  window.clear();
  while (segment.indexed_bytes < size) {
    const uint64_t offset = segment.indexed_bytes;
    // Many small blocks may stand in one window.
    std::string_view bytes;
    if (offset >= window_at && offset < window_at + window.size())
      bytes = std::string_view(window).substr(offset - window_at);
    HeadState state = parse_head(bytes, parsed);
    if (state == HeadState::kMoreNeeded) {
      read_at(file.get(), offset, std::max<size_t>(kHeadReadBytes, parsed.head.head_bytes), window);
      window_at = offset;
      state = parse_head(window, parsed);
      if (state == HeadState::kMoreNeeded && parsed.head.head_bytes > window.size()) {
        read_at(file.get(), offset, parsed.head.head_bytes, window);
        state = parse_head(window, parsed);
      }
    }
    // Torn, or still being written: the next look tells.
    if (state != HeadState::kWhole) return;
    const uint64_t block_bytes = uint64_t{parsed.head.head_bytes} + parsed.head.payload_bytes;
    if (offset + block_bytes > size) return;
    index_block(id, segment, offset, parsed, found);
    segment.indexed_bytes += block_bytes;
  }
}

void LogIndex::index_block(SegmentId id, Segment& segment, uint64_t offset, const ParsedHead& parsed,
                           std::vector<GroupId>& found) {
  const BlockHead& head = parsed.head;
  for (const Declaration& declaration : parsed.declarations) {
    if (segment.stream_ids.size() <= declaration.stream) segment.stream_ids.resize(declaration.stream + 1, 0);
    bool is_new = !group_ids_.contains(declaration.group);
    Group& group = *this->group(declaration.group, true);
    const GroupId group_id = group_ids_.find(declaration.group)->second;
    if (is_new || !group.exists) {
      // A deleted group comes back only with events that were written since.
      if (!is_new && head.ingestion_max <= group.hidden_until) {
        segment.stream_ids[declaration.stream] = 0;
        continue;
      }
      group.exists = true;
      group.created = head.ingestion_max;
      found.push_back(group_id);
    }
    auto known = group.streams.find(declaration.name);
    if (known != group.streams.end()) {
      segment.stream_ids[declaration.stream] = known->second;
      continue;
    }
    auto hidden = group.hidden_streams.find(declaration.name);
    base::TimeMs hidden_until = group.hidden_until;
    if (hidden != group.hidden_streams.end()) hidden_until = std::max(hidden_until, hidden->second);
    segment.stream_ids[declaration.stream] =
        make_stream(group_id, declaration.name, head.ingestion_max, hidden_until);
  }

  const uint32_t bytes = head.head_bytes + head.payload_bytes;
  if (segment.spans.empty() || segment.spans.back().bytes + bytes > kSpanBytes)
    segment.spans.push_back({offset, 0, head.timestamp_min, head.timestamp_max});
  Span& span = segment.spans.back();
  span.bytes += bytes;
  span.timestamp_min = std::min(span.timestamp_min, head.timestamp_min);
  span.timestamp_max = std::max(span.timestamp_max, head.timestamp_max);
  const auto span_index = static_cast<uint32_t>(segment.spans.size() - 1);

  for (const SectionHead& section : parsed.sections) {
    if (section.stream >= segment.stream_ids.size()) continue;
    auto found_stream = streams_.find(segment.stream_ids[section.stream]);
    if (found_stream == streams_.end()) continue;
    Stream& stream = found_stream->second;
    const base::TimeMs ingestion_max = section.ingestion_base + section.ingestion_span;
    if (ingestion_max <= stream.hidden_until) continue;
    if (stream.ingestion_max == kNoTime) {
      stream.timestamp_min = section.timestamp_min;
      stream.timestamp_max = section.timestamp_max;
    }
    stream.timestamp_min = std::min(stream.timestamp_min, section.timestamp_min);
    stream.timestamp_max = std::max(stream.timestamp_max, section.timestamp_max);
    stream.ingestion_max = std::max(stream.ingestion_max, ingestion_max);
    if (stream.parts.empty() || stream.parts.back().segment != id ||
        stream.parts.back().number != section.stream)
      stream.parts.push_back(
          {id, section.stream, span_index, span_index, section.timestamp_min, section.timestamp_max});
    StreamPart& part = stream.parts.back();
    part.span_last = span_index;
    part.timestamp_min = std::min(part.timestamp_min, section.timestamp_min);
    part.timestamp_max = std::max(part.timestamp_max, section.timestamp_max);

    const uint64_t stored =
        section.bytes + uint64_t{section.event_count} * (kEventBytesOfCloudWatch - kEventHeadBytes);
    Group& group = *groups_[stream.group];
    group.stored_bytes += stored;
    group.ingestion_max = std::max(group.ingestion_max, ingestion_max);
    auto share = std::find_if(segment.groups.begin(), segment.groups.end(),
                              [&](const Segment::GroupShare& s) { return s.group == stream.group; });
    if (share == segment.groups.end())
      share = segment.groups.insert(share, {stream.group, section.timestamp_max, ingestion_max, 0});
    share->timestamp_max = std::max(share->timestamp_max, section.timestamp_max);
    share->ingestion_max = std::max(share->ingestion_max, ingestion_max);
    share->stored_bytes += stored;
  }
}

Group* LogIndex::group(std::string_view name, bool make) {
  auto it = group_ids_.find(name);
  if (it != group_ids_.end()) return groups_[it->second].get();
  if (!make) return nullptr;
  group_ids_[std::string(name)] = static_cast<GroupId>(groups_.size());
  groups_.push_back(std::make_unique<Group>());
  groups_.back()->name = name;
  return groups_.back().get();
}

Stream* LogIndex::stream(std::string_view group_name, std::string_view name) {
  Group* group = this->group(group_name);
  if (group == nullptr || !group->exists) return nullptr;
  auto it = group->streams.find(name);
  return it == group->streams.end() ? nullptr : &streams_.at(it->second);
}

const Stream* LogIndex::find_stream(StreamId id) const {
  auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : &it->second;
}

StreamId LogIndex::make_stream(GroupId group, std::string_view name, base::TimeMs created,
                               base::TimeMs hidden_until) {
  StreamId id = next_stream_++;
  Stream& stream = streams_[id];
  stream.group = group;
  stream.name = std::make_shared<const std::string>(name);
  stream.created = created;
  stream.hidden_until = hidden_until;
  groups_[group]->streams.emplace(*stream.name, id);
  return id;
}

void LogIndex::remove_stream(StreamId id, base::TimeMs until) {
  Stream& stream = streams_.at(id);
  Group& group = *groups_[stream.group];
  group.streams.erase(*stream.name);
  group.hidden_streams[*stream.name] = until;
  // A writer that still has the stream open declares it in its next file; in this one its number is nobody's.
  streams_.erase(id);
}

void LogIndex::remove_group(Group& group, base::TimeMs until) {
  const auto streams = std::move(group.streams);
  group.streams.clear();
  for (const auto& [name, id] : streams) streams_.erase(id);  // `name` is dangling from here on
  group.hidden_streams.clear();
  group.exists = false;
  group.hidden_until = until;
  group.retention_days = 0;
  group.log_class = "STANDARD";
  group.kms_key.clear();
  group.stored_bytes = 0;
  group.ingestion_max = kNoTime;
}

std::optional<StreamId> LogIndex::stream_of(SegmentId segment, uint32_t number) const {
  auto it = segments_.find(segment);
  if (it == segments_.end() || number >= it->second.stream_ids.size()) return std::nullopt;
  StreamId id = it->second.stream_ids[number];
  if (!streams_.contains(id)) return std::nullopt;
  return id;
}

size_t LogIndex::delete_expired(base::TimeMs now, size_t files_max) {
  std::vector<SegmentId> expired;
  for (const auto& [id, segment] : segments_) {
    if (expired.size() == files_max) break;
    if (segment.groups.empty() && !segment.sealed) continue;
    bool gone = true;
    for (const Segment::GroupShare& share : segment.groups) {
      const Group& group = *groups_[share.group];
      gone =
          gone && (share.ingestion_max <= group.hidden_until ||
                   (group.retention_days > 0 && share.timestamp_max < now - group.retention_days * kDayMs));
    }
    if (!gone) continue;
    base::UniqueFd file(::open(segment.file->path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) continue;  // a writer has it
    // What a writer that died added since the last look is not known to be expired.
    if (auto size = size_of(segment.file->path); size && *size != segment.seen_bytes) continue;
    if (::unlink(segment.file->path.c_str()) != 0 && errno != ENOENT) continue;
    expired.push_back(id);
  }
  for (SegmentId id : expired) forget_segment(id);
  return expired.size();
}

void LogIndex::forget_segment(SegmentId id) {
  Segment& segment = segments_.at(id);
  for (StreamId stream_id : segment.stream_ids) {
    auto it = streams_.find(stream_id);
    if (it == streams_.end()) continue;
    Stream& stream = it->second;
    std::erase_if(stream.parts, [&](const StreamPart& part) { return part.segment == id; });
    if (!stream.parts.empty()) {
      stream.timestamp_min = stream.parts.front().timestamp_min;
      for (const StreamPart& part : stream.parts)
        stream.timestamp_min = std::min(stream.timestamp_min, part.timestamp_min);
    } else if (!stream.created_by_call) {
      groups_[stream.group]->streams.erase(*stream.name);
      streams_.erase(it);
    } else {
      stream.ingestion_max = kNoTime;
    }
  }
  for (const Segment::GroupShare& share : segment.groups) {
    Group& group = *groups_[share.group];
    group.stored_bytes -= std::min(group.stored_bytes, share.stored_bytes);
  }
  segment_ids_.erase({segment.writer, segment.file->number});
  segments_.erase(id);
}

}  // namespace millrace::logs
