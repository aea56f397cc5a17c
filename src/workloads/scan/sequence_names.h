// Which files of one folder are the frames of one sequence, by their names: "shot.0001.exr", "shot.0002.exr"
// … are "shot.####.exr".
//
// Rules. A frame number is a run of at most 9 digits of the name without its extension; "v003" is a version
// and never one. Of several numbers the last that makes a sequence counts. Numbers have one width ("0009",
// "0010"), or grow ("9", "10"); a '-' after '.' or '_' or at the start makes them negative. Holes do not
// split a sequence. How sure the name has to be depends on what stands before the number (see kCertainty).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "workloads/scan/frame_store.h"

namespace millrace::scan {

struct SequenceRules {
  bool detect = true;
  int64_t min_length = 3;   // files; tiles of a texture (UDIM) that says so: 2
  int64_t min_padding = 1;  // digits of the shortest number

  std::string text() const;  // the same for the same rules
};

// A file of the folder. `may_be_frame`: of a type that comes in sequences.
struct NamedFile {
  FrameMember member;  // all but its frame
  std::string_view name;
  int64_t size = 0;  // bytes
  bool may_be_frame = true;
  bool fresh = false;  // was read by this scan
};

struct FoundSequence {
  std::string head, tail;  // of the file name, around the number and its sign
  int64_t padding = 1;     // digits of a number with leading zeros; 1: there are none. Part of the identity.
  std::string pattern;     // "shot.####.exr", with as many '#' as all numbers have digits
  int64_t first = 0, last = 0, step = 1, count = 0;
  int64_t missing_count = 0;   // of first, first + step, … last
  std::string missing_frames;  // "12-15,18", cut with "…" when very long
  int64_t total_bytes = 0, min_bytes = 0, max_bytes = 0;
  bool is_udim = false;
  bool fresh = false;  // a member was read by this scan, or was not of this sequence before
  const FrameStore::List* members = nullptr;
};

// Takes the files of one folder in ascending byte order of their names; tells each of them exactly once, as a
// member of a sequence or alone. Memory is bounded whatever the folder holds: when kOpenMax possible
// sequences are open at once, short ones are given up, and if none is short, no new one is begun.
class SequenceFinder {
 public:
  static constexpr size_t kOpenMax = 8192;
  using OnSequence = std::function<void(const FoundSequence&)>;
  using OnAlone = std::function<void(const FrameMember&)>;

  SequenceFinder(const SequenceRules& rules, FrameStore& store, OnSequence found, OnAlone alone);
  ~SequenceFinder();
  void add(const NamedFile& file);
  void end();  // of the folder; another one may follow

 private:
  struct Group;
  struct Pending;
  struct Level;
  struct Number;

  static std::vector<Number> numbers_of(std::string_view name, int64_t min_padding);
  void place(Pending pending);
  Level& level_of(std::string_view prefix);
  Group* group_of(Level& level, const std::string& name, const Number& number);
  void add_to(Group& group, Pending pending, const Number& number);
  void close_top();
  void close(Level& level);
  void close(const Level& level, const std::string& tail, Group& group);
  bool accept(const Level& level, const std::string& tail, Group& group, FoundSequence& found) const;
  void give_up_short_ones();

  const SequenceRules rules_;
  FrameStore& store_;
  const OnSequence found_;
  const OnAlone alone_;
  std::vector<std::unique_ptr<Level>> levels_;  // each prefix begins with the one before
  size_t open_ = 0;                             // groups
  size_t ranges_ = 0;                           // of all groups
  size_t wait_ = 0;                             // files until short ones may be given up again
};

}  // namespace millrace::scan
