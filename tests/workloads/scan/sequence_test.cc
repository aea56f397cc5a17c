#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <random>
#include <set>

#include "workloads/scan/file_names.h"
#include "workloads/scan/sequence_names.h"

namespace millrace::scan {
namespace {

struct Outcome {
  std::map<std::string, std::vector<std::string>> sequences;  // by pattern
  std::map<std::string, FoundSequence> found;
  std::vector<std::string> alone;
  std::map<std::string, int> told;  // how often each file was
};

Outcome find(std::vector<std::string> names, const SequenceRules& rules = {}) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  Outcome outcome;
  FrameStore store;
  auto name_of = [&](const FrameMember& member) { return names[static_cast<size_t>(member.id)]; };
  SequenceFinder finder(
      rules, store,
      [&](const FoundSequence& sequence) {
        std::string key = sequence.pattern;
        while (outcome.found.contains(key)) key += "'";
        outcome.found[key] = sequence;
        int64_t count = 0;
        store.for_each(*sequence.members, [&](const FrameMember& member) {
          ++count;
          ++outcome.told[name_of(member)];
          outcome.sequences[key].push_back(name_of(member));
          EXPECT_GE(member.frame, sequence.first);
          EXPECT_LE(member.frame, sequence.last);
          EXPECT_EQ((member.frame - sequence.first) % sequence.step, 0);
        });
        EXPECT_EQ(count, sequence.count);
        EXPECT_EQ((sequence.last - sequence.first) / sequence.step + 1,
                  sequence.count + sequence.missing_count);
        outcome.found[key].members = nullptr;
      },
      [&](const FrameMember& member) {
        ++outcome.told[name_of(member)];
        outcome.alone.push_back(name_of(member));
      });
  for (size_t i = 0; i < names.size(); ++i) {
    NamedFile file;
    file.member.id = static_cast<int64_t>(i);
    file.name = names[i];
    file.size = 10;
    finder.add(file);
  }
  finder.end();
  for (const std::string& name : names) EXPECT_EQ(outcome.told[name], 1) << name;
  EXPECT_EQ(outcome.told.size(), names.size());
  return outcome;
}

std::string padded(int64_t number, int width) {
  std::string digits = std::to_string(number < 0 ? -number : number);
  while (static_cast<int>(digits.size()) < width) digits.insert(0, 1, '0');
  return (number < 0 ? "-" : "") + digits;
}

std::vector<std::string> frames(const std::string& head, const std::string& tail, int64_t first, int64_t last,
                                int width, int64_t step = 1) {
  std::vector<std::string> names;
  for (int64_t frame = first; frame <= last; frame += step)
    names.push_back(head + padded(frame, width) + tail);
  return names;
}

void append(std::vector<std::string>& names, const std::vector<std::string>& more) {
  names.insert(names.end(), more.begin(), more.end());
}

std::string patterns(const Outcome& outcome) {
  std::string text;
  for (const auto& [pattern, sequence] : outcome.found) {
    text += (text.empty() ? "" : " ") + pattern + "=" + std::to_string(sequence.first) + "-" +
            std::to_string(sequence.last) + (sequence.step > 1 ? "x" + std::to_string(sequence.step) : "");
    if (sequence.missing_count > 0) text += "(-" + sequence.missing_frames + ")";
    if (sequence.is_udim) text += "u";
  }
  return text;
}

// Without it: real renders, caches and textures are thousands of single files.
TEST(Sequence, WhatPeopleHave) {
  EXPECT_EQ(patterns(find(frames("shot.", ".exr", 1, 100, 4))), "shot.####.exr=1-100");
  EXPECT_EQ(patterns(find(frames("", ".png", 210, 214, 6))), "######.png=210-214");
  EXPECT_EQ(patterns(find(frames("clothsim.", ".abc", 30, 35, 3))), "clothsim.###.abc=30-35");
  EXPECT_EQ(patterns(find(frames("cloth_", "_00.bphys", 1, 25, 6))), "cloth_######_00.bphys=1-25");
  EXPECT_EQ(patterns(find(frames("frame", ".png", 1, 20, 4))), "frame####.png=1-20");
  EXPECT_EQ(patterns(find(frames("a.", ".PNG", 1, 3, 4))), "a.####.PNG=1-3");
  EXPECT_EQ(patterns(find(frames("sim.", "", 1, 9, 4))), "sim.####=1-9");
  EXPECT_EQ(patterns(find(frames("r_", ".exr", 995, 1005, 1))), "r_#.exr=995-1005");
  EXPECT_EQ(patterns(find(frames("r_", ".exr", 1, 120, 1))), "r_#.exr=1-120");
  EXPECT_EQ(patterns(find(frames("r_", ".exr", 95, 120, 2))), "r_#.exr=95-120");
  EXPECT_EQ(patterns(find(frames("pre.", ".exr", -3, 4, 4))), "pre.####.exr=-3-4");
  EXPECT_EQ(patterns(find(frames("two.", ".exr", 10, 30, 4, 2))), "two.####.exr=10-30x2");
}

// Without it: holes split a sequence, or nobody hears of them.
TEST(Sequence, HolesStay) {
  auto names = frames("shot.", ".exr", 1, 20, 4);
  std::erase_if(names, [](const std::string& name) {
    return name == "shot.0005.exr" || name == "shot.0011.exr" || name == "shot.0012.exr";
  });
  EXPECT_EQ(patterns(find(names)), "shot.####.exr=1-20(-5,11-12)");
  auto apart = frames("x.", ".exr", 1, 10, 4);
  append(apart, frames("x.", ".exr", 101, 110, 4));
  EXPECT_EQ(patterns(find(apart)), "x.####.exr=1-110(-11-100)");
  auto stepped = frames("y.", ".exr", 2, 20, 4, 2);
  std::erase(stepped, "y.0010.exr");
  EXPECT_EQ(patterns(find(stepped)), "y.####.exr=2-20x2(-10)");
}

// Without it: shots, versions, views and passes of one folder become one sequence, or none.
TEST(Sequence, SeveralNumbers) {
  auto names = frames("sh_010_", ".exr", 1, 10, 4);
  append(names, frames("sh_020_", ".exr", 1, 12, 4));
  append(names, frames("sh_030_v001.", ".exr", 1, 5, 4));
  append(names, frames("sh_030_v002.", ".exr", 1, 5, 4));
  append(names, frames("st.", "_left.exr", 1, 5, 4));
  append(names, frames("st.", "_right.exr", 1, 5, 4));
  EXPECT_EQ(patterns(find(names)),
            "sh_010_####.exr=1-10 sh_020_####.exr=1-12 sh_030_v001.####.exr=1-5 sh_030_v002.####.exr=1-5 "
            "st.####_left.exr=1-5 st.####_right.exr=1-5");
  EXPECT_EQ(patterns(find(frames("comp_v", ".exr", 1, 9, 3))), "");  // versions of one picture
  EXPECT_EQ(patterns(find({"a_0001_02.vdb", "a_0002_02.vdb", "a_0003_02.vdb"})), "a_####_02.vdb=1-3");
}

// Without it: numbered photographs, notes and test files are called footage.
TEST(Sequence, WhatOnlyLooksLikeFrames) {
  std::vector<std::string> flowers, bugs;
  for (int i : {2, 4, 6, 8, 10, 12, 14, 16, 24, 32})
    flowers.push_back("flower-minisblack-" + padded(i, 2) + ".tif");
  for (int i : {426, 501, 560, 777, 800, 937}) bugs.push_back("exiv2-bug" + std::to_string(i) + ".jpg");
  EXPECT_EQ(patterns(find(flowers)), "");
  EXPECT_EQ(patterns(find(bugs)), "");
  EXPECT_EQ(patterns(find(frames("t", ".exr", 1, 16, 2))), "");
  EXPECT_EQ(patterns(find({"DSCN0010.jpg", "DSCN0012.jpg", "DSCN0021.jpg", "DSCN0025.jpg", "DSCN0042.jpg"})),
            "");
  EXPECT_EQ(patterns(find({"20240101120000123.jpg", "20240101120000124.jpg", "20240101120000125.jpg"})), "");
  EXPECT_EQ(patterns(find({"a.0001.exr", "a.0002.exr"})), "");  // too few
}

// Without it: tiles of a texture are taken for a film of three frames with a long hole.
TEST(Sequence, Udim) {
  EXPECT_EQ(patterns(find(frames("cube_UDIM.color.", ".png", 1001, 1003, 4))),
            "cube_UDIM.color.####.png=1001-1003u");
  EXPECT_EQ(patterns(find({"test.1001.png", "test.1002.png", "test.1011.png", "test.1012.png"})),
            "test.####.png=1001-1012(-1003-1010)u");
  EXPECT_EQ(patterns(find({"wood_normal.1001.png", "wood_normal.1002.png"})),
            "wood_normal.####.png=1001-1002u");
  EXPECT_EQ(patterns(find(frames("shot.", ".exr", 1001, 1100, 4))), "shot.####.exr=1001-1100");
}

// Without it: a sequence that grows past 9, 99 or 999, or by a day's renders, becomes another one.
TEST(Sequence, GrowsUnderTheSameName) {
  auto key = [](const FoundSequence& s) { return s.head + "|" + s.tail + "|" + std::to_string(s.padding); };
  for (const char* head : {"shot.", "r_"}) {
    for (int width : {1, 2, 4}) {
      std::set<std::string> keys;
      for (int64_t last : {9, 60, 120, 1100, 12000}) {
        Outcome outcome = find(frames(head, ".exr", 1, last, width));
        ASSERT_EQ(outcome.found.size(), 1U) << head << width << " " << last << " " << patterns(outcome);
        keys.insert(key(outcome.found.begin()->second));
      }
      EXPECT_EQ(keys.size(), 1U) << *keys.begin();
    }
  }
}

// Without it: some heap of names makes a file belong to two sequences, or to none and not alone either.
TEST(Sequence, EveryFileIsToldOnce) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  static constexpr const char* kWords[] = {"a", "shot",  "v",      "_v", ".",  "_",      "-",
                                           "",  "frame", "x\\xff", "1",  "00", "sh_010_"};
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> names;
    const int templates = 1 + pick(6);
    for (int t = 0; t < templates; ++t) {
      std::string head, tail;
      for (int i = pick(4); i > 0; --i) head += kWords[pick(std::size(kWords))];
      for (int i = pick(3); i > 0; --i) tail += kWords[pick(std::size(kWords))];
      tail += pick(4) == 0 ? "" : ".exr";
      const int width = pick(6);
      const int64_t start = pick(3) == 0 ? -pick(20) : pick(2000);
      for (int64_t frame = start; frame < start + 1 + pick(300); frame += 1 + pick(3)) {
        if (pick(8) == 0) continue;
        std::string name = head + padded(frame, width);
        if (pick(5) == 0) name += "_" + padded(pick(5), 2);
        names.push_back(name + tail);
      }
    }
    SequenceRules rules;
    rules.min_length = 1 + pick(5);
    rules.min_padding = 1 + pick(3);
    find(names, rules);
    if (HasFailure()) return;
  }
}

// Without it: a folder of ten million frames, or of a million names that nearly are sequences, takes all
// memory.
TEST(Sequence, MemoryHasAnEnd) {
  FrameStore store;
  int64_t members = 0, alone = 0, sequences = 0;
  SequenceFinder finder(
      {}, store,
      [&](const FoundSequence& found) {
        ++sequences;
        store.for_each(*found.members, [&](const FrameMember&) { ++members; });
      },
      [&](const FrameMember&) { ++alone; });
  auto add = [&](const std::string& name) {
    NamedFile file;
    file.name = name;
    finder.add(file);
  };
  constexpr int64_t kFrames = 200'000;
  for (int64_t i = 0; i < kFrames; ++i) add("big." + padded(i, 7) + ".exr");
  finder.end();
  EXPECT_EQ(sequences, 1);
  EXPECT_EQ(members, kFrames);
  constexpr int64_t kNames = 60'000;  // each may be the first frame of another sequence
  for (int64_t i = 0; i < kNames; ++i) add(padded(i / 4, 7) + "_" + std::to_string(i) + "x.exr");
  finder.end();
  EXPECT_EQ(members + alone, kFrames + kNames);
}

// Without it: where as many sequences as are followed at once lie side by side, each further file costs a
// look at all of them, and a folder of a million files takes an hour.
TEST(Sequence, WorkHasAnEnd) {
  FrameStore store;
  int64_t told = 0;
  SequenceFinder finder(
      {}, store,
      [&](const FoundSequence& found) {
        store.for_each(*found.members, [&](const FrameMember&) { ++told; });
      },
      [&](const FrameMember&) { ++told; });
  int64_t added = 0;
  auto add = [&](const std::string& name) {
    NamedFile file;
    file.name = name;
    finder.add(file);
    ++added;
  };
  for (int frame = 1; frame <= 3; ++frame) {
    for (size_t i = 1; i < SequenceFinder::kOpenMax; ++i) {
      std::string letters;
      for (size_t rest = i, digit = 0; digit < 4; ++digit, rest /= 26)
        letters.insert(letters.begin(), static_cast<char>('a' + rest % 26));
      add(padded(frame, 4) + "_" + letters + ".exr");
    }
  }
  const std::clock_t before = std::clock();
  for (int i = 0; i < 150'000; ++i) add("shot." + padded(i, 7) + ".exr");
  finder.end();
  EXPECT_EQ(told, added);
  EXPECT_LT((std::clock() - before) / CLOCKS_PER_SEC, 25) << "150 ms in a release build";
}

// Without it: the original's names of shows, versions and textures are not in the catalogue.
TEST(FileNames, SayWhatTheFileIs) {
  EXPECT_EQ(show_of("/mnt/Shows/Sintel/a/b.exr"), "sintel");
  EXPECT_EQ(show_of("s3://assets/shows/big-buck/x.png"), "big-buck");
  EXPECT_EQ(show_of("/mnt/a.png"), "");
  EXPECT_EQ(version_of_name("lantern_v012.blend"), 12);
  EXPECT_EQ(version_of_name("lantern_v01_fix_V2.blend"), 2);
  EXPECT_EQ(version_of_name("mov1.exr"), std::nullopt);
  EXPECT_EQ(texture_tags("wood_Normal_4k.png"), std::vector<std::string_view>{"normal"});
  EXPECT_EQ(texture_tags("rough_ao.png"), (std::vector<std::string_view>{"roughness", "ao"}));
}

}  // namespace
}  // namespace millrace::scan
