#include "workloads/scan/sequence_names.h"

#include <algorithm>
#include <numeric>

#include "base/strings.h"
#include "workloads/scan/file_names.h"

namespace millrace::scan {
namespace {

constexpr size_t kDigitsMax = 9;        // longer ones are dates, hashes, identifiers
constexpr size_t kNumbersMax = 8;       // of one name that are tried
constexpr size_t kNamesKept = 16;       // of a group: so small a group may turn out to be none
constexpr size_t kRangesMax = 1 << 18;  // of frames, of all open groups
constexpr size_t kMissingText = 2000;   // bytes

// How dense the frames have to be (per cent of first, first + step … last), by what stands around the number
// and how many digits it has at least. Photographs, test files and numbered notes look like frames; these
// lines are where they differ.
struct Certainty {
  enum class Around : uint8_t { kStrong, kMedium, kWeak } around;
  int64_t digits_min, length_min, percent_min;
};
constexpr Certainty kCertainty[] = {
    {Certainty::Around::kStrong, 3, 2, 5},   // "shot.0001", "shot_0001", "0001": holes are holes
    {Certainty::Around::kStrong, 1, 2, 50},  // "shot_1"
    {Certainty::Around::kMedium, 3, 3, 50},  // "shot-001", "shot 001"
    {Certainty::Around::kMedium, 1, 5, 90},  //
    {Certainty::Around::kWeak, 4, 3, 60},    // "frame0001", but not every "DSCN0010"
    {Certainty::Around::kWeak, 3, 5, 90},    //
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

// Where the extension begins; an extension of digits is none.
size_t stem_length(std::string_view name) {
  size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return name.size();
  bool number = dot + 1 < name.size();
  for (char c : name.substr(dot + 1)) number = number && is_digit(c);
  return number ? name.size() : dot;
}

// Frames as ranges without holes.
class Ranges {
 public:
  // How many ranges there are more than before.
  int add(int64_t frame) {
    auto next = ranges_.upper_bound(frame);
    auto before = next == ranges_.begin() ? ranges_.end() : std::prev(next);
    if (before != ranges_.end() && before->second >= frame) return 0;
    const bool joins_before = before != ranges_.end() && before->second == frame - 1;
    const bool joins_next = next != ranges_.end() && next->first == frame + 1;
    if (joins_before && joins_next) {
      before->second = next->second;
      ranges_.erase(next);
      return -1;
    }
    if (joins_before) {
      before->second = frame;
      return 0;
    }
    if (joins_next) {
      int64_t last = next->second;
      ranges_.erase(next);
      ranges_[frame] = last;
      return 0;
    }
    ranges_[frame] = frame;
    return 1;
  }
  size_t size() const { return ranges_.size(); }
  void clear() { ranges_.clear(); }
  const std::map<int64_t, int64_t>& all() const { return ranges_; }

 private:
  std::map<int64_t, int64_t> ranges_;
};

std::string missing_text(const Ranges& ranges, int64_t step) {
  std::string text;
  int64_t behind = 0;
  bool first = true;
  for (const auto& [from, to] : ranges.all()) {
    if (!first && from - behind > step) {
      if (text.size() > kMissingText) return text + ",…";
      if (!text.empty()) text += ',';
      const int64_t a = behind + step, b = from - step;
      text += std::to_string(a);
      if (b > a) text += "-" + std::to_string(b);
    }
    behind = to;
    first = false;
  }
  return text;
}

// Tiles of one texture, not frames that happen to begin at 1001: the name says so, or the holes lie where a
// grid of ten columns has its unused ones.
bool looks_like_udim(const std::string& head, const std::string& tail, int64_t first, int64_t last,
                     int64_t count, const Ranges& ranges) {
  if (first < 1001 || last > 1999 || head.empty() || (head.back() != '.' && head.back() != '_')) return false;
  if (base::to_lower(head + tail).find("udim") != std::string::npos) return true;
  if (count > 100) return false;
  if (!texture_tags(head + "." + tail).empty()) return true;
  // Rows of tiles: each begins at its first column, and at least two are there.
  if (ranges.size() < 2) return false;
  for (const auto& [from, to] : ranges.all())
    if ((from - 1001) % 10 != 0 || (to - 1001) / 10 != (from - 1001) / 10) return false;
  return true;
}

}  // namespace

struct SequenceFinder::Number {
  size_t prefix = 0;  // how long what stands before it is (without its sign)
  size_t begin = 0, end = 0;
  bool negative = false;
};

struct SequenceFinder::Pending {
  FrameMember member;
  std::string name;
  int64_t size = 0;
  bool fresh = false;
  int64_t numbers_left = 0;  // how many of its numbers, from the first, were not tried yet
};

struct SequenceFinder::Group {
  int64_t padding = 1;
  int64_t count = 0, first = 0, last = 0, origin = 0, gcd = 0;
  int64_t digits_min = 0, digits_max = 0;
  int64_t total = 0, smallest = 0, largest = 0;
  bool fresh = false, ranges_lost = false;
  Ranges ranges;
  std::vector<Pending> names;  // of all members, while they are few
  FrameStore::List members;
};

struct SequenceFinder::Level {
  std::string prefix;
  std::map<std::string, std::vector<Group>, std::less<>> groups;  // by what follows the number
};

std::string SequenceRules::text() const {
  return detect ? "length " + std::to_string(min_length) + ", padding " + std::to_string(min_padding) + ", 1"
                : "none";
}

SequenceFinder::SequenceFinder(const SequenceRules& rules, FrameStore& store, OnSequence found, OnAlone alone)
    : rules_(rules), store_(store), found_(std::move(found)), alone_(std::move(alone)) {}
SequenceFinder::~SequenceFinder() = default;

std::vector<SequenceFinder::Number> SequenceFinder::numbers_of(std::string_view name, int64_t min_padding) {
  std::vector<Number> numbers;
  const size_t stem = stem_length(name);
  for (size_t at = 0; at < stem && numbers.size() < kNumbersMax;) {
    if (!is_digit(name[at])) {
      ++at;
      continue;
    }
    Number number;
    number.begin = at;
    while (at < stem && is_digit(name[at])) ++at;
    number.end = at;
    const size_t digits = number.end - number.begin;
    if (digits > kDigitsMax || static_cast<int64_t>(digits) < min_padding) continue;
    number.prefix = number.begin;
    if (number.begin > 0) {
      const char before = name[number.begin - 1];
      // "v003", "v_003": a version. A "v" at the end of a word ("mov1") is none.
      size_t v = number.begin - 1;
      if ((before == '_' || before == '-') && v > 0) --v;
      if ((name[v] == 'v' || name[v] == 'V') && (v == 0 || !is_letter(name[v - 1]))) continue;
      const bool after_separator =
          number.begin == 1 || name[number.begin - 2] == '.' || name[number.begin - 2] == '_';
      const bool zero = name.substr(number.begin, digits).find_first_not_of('0') == std::string_view::npos;
      if (before == '-' && after_separator && !zero) {
        number.negative = true;
        --number.prefix;
      }
    }
    numbers.push_back(number);
  }
  return numbers;
}

void SequenceFinder::add(const NamedFile& file) {
  while (!levels_.empty() && !file.name.starts_with(levels_.back()->prefix)) close_top();
  if (!rules_.detect || !file.may_be_frame) return alone_(file.member);
  Pending pending{file.member, std::string(file.name), file.size, file.fresh,
                  static_cast<int64_t>(numbers_of(file.name, rules_.min_padding).size())};
  if (open_ >= kOpenMax && !levels_.empty() && wait_ == 0) {
    give_up_short_ones();
    if (open_ > kOpenMax / 2) wait_ = kOpenMax;  // so much work for so little is not for every file
  }
  if (wait_ > 0) --wait_;
  place(std::move(pending));
}

void SequenceFinder::end() {
  while (!levels_.empty()) close_top();
  store_.clear();
}

// Into the group of the last number that was not tried; alone when there is none.
void SequenceFinder::place(Pending pending) {
  const std::vector<Number> numbers = numbers_of(pending.name, rules_.min_padding);
  while (pending.numbers_left > 0) {
    const Number number = numbers[static_cast<size_t>(--pending.numbers_left)];
    Level& level = level_of(std::string_view(pending.name).substr(0, number.prefix));
    if (Group* group = group_of(level, pending.name, number))
      return add_to(*group, std::move(pending), number);
  }
  alone_(pending.member);
}

// Longer prefixes stand behind shorter ones.
SequenceFinder::Level& SequenceFinder::level_of(std::string_view prefix) {
  size_t at = levels_.size();
  while (at > 0 && levels_[at - 1]->prefix.size() > prefix.size()) --at;
  if (at > 0 && levels_[at - 1]->prefix == prefix) return *levels_[at - 1];
  auto level = std::make_unique<Level>();
  level->prefix = prefix;
  return **levels_.insert(levels_.begin() + static_cast<std::ptrdiff_t>(at), std::move(level));
}

// Null when it would be one too many.
SequenceFinder::Group* SequenceFinder::group_of(Level& level, const std::string& name, const Number& number) {
  std::string_view tail = std::string_view(name).substr(number.end);
  auto found = level.groups.find(tail);
  if (found == level.groups.end()) found = level.groups.emplace(tail, std::vector<Group>()).first;
  std::vector<Group>& groups = found->second;
  const auto digits = static_cast<int64_t>(number.end - number.begin);
  // Leading zeros say how wide numbers are. Without them a number goes with the widest it is not too short
  // for: names with zeros come first, so those groups are there already.
  int64_t padding = 1;
  if (digits > 1 && name[number.begin] == '0') {
    padding = digits;
  } else {
    for (const Group& group : groups)
      if (group.padding <= digits) padding = std::max(padding, group.padding);
  }
  for (Group& group : groups)
    if (group.padding == padding) return &group;
  if (open_ >= kOpenMax) return nullptr;
  ++open_;
  groups.emplace_back().padding = padding;
  return &groups.back();
}

void SequenceFinder::add_to(Group& group, Pending pending, const Number& number) {
  const std::string_view digits_text =
      std::string_view(pending.name).substr(number.begin, number.end - number.begin);
  int64_t frame = base::parse_number<int64_t>(digits_text).value_or(0);
  if (number.negative) frame = -frame;
  const auto digits = static_cast<int64_t>(digits_text.size());
  pending.member.frame = frame;
  if (group.count == 0) {
    group.first = group.last = group.origin = frame;
    group.digits_min = group.digits_max = digits;
    group.smallest = group.largest = pending.size;
  }
  ++group.count;
  group.first = std::min(group.first, frame);
  group.last = std::max(group.last, frame);
  group.gcd = std::gcd(group.gcd, frame - group.origin);
  group.digits_min = std::min(group.digits_min, digits);
  group.digits_max = std::max(group.digits_max, digits);
  group.total += pending.size;
  group.smallest = std::min(group.smallest, pending.size);
  group.largest = std::max(group.largest, pending.size);
  group.fresh = group.fresh || pending.fresh;
  if (!group.ranges_lost) {
    ranges_ = static_cast<size_t>(static_cast<int64_t>(ranges_) + group.ranges.add(frame));
    if (ranges_ > kRangesMax) {
      ranges_ -= group.ranges.size();
      group.ranges.clear();
      group.ranges_lost = true;
    }
  }
  store_.append(group.members, pending.member);
  if (group.count <= static_cast<int64_t>(kNamesKept)) {
    group.names.push_back(std::move(pending));
  } else if (!group.names.empty()) {
    std::vector<Pending>().swap(group.names);
  }
}

void SequenceFinder::close_top() {
  std::unique_ptr<Level> level = std::move(levels_.back());
  levels_.pop_back();
  close(*level);
}

void SequenceFinder::close(Level& level) {
  for (auto& [tail, groups] : level.groups) {
    for (Group& group : groups) {
      --open_;
      ranges_ -= group.ranges.size();
      close(level, tail, group);
    }
  }
}

void SequenceFinder::close(const Level& level, const std::string& tail, Group& group) {
  FoundSequence found;
  if (accept(level, tail, group, found)) return found_(found);
  if (!group.names.empty()) {
    // Another number of these names may be the one that counts frames.
    for (Pending& pending : group.names) place(std::move(pending));
    return;
  }
  store_.for_each(group.members, alone_);
}

bool SequenceFinder::accept(const Level& level, const std::string& tail, Group& group,
                            FoundSequence& found) const {
  const std::string& head = level.prefix;
  const bool udim =
      !group.ranges_lost && looks_like_udim(head, tail, group.first, group.last, group.count, group.ranges);
  if (group.count < (udim ? std::min<int64_t>(2, rules_.min_length) : rules_.min_length) || group.count < 2)
    return false;
  const int64_t step = std::max<int64_t>(group.gcd, 1);
  const int64_t slots = (group.last - group.first) / step + 1;
  if (group.count > slots) return false;  // "-0" and "0"
  const bool letters =
      (!head.empty() && is_letter(head.back())) || (!tail.empty() && is_letter(tail.front()));
  const auto around = letters                                                    ? Certainty::Around::kWeak
                      : head.empty() || head.back() == '.' || head.back() == '_' ? Certainty::Around::kStrong
                                                                                 : Certainty::Around::kMedium;
  const auto* line = std::find_if(std::begin(kCertainty), std::end(kCertainty), [&](const Certainty& c) {
    return c.around == around && group.digits_min >= c.digits_min;
  });
  if (line == std::end(kCertainty)) return false;
  if (group.count < line->length_min || group.count * 100 < slots * line->percent_min) return false;

  found.head = head;
  found.tail = tail;
  found.padding = group.padding;
  const int64_t width = group.digits_min == group.digits_max ? group.digits_min : group.padding;
  found.pattern = head + std::string(static_cast<size_t>(width), '#') + tail;
  found.first = group.first;
  found.last = group.last;
  found.step = step;
  found.count = group.count;
  found.missing_count = slots - group.count;
  if (found.missing_count > 0)
    found.missing_frames = group.ranges_lost ? "too many to list" : missing_text(group.ranges, step);
  found.total_bytes = group.total;
  found.min_bytes = group.smallest;
  found.max_bytes = group.largest;
  found.is_udim = udim;
  found.fresh = group.fresh;
  found.members = &group.members;
  return true;
}

// Memory has an end: what has the shortest prefix waits longest, and its single files most likely stay
// single.
void SequenceFinder::give_up_short_ones() {
  for (auto& [tail, groups] : levels_.front()->groups) {
    std::erase_if(groups, [&](Group& group) {
      if (group.count >= rules_.min_length) return false;
      --open_;
      ranges_ -= group.ranges.size();
      store_.for_each(group.members, alone_);
      return true;
    });
  }
  std::erase_if(levels_.front()->groups, [](const auto& entry) { return entry.second.empty(); });
}

}  // namespace millrace::scan
