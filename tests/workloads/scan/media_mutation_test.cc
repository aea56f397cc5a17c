// Hostile bytes against every header reader. Meant for ASan and UBSan, useful without.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/workloads/scan/av_samples.h"
#include "tests/workloads/scan/media_samples.h"
#include "tests/workloads/scan/mutations.h"
#include "workloads/scan/image.h"
#include "workloads/scan/video.h"

namespace millrace::scan {
namespace {

using namespace testing;

// The status and problem of whichever reader fits; every reader is tried on bytes that fit none.
struct Verdict {
  ReadStatus status;
  std::string problem;
};
Verdict examine(const std::string& file, const MediaType& type) {
  MemorySource source(file);
  if (has_image_reader(type.format)) {
    ImageFacts facts = read_image(source, type);
    return {facts.status, facts.problem};
  }
  VideoFacts facts = read_video(source, type);
  return {facts.status, facts.problem};
}

std::vector<std::pair<std::string, std::string>> every_sample() {
  auto samples = all_samples();
  for (auto& sample : av_samples()) samples.push_back(std::move(sample));
  return samples;
}

TEST(MediaMutation, TruncatedAtEveryByte) {
  // Without this some length of a half-copied file crashes the scan, or passes as whole.
  for (const auto& [name, file] : every_sample()) {
    MediaType type = sniff(file, name);
    EXPECT_EQ(examine(file, type).status, ReadStatus::kOk) << name << ": " << examine(file, type).problem;
    size_t passed = 0;
    for (size_t length = 0; length < file.size(); ++length) {
      Verdict verdict = examine(file.substr(0, length), type);
      EXPECT_EQ(verdict.status == ReadStatus::kOk, verdict.problem.empty()) << name << " at " << length;
      if (verdict.status == ReadStatus::kOk) ++passed;
    }
    // What may be missing unseen: the pixels of a 12-byte-header bitmap and of a TIFF without strips, the
    // last bytes of optional data behind the picture, clusters of a stream of unknown length.
    bool lenient = name == "j.bmp" || name == "e.tif" || name == "r.webm" || name == "p.mp4" ||
                   // Packets and frames without a length of the whole.
                   name == "e.aac" || name == "f.flac" || name == "m.ts" || name == "n.m2ts" ||
                   // What stands behind the last page with the last frame.
                   name == "i.ogv";
    if (!lenient) {
      EXPECT_LE(passed, 8u) << name << ": whole at so many lengths below " << file.size();
    }
  }
}

TEST(MediaMutation, RandomBytesNeverCrash) {
  // Without this one hostile upload ends a scan of millions of files.
  const char* rounds_text = std::getenv("MILLRACE_FUZZ_ROUNDS");
  int rounds = rounds_text ? std::atoi(rounds_text) : 1500;
  auto samples = every_sample();
  for (size_t s = 0; s < samples.size(); ++s) {
    const auto& [name, file] = samples[s];
    MediaType type = sniff(file, name);
    for (int round = 0; round < rounds; ++round) {
      uint32_t seed = static_cast<uint32_t>(s) * 1000003u + static_cast<uint32_t>(round);
      SCOPED_TRACE(name + " seed " + std::to_string(seed));
      Verdict verdict = examine(mutated(file, seed), type);
      EXPECT_EQ(verdict.status == ReadStatus::kOk, verdict.problem.empty());
    }
  }
}

TEST(MediaMutation, WrongReaderForTheBytes) {
  // Without this a misleading name that sends a file to the wrong reader may crash it.
  auto samples = every_sample();
  for (const auto& [name, file] : samples)
    for (const auto& [other, other_file] : samples) {
      Verdict verdict = examine(file, sniff(other_file, other));
      EXPECT_EQ(verdict.status == ReadStatus::kOk, verdict.problem.empty()) << name << " as " << other;
    }
}

}  // namespace
}  // namespace millrace::scan
