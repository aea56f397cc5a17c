// Hostile bytes against the readers of image_samples.h and scene_samples.h. Meant for ASan and UBSan, useful
// without.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/workloads/scan/mutations.h"
#include "tests/workloads/scan/scene_samples.h"
#include "workloads/scan/image.h"
#include "workloads/scan/scene.h"

namespace millrace::scan {
namespace {

using namespace testing;

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
  SceneFacts facts = read_scene(source, type);
  return {facts.status, facts.problem};
}

std::vector<std::pair<std::string, std::string>> samples() {
  auto all = more_image_samples();
  for (auto& sample : scene_samples()) all.push_back(std::move(sample));
  return all;
}

TEST(ImageSceneMutation, TruncatedAtEveryByte) {
  // Without this some length of a half-copied file crashes the scan, or passes as whole.
  for (const auto& [name, file] : samples()) {
    MediaType type = sniff(std::string_view(file).substr(0, 4096), name);
    EXPECT_EQ(examine(file, type).status, ReadStatus::kOk) << name << ": " << examine(file, type).problem;
    size_t passed = 0;
    for (size_t length = 0; length < file.size(); ++length) {
      Verdict verdict = examine(file.substr(0, length), type);
      EXPECT_EQ(verdict.status == ReadStatus::kOk, verdict.problem.empty()) << name << " at " << length;
      if (verdict.status == ReadStatus::kOk) ++passed;
    }
    // What may be missing unseen: lines of texts without an end, remarks behind the pixels, the pixels of
    // run-coded pictures of which only the least size is known, and the content of FBX, of which the header
    // is read.
    static constexpr std::string_view kLenient[] = {"a.hdr", "b.tga", "k.jxl", "c.obj", "d.mtl", "v.svgz",
                                                    "j.fbx", "k.fbx", "g.j2k", "h.jp2", "e.usda"};
    if (std::find(std::begin(kLenient), std::end(kLenient), name) == std::end(kLenient)) {
      EXPECT_LE(passed, 8u) << name << ": whole at so many lengths below " << file.size();
    }
  }
}

TEST(ImageSceneMutation, RandomBytesNeverCrash) {
  // Without this one hostile upload ends a scan of millions of files.
  const char* rounds_text = std::getenv("MILLRACE_FUZZ_ROUNDS");
  int rounds = rounds_text ? std::atoi(rounds_text) : 1000;
  auto all = samples();
  for (size_t s = 0; s < all.size(); ++s) {
    const auto& [name, file] = all[s];
    MediaType type = sniff(std::string_view(file).substr(0, 4096), name);
    for (int round = 0; round < rounds; ++round) {
      uint32_t seed = static_cast<uint32_t>(s) * 1000003u + static_cast<uint32_t>(round);
      Verdict verdict = examine(mutated(file, seed), type);
      ASSERT_EQ(verdict.status == ReadStatus::kOk, verdict.problem.empty()) << name << " seed " << seed;
    }
  }
}

TEST(ImageSceneMutation, WrongReaderForTheBytes) {
  // Without this a misleading name that sends a file to the wrong reader may crash it.
  auto all = samples();
  for (const auto& [name, file] : all)
    for (const auto& [other, other_file] : all) {
      Verdict verdict = examine(file, sniff(std::string_view(other_file).substr(0, 4096), other));
      EXPECT_EQ(verdict.status == ReadStatus::kOk, verdict.problem.empty()) << name << " as " << other;
    }
}

}  // namespace
}  // namespace millrace::scan
