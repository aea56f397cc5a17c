// Without these, one truncated or hostile .blend could crash, hang or bloat a scan of a million files.
#include <gtest/gtest.h>

#include <random>

#include "tests/workloads/scan/blend_memory_source.h"
#include "tests/workloads/scan/blend_sample.h"
#include "workloads/scan/blend.h"

namespace millrace::scan {
namespace {

BlendFacts facts_of(std::string bytes, const BlendLimits& limits = {}) {
  MemorySource source(std::move(bytes));
  return read_blend(source, limits);
}

// Facts, or the refusal that the contract allows; anything else fails the test by leaving it.
std::optional<BlendFacts> try_facts(std::string bytes) {
  try {
    return facts_of(std::move(bytes));
  } catch (const base::CorruptError&) {
    return std::nullopt;
  } catch (const BudgetError&) {
    return std::nullopt;
  }
}

TEST(BlendHostile, ATruncatedFileKeepsWhatWasBeforeAndSaysSo) {
  for (BlendForm form :
       {BlendForm{306, 0, 8, false}, BlendForm{263, 0, 4, true}, BlendForm{500, 1, 8, false}}) {
    std::string plain = blend_sample(form, 3000);
    size_t head = form.header_format == 1 ? 32 : form.pointer_size == 8 ? 24 : 20;
    for (size_t size = 0; size < plain.size() - head; size += 1 + size / 200) {
      SCOPED_TRACE(std::to_string(form.version) + " cut to " + std::to_string(size));
      std::optional<BlendFacts> facts = try_facts(plain.substr(0, size));
      if (size < 17 && !facts) continue;  // inside the header
      ASSERT_TRUE(facts);
      EXPECT_FALSE(facts->complete);
      EXPECT_NE(facts->problem.find("truncated"), std::string::npos) << facts->problem;
      EXPECT_EQ(facts->version_number, form.version);
    }
    // Everything but the end mark: all facts, and still not called complete.
    BlendFacts facts = facts_of(plain.substr(0, plain.size() - head));
    EXPECT_EQ(facts.active_scene, "sh010");
    EXPECT_EQ(facts.vertices, 1008);
    EXPECT_FALSE(facts.complete);
    // Without a catalogue the render block still tells the scene and its frames.
    facts = facts_of(plain.substr(0, plain.size() / 2));
    EXPECT_EQ(facts.active_scene, "sh010");
    EXPECT_EQ(facts.num_frames, 48);
    EXPECT_EQ(facts.fps, std::nullopt);
    EXPECT_EQ(facts.vertices, std::nullopt);
  }
}

TEST(BlendHostile, ATruncatedCompressedFileIsPartialToo) {
  std::string plain = blend_sample({}, 100'000);
  for (const std::string& packed :
       {gzip(plain), zstd(plain), zstd_seekable(plain, 4000), gzip(gzip(plain))}) {
    for (size_t size = 0; size < packed.size(); size += 1 + size / 50) {
      SCOPED_TRACE("cut to " + std::to_string(size) + " of " + std::to_string(packed.size()));
      std::optional<BlendFacts> facts = try_facts(packed.substr(0, size));
      if (!facts) continue;
      // Only the seek table or the gzip checksum may be missing without a loss.
      if (facts->complete) expect_sample_facts(*facts, {});
      EXPECT_EQ(facts->complete, facts->problem.empty());
      EXPECT_EQ(facts->version_number, 306);
    }
    std::optional<BlendFacts> facts = try_facts(packed.substr(0, packed.size() * 2 / 3));
    EXPECT_FALSE(facts && facts->complete);
  }
}

TEST(BlendHostile, MutatedFilesNeverDoMoreThanBeRefused) {
  uint64_t seed = std::random_device{}();
  if (const char* fixed = std::getenv("MILLRACE_SEED")) seed = std::strtoull(fixed, nullptr, 10);
  SCOPED_TRACE("MILLRACE_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::vector<std::string> originals;
  for (BlendForm form :
       {BlendForm{306, 0, 8, false}, BlendForm{263, 0, 4, true}, BlendForm{500, 1, 8, false}}) {
    std::string plain = blend_sample(form, 500);
    originals.insert(originals.end(), {plain, gzip(plain), zstd_seekable(plain, 3000), zstd(plain)});
  }
  int read = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = originals[random() % originals.size()];
    // A few bytes, mostly near one place: heads, catalogue and tables are small.
    size_t around = random() % bytes.size();
    for (uint64_t changes = 1 + random() % 6; changes > 0; --changes) {
      size_t at =
          random() % 3 == 0 ? random() % bytes.size() : std::min(around + random() % 32, bytes.size() - 1);
      static constexpr unsigned char kNasty[] = {0, 1, 0x7f, 0x80, 0xff};
      bytes[at] = random() % 2 ? static_cast<char>(kNasty[random() % 5]) : static_cast<char>(random());
    }
    if (random() % 8 == 0) bytes.erase(random() % bytes.size(), random() % 64);
    if (try_facts(bytes)) ++read;
  }
  EXPECT_GT(read, 300) << "the mutations were too rough to reach anything behind the header";
}

TEST(BlendHostile, RefusesWhatIsNoBlend) {
  for (const std::string& bytes :
       {std::string(), std::string("BLEND"), std::string("BLENDER"), std::string(64, '\0'),
        std::string("BLENDER-v3x6") + std::string(50, 'x'), gzip("hello"), zstd("hello"),
        gzip(gzip(gzip(gzip(blend_sample({}, 0)))))}) {
    EXPECT_THROW(facts_of(bytes), base::CorruptError) << bytes.substr(0, 16);
  }
}

TEST(BlendHostile, EndlessListsEnd) {
  BlendWriter w = blend_sample_writer({});
  w.add("SC", 0x10,
        w.make("Scene").text("id.name", "SCloop").pointer("view_layers.first", 0x20).pointer("ed", 0x30));
  w.add("DATA", 0x20, w.make("ViewLayer").text("name", "a").pointer("next", 0x20));
  w.add("DATA", 0x30, w.make("Editing").pointer("seqbase.first", 0x40));
  w.add("DATA", 0x40,
        w.make("Sequence").integer("type", 1).pointer("next", 0x40).pointer("seqbase.first", 0x40));
  BlendFacts facts = facts_of(w.finish());
  EXPECT_EQ(facts.active_scene, "loop");
  EXPECT_EQ(facts.scenes.at(0).num_strips, 1);
  EXPECT_NE(facts.problem.find("endless"), std::string::npos) << facts.problem;
}

TEST(BlendHostile, SizesThatLieAreNotBelieved) {
  BlendForm forms[] = {{306, 0, 8, false}, {500, 1, 8, false}};
  for (const BlendForm& form : forms) {
    BlendWriter w = blend_sample_writer(form);
    std::string header = w.finish().substr(0, form.header_format == 1 ? 17 : 12);
    for (uint64_t length : {uint64_t{0x7fffffff}, uint64_t{0xffffffff}, uint64_t{0xfffffff0}}) {
      std::string head =
          form.header_format == 1
              ? "DNA1" + w.number(0, 4) + w.number(0, 8) + w.number(length << 31, 8) + w.number(1, 8)
              : "DNA1" + w.number(length, 4) + w.number(0, 8) + w.number(0, 4) + w.number(1, 4);
      BlendFacts facts = facts_of(header + head + "SDNA");
      EXPECT_NE(facts.problem.find("offset"), std::string::npos) << facts.problem;
    }
    BlendWriter lying(form);
    lying.add_bytes("DNA1", 0, "SDNANAME" + lying.number(0xffffffff, 4) + std::string(100, 'a'));
    BlendFacts facts = facts_of(lying.finish());
    EXPECT_NE(facts.problem.find("DNA1"), std::string::npos) << facts.problem;
  }
}

TEST(BlendHostile, ABombIsStopped) {
  std::string bomb = "BLENDER-v306";
  BlendWriter w({});
  bomb += std::string("DATA") + w.number(0x7fffffff, 4) + w.number(1, 8) + w.number(0, 4) + w.number(1, 4);
  bomb.resize(80 << 20);
  for (const std::string& packed : {gzip(bomb), zstd(bomb)}) {
    BlendLimits limits;
    limits.inflated_ratio_max = 10;
    BlendFacts facts = facts_of(packed, limits);
    EXPECT_NE(facts.problem.find("decompressed to more than"), std::string::npos) << facts.problem;
    EXPECT_EQ(facts.version_number, 306);
  }
}

TEST(BlendHostile, EveryLimitGivesPartialFacts) {
  std::string plain = blend_sample({}, 3000);
  BlendLimits limits;
  limits.blocks_max = 20;
  BlendFacts facts = facts_of(plain, limits);
  EXPECT_FALSE(facts.complete);
  EXPECT_EQ(facts.active_scene, "sh010");

  limits = {};
  limits.indexed_blocks_max = 20;
  facts = facts_of(plain, limits);
  EXPECT_FALSE(facts.complete);
  EXPECT_EQ(facts.active_scene, "sh010");
  EXPECT_EQ(facts.images, 6) << "what is not remembered is still counted";

  limits = {};
  limits.kept_bytes_max = 20'000;
  facts = facts_of(gzip(plain), limits);
  EXPECT_FALSE(facts.complete);
  EXPECT_EQ(facts.num_scenes, 2);

  limits = {};
  limits.dependencies_max = 3;
  facts = facts_of(plain, limits);
  EXPECT_FALSE(facts.complete);
  EXPECT_EQ(facts.dependencies.size(), 3u);

  limits = {};
  limits.time_max = std::chrono::milliseconds(-1);
  facts = facts_of(plain, limits);
  EXPECT_FALSE(facts.complete);
  EXPECT_EQ(facts.blender_version, "3.6");

  for (uint64_t budget : {100, 1000, 5000, 20'000}) {
    MemorySource source(plain, budget);
    facts = read_blend(source);
    EXPECT_FALSE(facts.complete) << budget;
    EXPECT_EQ(facts.blender_version, "3.6");
  }
}

}  // namespace
}  // namespace millrace::scan
