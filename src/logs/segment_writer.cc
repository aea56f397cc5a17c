#include "logs/segment_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/unique_fd.h"
#include "logs/segment_format.h"

namespace millrace::logs {
namespace {

constexpr size_t kWriteBytes = 1 << 20;     // append() hands encoded blocks to the kernel from this size on
constexpr size_t kUnsyncedSegmentsMax = 8;  // finished files that wait for sync(); then the oldest is synced
// A writer of few lines must not hold months of them in one file: retention deletes whole files.
constexpr base::TimeMs kSegmentAgeMaxMs = 24 * 3'600'000;
constexpr size_t kNameBytesMax = 512;  // CloudWatch Logs: group and stream names
constexpr uint32_t kNoSection = UINT32_MAX;

struct Stream {
  std::string group;
  std::string name;
  uint64_t declared_in = 0;       // generation of the segment that knows the number; 0: none
  uint32_t section = kNoSection;  // its place in the block being filled
  bool open = false;
};

// An event in the block being filled, followed by its message.
struct Pending {
  uint32_t section;
  uint32_t length;
  base::TimeMs timestamp;
  base::TimeMs ingestion;
};

uint64_t highest_number(const std::string& directory, const std::string& writer) {
  uint64_t highest = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    auto name = parse_segment_file_name(entry.path().filename().string());
    if (name && name->writer == writer) highest = std::max(highest, name->number);
  }
  return highest;
}

}  // namespace

class SegmentWriter::Impl {
 public:
  Impl(std::string directory, std::string writer, uint64_t segment_bytes_max)
      : directory_(std::move(directory)), writer_(std::move(writer)), segment_bytes_max_(segment_bytes_max) {
    if (writer_.empty() || writer_.size() > 100 ||
        writer_.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") !=
            std::string::npos)
      throw base::UsageError("\"" + writer_ + "\" cannot name a log writer");
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (error) throw base::TransientError(base::system_message("mkdir " + directory_, error.value()));
    number_ = highest_number(directory_, writer_);
  }

  ~Impl() {
    try {
      flush();
    } catch (const base::Error&) {  // documented: nobody is left to tell
    }
  }

  uint32_t open_stream(std::string_view group, std::string_view name) {
    if (group.empty() || name.empty() || group.size() > kNameBytesMax || name.size() > kNameBytesMax)
      throw base::UsageError("a log group or stream name has 1 to 512 bytes");
    uint32_t number;
    if (free_.empty()) {
      number = static_cast<uint32_t>(streams_.size());
      streams_.emplace_back();
    } else {
      number = free_.back();
      free_.pop_back();
    }
    streams_[number] = {std::string(group), std::string(name), 0, kNoSection, true};
    return number;
  }

  void close_stream(uint32_t number) {
    Stream& stream = known(number);
    stream.open = false;
    // Its events in the block being filled still need the name: the number is free once the block is cut.
    if (stream.section == kNoSection)
      release(number);
    else
      closed_in_block_.push_back(number);
  }

  void append(uint32_t number, base::TimeMs timestamp, base::TimeMs ingestion, std::string_view message) {
    Stream& stream = known(number);
    if (message.size() > kMessageBytesMax) throw base::UsageError("a log event has at most 1 MiB");
    if (stream.section != kNoSection) {
      const SectionHead& section = sections_[stream.section];
      // A clock that was set back, or weeks apart: the ingestion does not fit the section's.
      if (ingestion < section.ingestion_base ||
          ingestion - section.ingestion_base > std::numeric_limits<uint32_t>::max())
        cut();
    }
    if (stream.section == kNoSection) {
      stream.section = static_cast<uint32_t>(sections_.size());
      sections_.push_back({number, 0, 0, 0, ingestion, timestamp, timestamp});
    }
    SectionHead& section = sections_[stream.section];
    section.event_count += 1;
    section.bytes += static_cast<uint32_t>(kEventHeadBytes + message.size());
    section.ingestion_span =
        std::max(section.ingestion_span, static_cast<uint32_t>(ingestion - section.ingestion_base));
    section.timestamp_min = std::min(section.timestamp_min, timestamp);
    section.timestamp_max = std::max(section.timestamp_max, timestamp);

    const Pending pending{stream.section, static_cast<uint32_t>(message.size()), timestamp, ingestion};
    block_.append(reinterpret_cast<const char*>(&pending), sizeof pending);
    block_.append(message);
    payload_bytes_ += kEventHeadBytes + message.size();
    if (payload_bytes_ >= kBlockPayloadBytes) {
      cut();
      if (out_.size() - written_ >= kWriteBytes) write_out();
    }
  }

  void flush() {
    cut();
    if (int error = write_out(); error != 0)
      throw base::TransientError(base::system_message("write " + path_, error));
  }

  void sync() {
    flush();
    while (!unsynced_.empty()) {
      sync_file(unsynced_.front());
      unsynced_.pop_front();
    }
    if (file_ && dirty_) {
      sync_file(file_);
      dirty_ = false;
    }
    if (new_file_) {
      base::UniqueFd directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!directory || ::fsync(directory.get()) != 0)
        throw base::TransientError(base::system_message("fsync " + directory_, errno));
      new_file_ = false;
    }
  }

  size_t buffered_bytes() const { return block_.size() + out_.size() - written_; }

 private:
  Stream& known(uint32_t number) {
    if (number >= streams_.size() || !streams_[number].open)
      throw base::InternalError("log stream " + std::to_string(number) + " is not open");
    return streams_[number];
  }

  // A declaration holds for a whole file: a number that the current file knows is given out again in the
  // next.
  void release(uint32_t number) {
    const bool declared = streams_[number].declared_in == generation_;
    streams_[number] = {};
    (declared ? free_after_rotation_ : free_).push_back(number);
  }

  static void sync_file(const base::UniqueFd& file) {
    if (::fdatasync(file.get()) != 0)
      throw base::TransientError(base::system_message("fdatasync of a segment", errno));
  }

  // Turns the block being filled into bytes of the file.
  void cut() {
    if (sections_.empty()) return;
    const base::TimeMs ingestion = sections_.front().ingestion_base;
    if (planned_bytes_ >= segment_bytes_max_ ||
        (planned_bytes_ > 0 && ingestion - segment_began_ >= kSegmentAgeMaxMs))
      rotate();
    if (planned_bytes_ == 0) segment_began_ = ingestion;

    BlockHead head{};
    head.magic = kBlockMagic;
    head.payload_bytes = static_cast<uint32_t>(payload_bytes_);
    head.section_count = static_cast<uint32_t>(sections_.size());
    head.timestamp_min = std::numeric_limits<base::TimeMs>::max();
    head.timestamp_max = head.ingestion_max = std::numeric_limits<base::TimeMs>::min();

    const size_t begin = out_.size();
    out_.append(sizeof(BlockHead), '\0');
    std::vector<size_t>
        section_at;  // where the next event of each section goes, from the payload's beginning
    section_at.reserve(sections_.size());
    size_t section_offset = 0;
    for (const SectionHead& section : sections_) {
      Stream& stream = streams_[section.stream];
      if (stream.declared_in != generation_) {
        declare(section.stream, stream);
        stream.declared_in = generation_;
        ++head.declaration_count;
      }
      stream.section = kNoSection;
      head.event_count += section.event_count;
      head.timestamp_min = std::min(head.timestamp_min, section.timestamp_min);
      head.timestamp_max = std::max(head.timestamp_max, section.timestamp_max);
      head.ingestion_max = std::max(head.ingestion_max, section.ingestion_base + section.ingestion_span);
      section_at.push_back(section_offset);
      section_offset += section.bytes;
    }
    out_.append(reinterpret_cast<const char*>(sections_.data()), sections_.size() * sizeof(SectionHead));
    head.head_bytes = static_cast<uint32_t>(out_.size() - begin);

    out_.resize(out_.size() + payload_bytes_);
    scatter(out_.data() + begin + head.head_bytes, section_at);
    head.payload_checksum =
        base::xxh3({out_.data() + begin + head.head_bytes, static_cast<size_t>(head.payload_bytes)});
    std::memcpy(out_.data() + begin, &head, sizeof head);
    head.head_checksum = base::xxh3({out_.data() + begin + 8, head.head_bytes - 8});
    std::memcpy(out_.data() + begin, &head.head_checksum, sizeof head.head_checksum);

    planned_bytes_ += out_.size() - begin;
    sections_.clear();
    block_.clear();
    payload_bytes_ = 0;
    for (uint32_t number : closed_in_block_) release(number);
    closed_in_block_.clear();
  }

  void declare(uint32_t number, const Stream& stream) {
    const uint16_t lengths[2] = {static_cast<uint16_t>(stream.group.size()),
                                 static_cast<uint16_t>(stream.name.size())};
    out_.append(reinterpret_cast<const char*>(&number), sizeof number);
    out_.append(reinterpret_cast<const char*>(lengths), sizeof lengths);
    out_ += stream.group;
    out_ += stream.name;
  }

  void scatter(char* payload, std::vector<size_t>& section_at) const {
    for (size_t at = 0; at < block_.size();) {
      const Pending event = load<Pending>(block_.data() + at);
      at += sizeof(Pending);
      char* to = payload + section_at[event.section];
      const auto after_base =
          static_cast<uint32_t>(event.ingestion - sections_[event.section].ingestion_base);
      std::memcpy(to, &event.length, 4);
      std::memcpy(to + 4, &after_base, 4);
      std::memcpy(to + 8, &event.timestamp, 8);
      std::memcpy(to + kEventHeadBytes, block_.data() + at, event.length);
      section_at[event.section] += kEventHeadBytes + event.length;
      at += event.length;
    }
  }

  // Goes on in a new file, unless the disk does not take what belongs into this one: then it grows beyond its
  // limit.
  void rotate() {
    if (write_out() != 0) return;
    // Begin to write it back now, so that the fdatasync of later finds little to do.
    ::sync_file_range(file_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
    if (unsynced_.size() >= kUnsyncedSegmentsMax && ::fdatasync(unsynced_.front().get()) == 0)
      unsynced_.pop_front();        // one that fails stays, for sync() to report
    ::flock(file_.get(), LOCK_UN);  // nothing more is written to it
    unsynced_.push_back(std::move(file_));
    file_ = base::UniqueFd();
    dirty_ = false;
    planned_bytes_ = 0;
    ++generation_;
    free_.insert(free_.end(), free_after_rotation_.begin(), free_after_rotation_.end());
    free_after_rotation_.clear();
  }

  // Hands the encoded blocks to the kernel; 0 or errno. What was not taken stays, also half a block.
  int write_out() {
    if (written_ == out_.size()) return 0;
    if (!file_) {
      if (int error = create(); error != 0) return error;
    }
    while (written_ < out_.size()) {
      ssize_t count = ::write(file_.get(), out_.data() + written_, out_.size() - written_);
      if (count < 0) {
        if (errno == EINTR) continue;
        return errno;
      }
      written_ += static_cast<size_t>(count);
      dirty_ = true;
    }
    out_.clear();
    written_ = 0;
    return 0;
  }

  // Creates the next file and puts its header before the bytes that wait.
  int create() {
    for (;;) {
      std::string path = directory_ + "/" + segment_file_name(writer_, number_ + 1);
      int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
      if (fd < 0 && errno == EINTR) continue;
      if (fd < 0 && errno != EEXIST) {
        path_ = path;
        return errno;
      }
      ++number_;
      if (fd < 0) continue;  // somebody else took the number
      file_.reset(fd);
      ::flock(fd, LOCK_SH | LOCK_NB);  // tells whoever deletes old segments that this one is still written to
      path_ = std::move(path);
      break;
    }
    new_file_ = true;
    const std::string header = file_header(base::SystemClock().now_ms());
    out_.insert(0, header);
    planned_bytes_ += header.size();
    return 0;
  }

  const std::string directory_;
  const std::string writer_;
  const uint64_t segment_bytes_max_;

  std::vector<Stream> streams_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> free_after_rotation_;
  std::vector<uint32_t> closed_in_block_;

  // The block being filled: events in order of arrival, and what is known of each stream in it.
  std::string block_;
  std::vector<SectionHead> sections_;
  size_t payload_bytes_ = 0;

  std::string out_;     // encoded blocks of the current file
  size_t written_ = 0;  // how much of out_ the kernel has

  base::UniqueFd file_;
  std::string path_;
  uint64_t number_ = 0;
  uint64_t generation_ = 1;         // counts files, from 1
  uint64_t planned_bytes_ = 0;      // of the current file, with what waits in out_
  base::TimeMs segment_began_ = 0;  // ingestion of its first event
  bool dirty_ = false;
  bool new_file_ = false;
  std::deque<base::UniqueFd> unsynced_;
};

SegmentWriter::SegmentWriter(std::string directory, std::string writer, uint64_t segment_bytes_max)
    : impl_(std::make_unique<Impl>(std::move(directory), std::move(writer), segment_bytes_max)) {}
SegmentWriter::~SegmentWriter() = default;

uint32_t SegmentWriter::open_stream(std::string_view group, std::string_view stream) {
  return impl_->open_stream(group, stream);
}
void SegmentWriter::close_stream(uint32_t stream) { impl_->close_stream(stream); }
void SegmentWriter::append(uint32_t stream, base::TimeMs timestamp, base::TimeMs ingestion,
                           std::string_view message) {
  impl_->append(stream, timestamp, ingestion, message);
}
void SegmentWriter::flush() { impl_->flush(); }
void SegmentWriter::sync() { impl_->sync(); }
size_t SegmentWriter::buffered_bytes() const { return impl_->buffered_bytes(); }

}  // namespace millrace::logs
