#include "logs/log_scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/hash.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "logs/segment_format.h"

namespace millrace::logs {
namespace {

constexpr size_t kEventOverheadBytes = 26;

void put_hex(std::string& out, uint64_t value, size_t digits) {
  for (size_t i = digits; i-- > 0;) out += "0123456789abcdef"[(value >> (4 * i)) & 15];
}

void put_decimal(std::string& out, uint64_t value, size_t digits) {
  std::string text = std::to_string(value);
  if (text.size() < digits) out.append(digits - text.size(), '0');
  out += text;
}

// Keeps the best events seen so far: the smallest keys going forward, the greatest going back.
class Page {
 public:
  explicit Page(const ScanQuery& query) : query_(query) {}

  bool wants(const EventKey& key) const {
    if (query_.forward ? key <= query_.bound : key >= query_.bound) return false;
    return !limit_ || better(key, *limit_);
  }
  // No event of these times can be wanted any more.
  bool closed_to(base::TimeMs timestamp_min, base::TimeMs timestamp_max) const {
    if (query_.forward) {
      return timestamp_max < query_.bound.timestamp || (limit_ && timestamp_min > limit_->timestamp);
    }
    return timestamp_min > query_.bound.timestamp || (limit_ && timestamp_max < limit_->timestamp);
  }

  void add(const EventKey& key, std::shared_ptr<const std::string> stream, std::string_view message) {
    events_.push_back({key, std::move(stream), std::string(message)});
    bytes_ += message.size() + kEventOverheadBytes;
    std::push_heap(events_.begin(), events_.end(), by_rank_);
    // From here on only better events than those thrown out are taken, so that the page has no holes.
    while (events_.size() > query_.events_max + 1 || (bytes_ > query_.bytes_max && events_.size() > 1)) {
      limit_ = events_.front().key;
      dropped_ = true;
      drop_worst();
    }
    // One event beyond the page tells that there is more; nothing worse is looked at.
    if (events_.size() > query_.events_max) limit_ = events_.front().key;
  }

  // Drops what is not before `key` in the order of the query.
  void cut(const EventKey& key) {
    while (!events_.empty() && !better(events_.front().key, key)) drop_worst();
  }

  // To be called at the end: true when there are events beyond the page.
  bool trim() {
    if (events_.size() <= query_.events_max) return dropped_;
    drop_worst();
    return true;
  }
  std::vector<Event> take() {
    std::sort(events_.begin(), events_.end(), [](const Event& a, const Event& b) { return a.key < b.key; });
    return std::move(events_);
  }

 private:
  bool better(const EventKey& a, const EventKey& b) const { return query_.forward ? a < b : b < a; }
  void drop_worst() {
    std::pop_heap(events_.begin(), events_.end(), by_rank_);
    bytes_ -= events_.back().message.size() + kEventOverheadBytes;
    events_.pop_back();
  }

  struct ByRank {
    const Page* page;
    bool operator()(const Event& a, const Event& b) const { return page->better(a.key, b.key); }
  };

  const ScanQuery& query_;
  const ByRank by_rank_{this};
  std::vector<Event> events_;  // a heap, the worst in front
  size_t bytes_ = 0;
  std::optional<EventKey> limit_;
  bool dropped_ = false;
};

class Scanner {
 public:
  explicit Scanner(const ScanQuery& query) : query_(query), page_(query) {}

  ScanPage run(std::vector<ScanItem> items) {
    std::sort(items.begin(), items.end(), [this](const ScanItem& a, const ScanItem& b) {
      if (query_.forward) {
        return std::tie(a.span.timestamp_min, a.segment, a.span.offset) <
               std::tie(b.span.timestamp_min, b.segment, b.span.offset);
      }
      return std::tie(a.span.timestamp_max, a.segment, a.span.offset) >
             std::tie(b.span.timestamp_max, b.segment, b.span.offset);
    });
    ScanPage result;
    bool stopped = false;
    for (const ScanItem& item : items) {
      if (page_.closed_to(item.span.timestamp_min, item.span.timestamp_max)) continue;
      if (scanned_bytes_ >= query_.scan_bytes_max) {
        // All events of earlier times have been seen: the next page goes on from this item's time, if that is
        // any further.
        EventKey here = query_.forward ? EventKey::before(item.span.timestamp_min)
                                       : EventKey::after(item.span.timestamp_max);
        if (query_.forward ? here > query_.bound : here < query_.bound) {
          page_.cut(here);
          result.resume = here;
          stopped = true;
          break;
        }
      }
      read_span(item);
    }
    const bool truncated = page_.trim();
    result.events = page_.take();
    result.damaged_blocks = damaged_blocks_;
    result.more = stopped || (truncated && !result.events.empty());
    if (!stopped && result.more)
      result.resume = query_.forward ? result.events.back().key : result.events.front().key;
    return result;
  }

 private:
  void read_span(const ScanItem& item) {
    if (!file_ || open_segment_ != item.segment) {
      file_.reset(::open(item.file->path.c_str(), O_RDONLY | O_CLOEXEC));
      open_segment_ = item.segment;
    }
    if (!file_) return;  // deleted by retention meanwhile
    if (buffer_.size() < item.span.bytes) buffer_.resize(item.span.bytes);
    size_t have = 0;
    while (have < item.span.bytes) {
      ssize_t count = ::pread(file_.get(), buffer_.data() + have, item.span.bytes - have,
                              static_cast<off_t>(item.span.offset + have));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      have += static_cast<size_t>(count);
    }
    scanned_bytes_ += have;
    for (size_t at = 0; at < have;) {
      std::string_view rest(buffer_.data() + at, have - at);
      if (parse_head(rest, parsed_) != HeadState::kWhole ||
          rest.size() - parsed_.head.head_bytes < parsed_.head.payload_bytes) {
        ++damaged_blocks_;
        return;
      }
      read_block(item, at, rest.substr(parsed_.head.head_bytes, parsed_.head.payload_bytes));
      at += parsed_.head.head_bytes + parsed_.head.payload_bytes;
    }
  }

  bool in_range(base::TimeMs timestamp_min, base::TimeMs timestamp_max) const {
    return timestamp_max >= query_.from && timestamp_min <= query_.to &&
           !page_.closed_to(timestamp_min, timestamp_max);
  }

  void read_block(const ScanItem& item, size_t block_at, std::string_view payload) {
    const BlockHead& head = parsed_.head;
    if (!in_range(head.timestamp_min, head.timestamp_max)) return;
    query_.resolve(item.segment, parsed_.sections, targets_);
    if (std::none_of(targets_.begin(), targets_.end(),
                     [](const SectionTarget& t) { return t.stream != nullptr; }))
      return;
    if (base::xxh3(payload) != head.payload_checksum) {
      ++damaged_blocks_;
      return;
    }
    if (query_.pattern != nullptr && !query_.pattern->may_match(payload)) return;
    size_t section_at = 0;
    for (size_t i = 0; i < parsed_.sections.size(); ++i) {
      const SectionHead& section = parsed_.sections[i];
      std::string_view bytes = payload.substr(section_at, section.bytes);
      if (targets_[i].stream != nullptr && in_range(section.timestamp_min, section.timestamp_max))
        read_section(item, section, targets_[i], bytes,
                     item.span.offset + block_at + head.head_bytes + section_at);
      section_at += section.bytes;
    }
  }

  void read_section(const ScanItem& item, const SectionHead& section, const SectionTarget& target,
                    std::string_view bytes, uint64_t file_offset) {
    EventView event;
    size_t offset = 0;
    while (next_event(bytes, section.ingestion_base, offset, event)) {
      if (event.timestamp < query_.from || event.timestamp > query_.to ||
          event.ingestion <= target.hidden_until)
        continue;
      const EventKey key{event.timestamp, event.ingestion, item.file->writer, item.file->number,
                         static_cast<uint32_t>(file_offset + event.offset)};
      if (!page_.wants(key)) continue;
      if (query_.pattern != nullptr && !query_.pattern->matches(event.message)) continue;
      page_.add(key, target.stream, event.message);
    }
  }

  const ScanQuery& query_;
  Page page_;
  base::UniqueFd file_;
  SegmentId open_segment_ = 0;
  std::string buffer_;
  ParsedHead parsed_;
  std::vector<SectionTarget> targets_;
  uint64_t scanned_bytes_ = 0;
  uint64_t damaged_blocks_ = 0;
};

}  // namespace

std::string EventKey::text() const {
  std::string out;
  out.reserve(64);
  // Signed times in an order that hexadecimal keeps.
  put_hex(out, static_cast<uint64_t>(timestamp) ^ (1ULL << 63), 16);
  put_hex(out, static_cast<uint64_t>(ingestion) ^ (1ULL << 63), 16);
  put_hex(out, writer, 16);
  put_hex(out, segment, 8);
  put_hex(out, offset, 8);
  return out;
}

std::optional<EventKey> EventKey::parse(std::string_view text) {
  auto number = [&](size_t at, size_t digits) -> std::optional<uint64_t> {
    uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data() + at, text.data() + at + digits, value, 16);
    if (error != std::errc() || end != text.data() + at + digits) return std::nullopt;
    return value;
  };
  if (text.size() != 64) return std::nullopt;
  auto timestamp = number(0, 16), ingestion = number(16, 16), writer = number(32, 16),
       segment = number(48, 8), offset = number(56, 8);
  if (!timestamp || !ingestion || !writer || !segment || !offset) return std::nullopt;
  return EventKey{static_cast<base::TimeMs>(*timestamp ^ (1ULL << 63)),
                  static_cast<base::TimeMs>(*ingestion ^ (1ULL << 63)), *writer,
                  static_cast<uint32_t>(*segment), static_cast<uint32_t>(*offset)};
}

std::string EventKey::event_id() const {
  std::string out;
  out.reserve(56);
  put_decimal(out, static_cast<uint64_t>(std::max<base::TimeMs>(timestamp, 0)), 16);
  put_decimal(out, writer, 20);
  put_decimal(out, segment, 10);
  put_decimal(out, offset, 10);
  return out;
}

ScanPage scan(std::vector<ScanItem> items, const ScanQuery& query) {
  return Scanner(query).run(std::move(items));
}

}  // namespace millrace::logs
