// Without this: inventories count wrong, miss dependencies and licences, or one odd file ends the whole.
#include "workloads/ingest/inventory.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "sql/duckdb.h"
#include "tests/support/temporary_folder.h"
#include "tests/workloads/ingest/tree_samples.h"
#include "workloads/ingest/ctags.h"
#include "workloads/ingest/inventory_dataset.h"
#include "workloads/ingest/language.h"

namespace millrace::ingest {
namespace {

constexpr const char* kMit =
    "Copyright (c) 2020 Somebody\n\nPermission is hereby granted, free of charge, to any person obtaining a "
    "copy of "
    "this software …\nThe above copyright notice and this permission notice shall be included …\n";

std::string language(const std::string& path, const std::string& head = "") {
  const Language* found = language_of(path, head);
  return found == nullptr ? "" : std::string(found->name);
}

std::string lines(const std::string& path, const std::string& text) {
  const LineCount count = count_lines(text, language_of(path, text));
  return std::to_string(count.code) + " " + std::to_string(count.comment) + " " + std::to_string(count.blank);
}

// Would break: sums by language, which is what people look at first.
TEST(Languages, ByNameFirstLineAndContent) {
  EXPECT_EQ(language("src/a.cc"), "C++");
  EXPECT_EQ(language("A.JAVA"), "Java");
  EXPECT_EQ(language("a.h", "int f(void);\n"), "C");
  EXPECT_EQ(language("a.h", "namespace x {\n"), "C++");
  EXPECT_EQ(language("a.h", "@interface X\n"), "Objective-C");
  EXPECT_EQ(language("a.ts", "let a: number;"), "TypeScript");
  EXPECT_EQ(language("a.ts", "<?xml version=\"1.0\"?><!DOCTYPE TS>"), "XML");
  EXPECT_EQ(language("a.m", "function x\n"), "Objective-C");
  EXPECT_EQ(language("x/CMakeLists.txt"), "CMake");
  EXPECT_EQ(language("Makefile"), "Makefile");
  EXPECT_EQ(language("dir/Dockerfile.build"), "Dockerfile");
  EXPECT_EQ(language("requirements-dev.txt"), "Requirements");
  EXPECT_EQ(language("run", "#!/usr/bin/env -S python3.11 -u\n"), "Python");
  EXPECT_EQ(language("run", "#!/bin/sh\n"), "Shell");
  EXPECT_EQ(language("run", "#!"), "");
  EXPECT_EQ(language("data", "  <?xml version='1.0'?>"), "XML");
  EXPECT_EQ(language("no.such.ending"), "");
  EXPECT_EQ(language(""), "");
  EXPECT_TRUE(is_binary(std::string("a\0b", 3)));
  EXPECT_FALSE(is_binary("a\xff"));
}

// Would break: lines of code, of which half are comments in some languages.
TEST(Languages, Lines) {
  EXPECT_EQ(lines("a.c", "// one\nint a; // two\n\n/* three\n\n*/ int b;\n"), "2 2 2");
  EXPECT_EQ(lines("a.c", "char *s = \"/* no comment\";\nint c;\n"), "2 0 0");
  EXPECT_EQ(lines("a.c", "int a;"), "1 0 0");
  EXPECT_EQ(lines("a.c", "int a;\r\n\r\nint b;\r"), "2 0 1");
  EXPECT_EQ(lines("a.c", ""), "0 0 0");
  EXPECT_EQ(lines("a.rs", "/* a /* b */\n c */\nfn f() {}\n"), "1 2 0");
  EXPECT_EQ(lines("a.java", "/* a /* b */\nclass X {}\n"), "1 1 0");
  EXPECT_EQ(lines("a.sh", "#!/bin/sh\necho a#b\n# x\n"), "1 2 0");
  EXPECT_EQ(lines("a.lua", "--[[ x\ny ]]\nprint(1) -- z\n"), "1 2 0");
  EXPECT_EQ(lines("a.html", "<!-- a\nb -->\n<p>\n"), "1 2 0");
  EXPECT_EQ(lines("a.bat", "rem x\nremove y\n:: z\n"), "1 2 0");
  EXPECT_EQ(lines("a.py", "# x\n\nprint('# no')\n"), "1 1 1");
  EXPECT_EQ(lines("a.sql", "-- x\nselect '--';\n"), "1 1 0");
  EXPECT_EQ(lines("unknown", "a\n\nb\n"), "2 0 1");
}

void make_tree(const std::string& tree) {
  write_file(tree + "/LICENSE", kMit);
  write_file(
      tree + "/package.json",
      R"({"name":"x","license":"Apache-2.0","dependencies":{"left-pad":"^1.3.0"},"devDependencies":{"jest":"*"}})");
  write_file(tree + "/src/main.c",
             "/* SPDX-License-"
             "Identifier: GPL-2.0-only */\nint helper(int a) { return a; }\n"
             "int main(void) { return helper(0); }\n",
             true);
  write_file(tree + "/src/odd\xff.py", "def f(a):\n  return a\n");
  write_file(tree + "/broken/package.json", "{\"name\":");
  write_file(tree + "/picture.png", std::string("\x89PNG\0\0", 6));
  write_file(tree + "/notes.md", "# Title\n\ntext\n");
  std::filesystem::create_symlink("/etc/passwd", tree + "/link");
}

// Would break: what the data set says of a repository; one broken manifest would cost the rest of it.
TEST(Inventory, OfATree) {
  testing::TemporaryFolder folder;
  make_tree(folder / "tree");
  Ctags ctags;
  const InventoryResult result = make_inventory(folder / "tree", {.file = folder / "i.jsonl.zst",
                                                                  .origin = "github.com",
                                                                  .repository = "a/b",
                                                                  .branch = "main",
                                                                  .changeset = "abc",
                                                                  .ctags = &ctags});
  EXPECT_EQ(result.files, 8u);
  EXPECT_EQ(result.binary_files, 1u);
  EXPECT_EQ(result.dependencies, 2u);
  EXPECT_EQ(result.symbols, 3u);
  EXPECT_EQ(result.licences, (std::vector<std::string>{"Apache-2.0", "MIT"}));
  ASSERT_EQ(result.notes.size(), 1u);
  EXPECT_TRUE(result.notes[0].starts_with("broken/package.json: ")) << result.notes[0];
  auto c = std::find_if(result.languages.begin(), result.languages.end(),
                        [](const LanguageSum& sum) { return sum.name == "C"; });
  ASSERT_NE(c, result.languages.end());
  EXPECT_EQ(c->code, 2u);
  EXPECT_EQ(c->comment, 1u);
  EXPECT_EQ(base::find_int(to_json(result), "symbols"), 3);
}

// Would break: people could not read what was found of thousands of repositories as one table.
TEST(Inventory, OneDatasetOfManyRepositories) {
  testing::TemporaryFolder folder;
  make_tree(folder / "tree");
  Ctags ctags;
  InventoryDataset dataset(folder.path());
  for (const std::string name : {"a", "b", "c"}) {
    const std::string file = folder / (name + ".jsonl.zst");
    make_inventory(folder / "tree", {.file = file, .origin = "o", .repository = name, .ctags = &ctags});
    dataset.add(file);
  }
  EXPECT_EQ(dataset.repositories(), 3u);
  const auto written = dataset.write(folder / "out", "partition=0001");
  EXPECT_EQ(written.note, "");
  ASSERT_EQ(written.files.size(), 3u);
  sql::DuckDb database;
  auto one = [&](const std::string& query) { return database.query(query).text().value_or("NULL"); };
  const std::string files = "'" + (folder / "out/files/partition=0001.parquet") + "'",
                    symbols = "'" + (folder / "out/symbols/partition=0001.parquet") + "'",
                    dependencies = "'" + (folder / "out/dependencies/partition=0001.parquet") + "'";
  EXPECT_EQ(one("SELECT count(*) || ' ' || count(DISTINCT repository) FROM " + files), "24 3");
  EXPECT_EQ(one("SELECT language || lines || licence || licence_from || kind FROM " + files +
                " WHERE path = 'src/main.c' LIMIT 1"),
            "C3GPL-2.0-onlytagexecutable");
  EXPECT_EQ(one("SELECT target || COALESCE(language, '-') FROM " + files + " WHERE kind = 'symlink' LIMIT 1"),
            "/etc/passwd-");
  EXPECT_EQ(one("SELECT string_agg(name || ':' || line || kind, ',' ORDER BY line) FROM " + symbols +
                " WHERE repository = 'b' AND language = 'C'"),
            "helper:2function,main:3function");
  EXPECT_EQ(one("SELECT path FROM " + symbols + " WHERE language = 'Python' LIMIT 1"), "src/odd\\xff.py");
  EXPECT_EQ(one("SELECT string_agg(name || version || scope || locked, ',' ORDER BY name) FROM " +
                dependencies + " WHERE repository = 'c'"),
            "jest*developmentfalse,left-pad^1.3.0runtimefalse");
}

// Would break: a file that makes ctags hang or die would cost the symbols of all files behind it.
TEST(Ctags, OneBadFileIsOneBadFile) {
  testing::TemporaryFolder folder;
  const std::string program = folder / "bad-ctags";
  // Answers the first file, hangs in the second; the third one gets a new process.
  write_file(program,
             "#!/usr/bin/python3 -u\nimport json, os, sys\nprint('{\"_type\": \"program\"}')\n"
             "while True:\n  line = sys.stdin.readline()\n  request = json.loads(line)\n"
             "  sys.stdin.read(request['size'])\n"
             "  if request['filename'] == 'hang.c': sys.stdin.read()\n  if request['filename'] == 'die.c': "
             "os.abort()\n"
             "  print('{\"_type\": \"tag\", \"name\": \"n\", \"line\": 7}')\n  print('{\"_type\": "
             "\"completed\"}')\n",
             true);
  Ctags ctags({.program = program, .file_time = std::chrono::milliseconds(1500)});
  int found = 0;
  auto count = [&](const Symbol& symbol) { found += symbol.line == 7 ? 1 : 0; };
  ctags.symbols("dir/a.c", "x", count);
  EXPECT_THROW(ctags.symbols("hang.c", "x", count), base::TransientError);
  ctags.symbols("b.c", "", count);
  EXPECT_THROW(ctags.symbols("die.c", "x", count), base::TransientError);
  ctags.symbols("c.c", "x", count);
  EXPECT_EQ(found, 3);
  EXPECT_EQ(why_no_ctags({.program = "no-such-ctags"}).value_or("").substr(0, 13), "no-such-ctags");
  EXPECT_EQ(why_no_ctags(), std::nullopt);
}

}  // namespace
}  // namespace millrace::ingest
