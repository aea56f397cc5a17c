// Without this, a texture beside its .blend could be reported missing, or one outside the tree as found.
#include <gtest/gtest.h>

#include "workloads/scan/blend.h"

namespace millrace::scan {
namespace {

TEST(BlendPath, ResolvesAgainstTheBlendThatHoldsIt) {
  struct Case {
    const char* raw;
    const char* blend;
    const char* expected;
  };
  for (const Case& c : {
           Case{"//wood.png", "/show/a/x.blend", "/show/a/wood.png"},
           Case{"//../tex/wood.png", "/show/a/x.blend", "/show/tex/wood.png"},
           Case{"//..\\tex\\wood.png", "/show/a/x.blend", "/show/tex/wood.png"},
           Case{"//./tex//wood.png", "shows/a/x.blend", "shows/a/tex/wood.png"},
           Case{"//../../../wood.png", "shows/a/x.blend", "../wood.png"},
           Case{"//../../../../wood.png", "/show/a/x.blend", "/wood.png"},
           Case{"//wood.png", "x.blend", "wood.png"},
           Case{"wood.png", "a/x.blend", "a/wood.png"},
           Case{"//tex/w.<UDIM>.png", "s3://bucket/a/x.blend", "s3://bucket/a/tex/w.<UDIM>.png"},
           Case{"//../../w.png", "s3://bucket/a/x.blend", "s3://bucket/../w.png"},
           Case{"/lib/../wood.png", "a/x.blend", "/wood.png"},
           Case{"C:\\tex\\..\\wood.png", "a/x.blend", "C:/wood.png"},
           Case{"d:/wood.png", "a/x.blend", "d:/wood.png"},
           Case{"\\\\server\\share\\wood.png", "a/x.blend", "//server/share/wood.png"},
           Case{"\\\\server\\..\\..\\wood.png", "a/x.blend", "//server/wood.png"},
           Case{"", "a/x.blend", ""},
           Case{"//", "a/x.blend", "a"},
           Case{"//..", "x.blend", ".."},
       })
    EXPECT_EQ(resolve_blend_path(c.raw, c.blend), c.expected) << c.raw << " in " << c.blend;
}

TEST(BlendPath, TellsAbsoluteFromRelative) {
  for (const char* raw : {"/x.png", "C:\\x.png", "C:/x.png", "\\\\server\\x.png"})
    EXPECT_TRUE(is_absolute_blend_path(raw)) << raw;
  for (const char* raw : {"//x.png", "x.png", "//C:x.png", "", "//..\\x.png"})
    EXPECT_FALSE(is_absolute_blend_path(raw)) << raw;
}

}  // namespace
}  // namespace millrace::scan
