#include "objects/new_object.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/unique_fd.h"
#include "tests/support/temporary_folder.h"

namespace millrace::objects {
namespace {

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Without this: a job that dies while it writes its result leaves half of one under its name.
TEST(NewObject, AFileIsThereWholeOrNotAtAll) {
  millrace::testing::TemporaryFolder folder;
  std::string path = folder / "out.json";
  std::ofstream(path) << "old";
  {
    NewObject draft(parse_location(path));
    draft.write("half");
    EXPECT_EQ(content(path), "old");
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "no draft is left";
  NewObject whole(parse_location("file://" + path));
  whole.write("new ");
  whole.write("content");
  EXPECT_EQ(whole.size(), 11u);
  whole.publish();
  EXPECT_EQ(content(path), "new content");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

// Without this: of two jobs that add to one file the later takes out again what the first one added.
TEST(NewObject, WhatAnotherWroteMeanwhileIsNotReplaced) {
  millrace::testing::TemporaryFolder folder;
  const std::string path = folder / "out.json";
  const auto reader = open_reader(parse_location(folder.path().string()));
  const auto publish = [&](const std::string& text, const std::optional<ObjectInfo>& before) {
    NewObject draft(parse_location(path));
    draft.write(text);
    draft.publish_over(before);
  };
  publish("first", std::nullopt);
  const ObjectInfo first = reader->head("out.json");
  EXPECT_THROW(publish("as if there were none", std::nullopt), base::ConflictError);
  publish("second", first);
  try {
    publish("third", first);
    FAIL() << "it was replaced";
  } catch (const base::ConflictError& e) {
    EXPECT_EQ(e.code(), "PreconditionFailed");
    EXPECT_NE(std::string(e.what()).find(path), std::string::npos);
  }
  EXPECT_EQ(content(path), "second");
  const ObjectInfo second = reader->head("out.json");
  std::filesystem::remove(path);
  EXPECT_THROW(publish("of what is gone", second), base::ConflictError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "no draft is left";
}

// Without this: what is written by another's hand is not what is published.
TEST(NewObject, OthersFillIt) {
  millrace::testing::TemporaryFolder folder;
  NewObject draft(parse_location(folder / "out.json"));
  std::ofstream(draft.path_to_fill()) << "too long";
  std::ofstream(draft.path_to_fill(), std::ios::trunc) << "good";
  draft.publish();
  EXPECT_EQ(content(folder / "out.json"), "good");
}

// Without this: a job that is killed while it writes leaves gigabytes beside its result, every time anew.
TEST(NewObject, WhoDiesLeavesNothing) {
  millrace::testing::TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    NewObject draft(parse_location(folder / "out.json"));
    draft.write("half");
    _exit(std::filesystem::is_empty(folder.path()) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "seen while it is written";
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// Without this: `flock FOLDER millrace …` waits for ever for the lock that it holds itself.
TEST(NewObject, AnothersLockOnTheFolderIsNotWaitedForForever) {
  millrace::testing::TemporaryFolder folder;
  const base::UniqueFd held(open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(held.get(), LOCK_EX), 0);
  NewObject draft(parse_location(folder / "out.json"));
  draft.write("good");
  draft.publish_over(std::nullopt);
  EXPECT_EQ(content(folder / "out.json"), "good");
}

// Without this: results that only their owner can read, or that the umask does not count for.
TEST(NewObject, FilesHaveTheUsualMode) {
  millrace::testing::TemporaryFolder folder;
  const mode_t before = umask(027);
  NewObject draft(parse_location(folder / "out.json"));
  draft.publish();
  umask(before);
  EXPECT_EQ(std::filesystem::status(folder / "out.json").permissions(), std::filesystem::perms(0640));
}

TEST(NewObject, WhatCannotBeIsSaidBeforeTheWork) {
  millrace::testing::TemporaryFolder folder;
  EXPECT_THROW(NewObject(parse_location(folder / "none/out")), base::NotFoundError);
  EXPECT_THROW(NewObject(parse_location(folder / "out/")), base::UsageError);
  EXPECT_THROW(NewObject(parse_location("s3://bucket")), base::UsageError);
  EXPECT_THROW(NewObject(parse_location("s3://bucket/folder/")), base::UsageError);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 0);
}

}  // namespace
}  // namespace millrace::objects
