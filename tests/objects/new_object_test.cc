#include "objects/new_object.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
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
