#include "base/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>

namespace millrace::base {
namespace {

TEST(WorkerPool, RunsEveryTaskBeforeItGoes) {
  // Without this a request that waits for a worker when the server stops is never answered.
  std::atomic<int> ran{0};
  {
    WorkerPool pool(3);
    for (int i = 0; i < 1000; ++i) pool.post([&] { ++ran; });
  }
  EXPECT_EQ(ran, 1000);
}

}  // namespace
}  // namespace millrace::base
