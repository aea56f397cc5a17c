// Without this: dependencies of the common package managers and the usual licences are missed or misread.
#include "workloads/ingest/manifest.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/mutation.h"
#include "workloads/ingest/language.h"
#include "workloads/ingest/licence.h"
#include "workloads/ingest/toml.h"

namespace millrace::ingest {
namespace {

std::string found(const std::string& path, const std::string& content) {
  std::string text;
  for (const Dependency& d : parse_manifest(path, content).dependencies)
    text += d.ecosystem + ' ' + d.name + ' ' + d.version + ' ' + d.scope + (d.locked ? " locked" : "") + '\n';
  return text;
}

// Each would break: what a repository of that kind depends on.
TEST(Manifest, Npm) {
  EXPECT_EQ(
      found("package.json",
            R"({"dependencies":{"a":"^1"},"peerDependencies":{"b":"*"},"optionalDependencies":{"c":1}})"),
      "npm a ^1 runtime\nnpm b * peer\nnpm c  optional\n");
  EXPECT_EQ(found("package-lock.json",
                  R"({"packages":{"":{"name":"x"},"node_modules/a":{"version":"1.0.0"},
                      "node_modules/a/node_modules/@s/b":{"version":"2.0.0","dev":true},"node_modules/w":{"link":true}}})"),
            "npm a 1.0.0 runtime locked\nnpm @s/b 2.0.0 development locked\n");
  EXPECT_EQ(found("package-lock.json",
                  R"({"dependencies":{"a":{"version":"1","dependencies":{"b":{"version":"2"}}}}})"),
            "npm a 1 runtime locked\nnpm b 2 runtime locked\n");
  EXPECT_THROW(parse_manifest("package.json", "[]"), base::CorruptError);
  EXPECT_EQ(parse_manifest("package.json", R"x({"license":"(MIT OR Apache-2.0)"})x").licence,
            "(MIT OR Apache-2.0)");
}

TEST(Manifest, Composer) {
  EXPECT_EQ(found("composer.json", R"({"require":{"php":">=8"},"require-dev":{"a/b":"1.*"}})"),
            "composer php >=8 runtime\ncomposer a/b 1.* development\n");
  EXPECT_EQ(found("composer.lock", R"({"packages":[{"name":"a/b","version":"v1"}],"packages-dev":[3]})"),
            "composer a/b v1 runtime locked\n");
}

TEST(Manifest, Cargo) {
  EXPECT_EQ(found("Cargo.toml",
                  "[package]\nname = \"x\"\n[dependencies]\nserde = { version = \"1\", features = [\n "
                  "\"derive\", ] }\n"
                  "renamed = { package = \"real\", git = 'https://x' }\nrand = \"0.8\" # comment\n"
                  "[target.'cfg(unix)'.dependencies]\nlibc.version = \"0.2\"\n[dev-dependencies]\nproptest = "
                  "\"1\"\n"),
            "cargo serde 1 runtime\ncargo real https://x runtime\ncargo rand 0.8 runtime\n"
            "cargo proptest 1 development\ncargo libc 0.2 runtime\n");
  EXPECT_EQ(found("Cargo.lock",
                  "version = 3\n[[package]]\nname = \"x\"\nversion = \"0.1.0\"\n\n[[package]]\nname = "
                  "\"a\"\nversion = "
                  "\"1.2.3\"\nsource = \"registry+x\"\ndependencies = [\n \"b\",\n]\n"),
            "cargo a 1.2.3 runtime locked\n");
  EXPECT_EQ(parse_manifest("Cargo.toml", "[package]\nlicense = \"MIT/Apache-2.0\"\n").licence,
            "MIT OR Apache-2.0");
}

TEST(Manifest, Python) {
  EXPECT_EQ(
      found("pyproject.toml",
            "[build-system]\nrequires = [\"setuptools>=61\"]\n[project]\nname=\"x\"\ndependencies = "
            "[\"requests[socks] >=2,<3 ; python_version > '3'\", 'a.b_c']\n[project.optional-dependencies]\n"
            "test = [\"pytest (>=7)\"]\n[tool.poetry.dependencies]\npython = \"^3\"\nflask = \"^2\"\n"
            "[tool.poetry.group.dev.dependencies]\nblack = \"*\"\n"),
      "pypi requests >=2,<3 runtime\npypi a.b_c  runtime\npypi pytest >=7 test\npypi setuptools >=61 build\n"
      "pypi flask ^2 runtime\npypi black * development\n");
  EXPECT_EQ(found("requirements.txt",
                  "# c\n-r other.txt\nDjango==4.2 \\\n  --hash=sha256:1\r\nname @ https://x/y.whl\n"
                  "-e git+https://x/y.git@main#egg=eggs[x]\nhttps://x/z.whl\nplain # why\n\n"),
            "pypi Django ==4.2 runtime\npypi name @ https://x/y.whl runtime\npypi eggs  runtime\npypi plain  "
            "runtime\n");
  EXPECT_EQ(found("poetry.lock", "[[package]]\nname = \"a\"\nversion = \"1\"\n"),
            "pypi a 1 runtime locked\n");
  EXPECT_EQ(found("Pipfile", "[packages]\na = \"*\"\n[dev-packages]\nb = {version = \">1\"}\n"),
            "pypi a * runtime\npypi b >1 development\n");
}

TEST(Manifest, MavenAndGradle) {
  EXPECT_EQ(
      found("pom.xml",
            "<project "
            "xmlns='x'><parent><groupId>p</groupId><artifactId>q</artifactId><version>1</version></parent>"
            "<artifactId>a</artifactId><properties><v>2.0</v></properties><dependencies><dependency>"
            "<groupId>${project.groupId}</groupId><artifactId>b</artifactId><version>${v}</version></"
            "dependency>"
            "<dependency><groupId>j</groupId><artifactId>k</artifactId><version>${unknown}</version>"
            "<scope>test</scope></dependency></dependencies></project>"),
      "maven p:q 1 parent\nmaven p:b 2.0 runtime\nmaven j:k ${unknown} test\n");
  EXPECT_THROW(parse_manifest("pom.xml", "<project>"), base::CorruptError);
  EXPECT_EQ(found("build.gradle",
                  "// implementation 'no:no:1'\ndependencies {\n  implementation 'a:b:1.0'\n  "
                  "testImplementation(\"c:d:2\")\n"
                  "  api group: 'e', name: 'f', version: '3'\n  compileOnly platform(\"g:h:4\")\n"
                  "  implementation project(':core')\n  runtimeOnly(\"i:j\") { exclude group: 'x', module: "
                  "'y' }\n}\n"),
            "maven a:b 1.0 runtime\nmaven c:d 2 test\nmaven e:f 3 runtime\nmaven g:h 4 build\nmaven i:j  "
            "runtime\n");
}

TEST(Manifest, GoCmakeAndGems) {
  EXPECT_EQ(
      found(
          "go.mod",
          "module example.com/x\n\ngo 1.21\nrequire a.b/c v1.0.0\nrequire (\n\td.e/f v2.0.0 // indirect\n)\n"
          "replace (\n\ta.b/c => ../c\n)\n"),
      "golang a.b/c v1.0.0 runtime\ngolang d.e/f v2.0.0 indirect\n");
  EXPECT_EQ(
      found(
          "CMakeLists.txt",
          "# find_package(No)\nfind_package(Boost 1.81 REQUIRED COMPONENTS json)\nFIND_PACKAGE (ZLIB)\n"
          "pkg_check_modules(G REQUIRED IMPORTED_TARGET gtk+-3.0>=3.2 libcurl)\nfind_package(\"X\" QUIET\n"),
      "cmake Boost 1.81 build\ncmake ZLIB  optional\npkgconfig gtk+-3.0 >=3.2 build\npkgconfig libcurl  "
      "build\n"
      "cmake X  optional\n");
  EXPECT_EQ(found("Gemfile",
                  "source 'https://x'\ngem 'rails', '~> 7', '>= 7.1'\ngem \"a\", git: 'https://y'\n"
                  "group :test, :development do\n  gem 'rspec', require: false\nend\ngem('b')\n"),
            "gem rails ~> 7, >= 7.1 runtime\ngem a  runtime\ngem rspec  development\ngem b  runtime\n");
  EXPECT_EQ(found("Gemfile.lock",
                  "GEM\n  remote: x\n  specs:\n    a (1.0)\n      b (>= 2)\n\nPLATFORMS\n    ruby (x)\n"),
            "gem a 1.0 runtime locked\n");
}

// Would break: which licences are in a repository, the question that lawyers ask.
TEST(Licence, OfTextsAndTags) {
  EXPECT_EQ(licence_of_text("Apache License\n   Version 2.0, January 2004\n"), "Apache-2.0");
  EXPECT_EQ(licence_of_text("GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007"), "GPL-3.0");
  EXPECT_EQ(licence_of_text(
                "GNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007 … GNU General Public License "
                "version 3, 29 June 2007"),
            "LGPL-3.0");
  const std::string bsd =
      "Redistribution and use in source and binary forms, with or without … Redistributions in binary "
      "form must reproduce the above copyright notice";
  EXPECT_EQ(licence_of_text(bsd), "BSD-2-Clause");
  EXPECT_EQ(licence_of_text(bsd + " … to endorse or promote products derived from"), "BSD-3-Clause");
  EXPECT_EQ(licence_of_text("nothing of that kind"), "");
  EXPECT_EQ(licence_of_text(""), "");
  const std::string tag = std::string("SPDX-License-") + "Identifier: ";
  EXPECT_EQ(licence_tag("// " + tag + "MIT OR Apache-2.0\nx"), "MIT OR Apache-2.0");
  EXPECT_EQ(licence_tag("/* " + tag + "GPL-2.0-only WITH Linux-syscall-note */"),
            "GPL-2.0-only WITH Linux-syscall-note");
  EXPECT_EQ(licence_tag("# " + tag + "(MIT"), "");
  EXPECT_EQ(licence_tag("# " + tag), "");
  EXPECT_TRUE(may_hold_licence("LICENSE") && may_hold_licence("a/COPYING.LESSER") &&
              may_hold_licence("Licence.md") && may_hold_licence("LICENSES/MIT.txt"));
  EXPECT_FALSE(may_hold_licence("license.py") || may_hold_licence("src/licenses.h") ||
               may_hold_licence("a.txt"));
}

TEST(Toml, WhatManifestsHold) {
  const auto root = parse_toml(
      "a = 'x' # y\n\"b.c\" = \"\"\"\nl1\\\n   l2\"\"\"\n[t]\nd.e = [1, [true], {f = 2024-01-01}]\n"
      "[[p]]\nn = 1\n[[p]]\nn = 2\n[p.q]\nr = \"\\u00e9\"\n");
  EXPECT_EQ(base::json::serialize(root),
            R"({"a":"x","b.c":"l1l2","t":{"d":{"e":["1",[true],{"f":"2024-01-01"}]}},)"
            R"("p":[{"n":"1"},{"n":"2","q":{"r":"é"}}]})");
  for (const char* bad :
       {"a", "a =", "= 1", "[a", "a = [1", "a = {b = 1", "a = \"x", "a = 1 2\n b = 'x' y", "a=\"\\q\""})
    EXPECT_THROW(parse_toml(bad), base::CorruptError) << bad;
}

// Would break: files of strangers would crash the reader of thousands of repositories (see also
// tests/fuzz/manifests_fuzz.cc).
TEST(Manifest, AnyBytes) {
  const std::vector<std::string> names = {
      "package.json", "package-lock.json", "composer.json",  "composer.lock",
      "Cargo.toml",   "Cargo.lock",        "pyproject.toml", "poetry.lock",
      "Pipfile",      "pom.xml",           "build.gradle",   "requirements.txt",
      "go.mod",       "CMakeLists.txt",    "Gemfile",        "Gemfile.lock"};
  testing::Corpus corpus;
  corpus.samples = {
      R"({"dependencies":{"a":"^1","b":{"version":"1","dev":true}},"packages":{"node_modules/a":{}}})",
      "[package]\nname = \"x\"\n[dependencies]\na = { version = \"1\" }\nb = [1, "
      "'''x''']\n[[package]]\nc.d=1\n",
      "<project><dependencies><dependency><groupId>${a}</groupId></dependency></dependencies></project>",
      "implementation 'a:b:1.0'\napi group: 'e', name: \"f\"\n/* x */ testCompile(\"a:b\")\n",
      "find_package(Boost 1.8 REQUIRED)\npkg_check_modules(A b>=1 \"c\")\n",
      "require (\n a v1 // indirect\n)\ngem 'x', '~> 1', git: 'y'\ngroup :test do\nend\n",
      "name[x]>=1; y\n-e z#egg=w\nDjango==1 \\\n --hash=1\n"};
  corpus.pieces = {"[[", "]]",  "\"\"\"", "'",  "\\",        "${",   "}",     "(",
                   ")",  "{\"", "=",      "\n", "[a.b.c]\n", "do\n", "end\n", "\\u"};
  testing::for_each_mutation(corpus, 2000, [&](const std::string& input, testing::Mutator& mutator) {
    const std::string& name = names[mutator.below(names.size())];
    try {
      const Manifest manifest = parse_manifest(name, input);
      for (const Dependency& dependency : manifest.dependencies)
        EXPECT_FALSE(dependency.name.empty()) << name;
    } catch (const base::CorruptError&) {
    }
    const Language* language = language_of(name, input);
    EXPECT_LE(count_lines(input, language).all(), input.size() + 1);
    static_cast<void>(licence_of_text(input));
    static_cast<void>(licence_tag(input));
  });
}

}  // namespace
}  // namespace millrace::ingest
