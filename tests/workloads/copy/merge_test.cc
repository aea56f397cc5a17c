#include "workloads/copy/merge.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "base/error.h"
#include "workloads/copy/key_split.h"

namespace millrace::copy {
namespace {

using objects::ObjectInfo;

// Gives what it holds, between two bounds, as a bucket would.
class MemoryListing : public Listing {
 public:
  MemoryListing(const std::vector<ObjectInfo>& objects, KeyRange range)
      : objects_(objects), range_(std::move(range)) {}
  bool next(ObjectInfo& out) override {
    while (at_ < objects_.size()) {
      const ObjectInfo& object = objects_[at_++];
      if (!range_.after.empty() && object.key <= range_.after) continue;
      if (!range_.until.empty() && object.key > range_.until) return false;
      out = object;
      return true;
    }
    return false;
  }
  void shorten(const std::string& until) override { range_.until = until; }

 private:
  const std::vector<ObjectInfo>& objects_;
  KeyRange range_;
  size_t at_ = 0;
};

using Plan = std::map<std::string, Decision>;

// What `aws s3 sync` does, object by object, with everything in memory.
Plan slow_plan(const std::vector<ObjectInfo>& source, const std::vector<ObjectInfo>& destination,
               const MergeRules& rules) {
  std::map<std::string, ObjectInfo> from, to;
  auto counts = [&](const ObjectInfo& object) {
    if (object.size == 0 && (object.key.empty() || object.key.back() == '/') && !rules.markers) return false;
    return takes(rules.filters, object.key);
  };
  for (const ObjectInfo& object : source)
    if (counts(object)) from[object.key] = object;
  for (const ObjectInfo& object : destination)
    if (counts(object)) to[object.key] = object;
  Plan plan;
  for (const auto& [key, object] : from) {
    bool copy = !to.contains(key) || to[key].size != object.size;
    bool inspect = false;
    if (!copy && rules.compare == Compare::kTime)
      copy = object.last_modified > to[key].last_modified ||
             (rules.exact_times && object.last_modified != to[key].last_modified);
    if (!copy && rules.compare == Compare::kChecksum)
      inspect = object.etag.empty() || object.etag != to[key].etag;
    bool archived = object.storage_class == "GLACIER" && !rules.thaw;
    plan[key] = (copy || inspect) && archived ? Decision::kArchived
                : copy                        ? Decision::kCopy
                : inspect                     ? Decision::kInspect
                                              : Decision::kSkip;
  }
  for (const auto& [key, object] : to)
    if (!from.contains(key)) plan[key] = Decision::kExtra;
  return plan;
}

std::vector<ObjectInfo> random_objects(std::mt19937& random, size_t most) {
  std::set<std::string> keys;
  for (size_t n = random() % (most + 1); n > 0; --n) {
    std::string key;
    for (size_t length = random() % 5; length > 0; --length) key += "ab/-\xc3\xff"[random() % 6];
    keys.insert(key);
  }
  std::vector<ObjectInfo> objects;
  for (const std::string& key : keys) {
    ObjectInfo object;
    object.key = key;
    object.size = random() % 2;
    object.last_modified = static_cast<int64_t>(random() % 3);
    object.etag = random() % 4 ? std::string(32, "ab"[random() % 2]) : "";
    object.storage_class = random() % 8 ? "STANDARD" : "GLACIER";
    objects.push_back(std::move(object));
  }
  return objects;
}

MergeRules random_rules(std::mt19937& random) {
  MergeRules rules;
  rules.compare = static_cast<Compare>(random() % 3);
  if (random() % 3 == 0) rules.filters = {{false, "a*"}, {true, "*b"}};
  rules.markers = random() % 4 == 0;
  rules.exact_times = random() % 4 == 0;
  rules.thaw = random() % 4 == 0;
  return rules;
}

TEST(CopyMerge, DecidesAsASlowPlannerDoes) {
  // Without this objects are lost, copied for nothing, or deleted although the source has them.
  for (uint32_t seed = 1; seed <= 20'000; ++seed) {
    std::mt19937 random(seed);
    std::vector<ObjectInfo> source = random_objects(random, 12), destination = random_objects(random, 12);
    MergeRules rules = random_rules(random);
    MemoryListing a(source, {}), b(destination, {});
    Plan plan;
    std::string last;
    MergeCounts counts =
        merge(a, b, rules, [&](Decision decision, const char*, const ObjectInfo* from, const ObjectInfo* to) {
          const std::string& key = from ? from->key : to->key;
          EXPECT_TRUE(plan.empty() || last < key) << "in order, seed " << seed;
          EXPECT_EQ(from == nullptr, decision == Decision::kExtra);
          EXPECT_TRUE(!from || !to || from->key == to->key);
          last = key;
          plan[key] = decision;
          return true;
        });
    ASSERT_EQ(plan, slow_plan(source, destination, rules)) << "seed " << seed;
    auto real = [](const std::vector<ObjectInfo>& objects) {
      return static_cast<size_t>(std::count_if(objects.begin(), objects.end(), [](const ObjectInfo& o) {
        return o.size > 0 || !(o.key.empty() || o.key.back() == '/');
      }));
    };
    ASSERT_EQ(counts.source_listed, source.size());
    ASSERT_EQ(counts.source_objects, real(source)) << "a marker alone is an empty source";
    ASSERT_EQ(counts.destination_objects, real(destination));
  }
}

TEST(CopyMerge, ASideWithinTheOtherIsNotPartOfIt) {
  // Without this a copy into its own source copies its copies, and --delete around a source deletes that.
  std::vector<ObjectInfo> source(3), destination(3);
  for (size_t i = 0; i < 3; ++i) {
    source[i].key = std::vector<std::string>{"a", "sub/a", "suc"}[i];
    destination[i].key = std::vector<std::string>{"extra", "sub/a", "sub/x"}[i];
    source[i].size = destination[i].size = 1;
  }
  auto plan_with = [&](const MergeRules& rules) {
    Plan plan;
    MemoryListing a(source, {}), b(destination, {});
    merge(a, b, rules, [&](Decision decision, const char*, const ObjectInfo* from, const ObjectInfo* to) {
      plan[from ? from->key : to->key] = decision;
      return true;
    });
    return plan;
  };
  MergeRules rules;
  rules.source_hole = "sub/";
  EXPECT_EQ(plan_with(rules), (Plan{{"a", Decision::kCopy},
                                    {"suc", Decision::kCopy},
                                    {"extra", Decision::kExtra},
                                    {"sub/a", Decision::kExtra},
                                    {"sub/x", Decision::kExtra}}));
  rules = {};
  rules.destination_hole = "sub/";
  EXPECT_EQ(plan_with(rules), (Plan{{"a", Decision::kCopy},
                                    {"sub/a", Decision::kCopy},
                                    {"suc", Decision::kCopy},
                                    {"extra", Decision::kExtra}}));
}

TEST(CopyMerge, RangesThatAreCutWhileTheyAreReadDecideTheSame) {
  // Without this a listing that is shared among planners takes the objects of one half for gone.
  std::vector<ObjectInfo> source, destination;
  std::mt19937 random(7);
  for (int i = 0; i < 60'000; ++i) {
    ObjectInfo object;
    char key[32];
    std::snprintf(key, sizeof key, "d%02d/f%06d", i / 1000, i);
    object.key = key;
    object.size = random() % 3;
    if (random() % 10 != 0) source.push_back(object);
    object.size = random() % 3;
    // A destination that is far ahead of its source in places.
    if (random() % 10 != 0 && (i < 9000 || i > 30'000)) destination.push_back(object);
  }
  MergeRules rules;
  Plan expected = slow_plan(source, destination, rules), plan;
  std::vector<KeyRange> ranges = {KeyRange{}};
  size_t cuts = 0;
  while (!ranges.empty()) {
    KeyRange range = ranges.back();
    ranges.pop_back();
    MemoryListing a(source, range), b(destination, range);
    merge(
        a, b, rules,
        [&](Decision decision, const char*, const ObjectInfo* from, const ObjectInfo* to) {
          EXPECT_TRUE(plan.emplace(from ? from->key : to->key, decision).second) << "twice";
          return true;
        },
        [&](const std::string& behind) -> std::optional<std::string> {
          if (random() % 2) return std::nullopt;
          auto next = [&](const std::string& after) -> std::optional<std::string> {
            auto found =
                std::upper_bound(source.begin(), source.end(), after,
                                 [](const std::string& k, const ObjectInfo& o) { return k < o.key; });
            if (found == source.end()) return std::nullopt;
            return found->key;
          };
          auto key = split_key(behind, range.until, next, 40);
          if (!key) return std::nullopt;
          EXPECT_GT(*key, behind);
          ++cuts;
          ranges.push_back({*key, range.until});
          range.until = *key;
          return key;
        });
  }
  EXPECT_GT(cuts, 3u);
  EXPECT_EQ(plan, expected);
}

TEST(CopyMerge, AListingOutOfOrderIsAnErrorAndNotADeletion) {
  // Without this a server that sorts otherwise makes a sync delete what is there.
  std::vector<ObjectInfo> objects(3);
  objects[0].key = "b";
  objects[1].key = "a";
  objects[2].key = "c";
  for (ObjectInfo& object : objects) object.size = 1;
  std::vector<ObjectInfo> none;
  MemoryListing a(objects, {}), b(none, {});
  auto nothing = [](Decision, const char*, const ObjectInfo*, const ObjectInfo*) { return true; };
  EXPECT_THROW(merge(a, b, {}, nothing), base::CorruptError);
  objects[1].key = "b";
  MemoryListing c(none, {}), d(objects, {});
  EXPECT_THROW(merge(c, d, {}, nothing), base::CorruptError) << "the same key twice";
}

TEST(CopyKeySplit, CutsInTheMiddleWithFewQuestions) {
  // Without this one planner lists a hundred million keys alone while the others wait.
  std::vector<std::string> keys;
  for (int i = 0; i < 100'000; ++i) {
    char key[40];
    std::snprintf(key, sizeof key, "shots/%03d/frame-%08d.exr", i / 1000, i);
    keys.push_back(key);
  }
  int asked = 0;
  auto next = [&](const std::string& after) -> std::optional<std::string> {
    ++asked;
    auto found = std::upper_bound(keys.begin(), keys.end(), after);
    if (found == keys.end()) return std::nullopt;
    return *found;
  };
  auto cut = split_key(keys[4000], "", next, 40);
  ASSERT_TRUE(cut);
  auto at = std::lower_bound(keys.begin(), keys.end(), *cut) - keys.begin();
  EXPECT_GT(at, 25'000);
  EXPECT_LT(at, 75'000);
  EXPECT_LE(asked, 20);
  asked = 0;
  cut = split_key(keys[99'000], keys[99'999], next, 40);
  ASSERT_TRUE(cut) << "within one folder";
  EXPECT_GT(*cut, keys[99'000]);
  EXPECT_LT(*cut, keys[99'999]);
  EXPECT_FALSE(split_key(keys[99'999], "", next, 40)) << "nothing is left";
  EXPECT_FALSE(split_key("ключ", "", next, 40));
}

}  // namespace
}  // namespace millrace::copy
