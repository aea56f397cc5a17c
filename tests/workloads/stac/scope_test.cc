#include "workloads/stac/scope.h"

#include <gtest/gtest.h>

namespace millrace::stac {
namespace {

// Without this: --skip-existing refuses a file that merges have made complete, or takes one that is not.
TEST(Scope, WhatMergesAddedIsCoveredTogether) {
  const std::vector<Scope> scopes = {{.collections = {"A"}, .box = ""},
                                     {.collections = {"B"}, .box = "0,0,9,9"}};
  EXPECT_TRUE(cover(scopes, {.collections = {"A", "B"}, .box = "0,0,9,9.0"}));
  EXPECT_TRUE(cover(scopes, {.collections = {"A"}, .box = "1,1,2,2"}));
  EXPECT_FALSE(cover(scopes, {.collections = {"A", "B"}, .box = ""}));
  EXPECT_FALSE(cover(scopes, {.collections = {"A", "C"}, .box = "0,0,9,9"}));
  EXPECT_FALSE(cover(scopes, {.collections = {}, .box = "0,0,9,9"})) << "all collections are more than two";
  EXPECT_TRUE(cover({{.collections = {}, .box = ""}}, {.collections = {"A"}, .box = "0,0,9,9"}));
  EXPECT_FALSE(cover({}, {.collections = {}, .box = ""}));
}

}  // namespace
}  // namespace millrace::stac
