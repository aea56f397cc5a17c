#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/simulation/engine_world.h"
#include "tests/support/temporary_folder.h"

namespace millrace::simulation {
namespace {

constexpr int kSteps = 500;
constexpr uint64_t kSeedsPerTest = 20;

// MILLRACE_SEED=n replays one; MILLRACE_SEEDS=n lives through n times as many.
uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::stoull(text) : otherwise;
}

void live(uint64_t seed, EngineWorld::Counts& total) {
  millrace::testing::TemporaryFolder folder;
  EngineWorld world(seed, folder.path());
  try {
    world.run(kSteps);
  } catch (const std::exception& error) {
    FAIL() << "MILLRACE_SEED=" << seed << ": " << error.what();
  }
  const EngineWorld::Counts& counts = world.counts();
  total.submitted += counts.submitted;
  total.succeeded += counts.succeeded;
  total.failed += counts.failed;
  total.retried += counts.retried;
  total.timed_out += counts.timed_out;
  total.terminated += counts.terminated;
  total.crashes += counts.crashes;
  total.failed_commits += counts.failed_commits;
  total.host_deaths += counts.host_deaths;
  total.resent += counts.resent;
  total.on_deck += counts.on_deck;
  total.revoked += counts.revoked;
  total.dependent += counts.dependent;
  total.arrays += counts.arrays;
}

class EngineSimulation : public ::testing::TestWithParam<uint64_t> {};

TEST_P(EngineSimulation, KeepsItsPromisesWhateverHappens) {
  // Lost jobs, jobs run twice and jobs that hang: bugs that need a crash between two particular steps.
  EngineWorld::Counts total;
  if (std::getenv("MILLRACE_SEED")) return live(number_from("MILLRACE_SEED", 0), total);
  uint64_t seeds = kSeedsPerTest * number_from("MILLRACE_SEEDS", 1);
  for (uint64_t seed = GetParam() * seeds; seed < (GetParam() + 1) * seeds && !HasFatalFailure(); ++seed)
    live(seed, total);
  if (HasFatalFailure()) return;
  // A simulation in which nothing happens finds nothing.
  EXPECT_GT(total.submitted, 400);
  EXPECT_GT(total.succeeded, 120);
  EXPECT_GT(total.failed, 120);
  EXPECT_GT(total.retried, 40);
  EXPECT_GT(total.timed_out, 1);
  EXPECT_GT(total.terminated, 20);
  EXPECT_GT(total.crashes, 40);
  EXPECT_GT(total.failed_commits, 8);
  EXPECT_GT(total.host_deaths, 20);
  EXPECT_GT(total.resent, 1);
  EXPECT_GT(total.on_deck, 50);
  EXPECT_GT(total.revoked, 20);
  EXPECT_GT(total.dependent, 20);
  EXPECT_GT(total.arrays, 20);
}

INSTANTIATE_TEST_SUITE_P(Seeds, EngineSimulation, ::testing::Range<uint64_t>(0, 6));

}  // namespace
}  // namespace millrace::simulation
