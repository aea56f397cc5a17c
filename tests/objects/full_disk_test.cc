#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <map>

#include "base/hash.h"
#include "objects/directory_store.h"
#include "tests/support/small_disk.h"

namespace millrace::objects {
namespace {

using millrace::testing::SmallDisk;

TEST(FullDisk, RefusesLosesNothingAndGoesOn) {
  // Without this a full disk loses acknowledged objects, or stops the engine until somebody restarts it.
  SmallDisk disk;
  if (!disk.mount()) GTEST_SKIP() << "cannot mount a small tmpfs: " << std::strerror(errno);
  std::string filler = disk.path() + "/filler";
  std::ofstream(filler) << std::string(700'000, 'f');
  base::SystemClock clock;
  DirectoryStore store(disk.path() + "/objects", clock);
  store.create_bucket("bucket", "us-east-1");
  std::map<std::string, std::string> acknowledged;
  auto put = [&](const std::string& key, const std::string& content) {
    auto writer = store.put({"bucket", key, {}, {}, {}, {}});
    writer->write(content);
    writer->finish();
    acknowledged[key] = content;
  };
  // Small ones fill the index, large ones the files: both ways into a full disk.
  for (size_t size : {size_t{3000}, size_t{200'000}, size_t{3000}}) {
    std::string code;
    for (int i = 0; i < 2000 && code.empty(); ++i) {
      std::string key = std::to_string(size) + "/" + std::to_string(i);
      try {
        put(key, key + std::string(size, 'x'));
      } catch (const base::TransientError& error) {
        code = error.code();
      }
    }
    EXPECT_EQ(code, "DiskFull");
  }
  EXPECT_GT(acknowledged.size(), 10u);
  auto check = [&](DirectoryStore& opened) {
    for (const auto& [key, content] : acknowledged) {
      OpenObject object = opened.open("bucket", key);
      std::string now = object.data;
      if (object.file) {
        now.assign(object.record.size, '\0');
        ASSERT_EQ(pread(object.file.get(), now.data(), now.size(), 0), static_cast<ssize_t>(now.size()));
      }
      ASSERT_EQ(now, content) << key;
    }
  };
  check(store);
  std::remove(filler.c_str());
  put("after/small", "small");
  put("after/large", std::string(100'000, 'l'));
  check(store);
}

}  // namespace
}  // namespace millrace::objects
