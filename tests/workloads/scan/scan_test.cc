#include "workloads/scan/scan.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "tests/support/postgres.h"
#include "tests/support/temporary_folder.h"
#include "tests/workloads/scan/blend_sample.h"
#include "workloads/scan/catalog.h"
#include "workloads/scan/summary.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

using testing::Postgres;
using testing::TemporaryFolder;
using workloads::JobResult;

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string png_chunk(const std::string& type, const std::string& data) {
  return big_endian(static_cast<uint32_t>(data.size())) + type + data + big_endian(base::crc32(type + data));
}

// A grey PNG whose pixels are one stored zlib block of zeros.
std::string png(uint32_t width, uint32_t height) {
  std::string pixels(size_t{height} * (width + 1), '\0');
  uint16_t n = static_cast<uint16_t>(pixels.size());
  std::string zlib("\x78\x01\x01", 3);
  zlib +=
      {static_cast<char>(n), static_cast<char>(n >> 8), static_cast<char>(~n), static_cast<char>(~n >> 8)};
  zlib += pixels + big_endian((uint32_t{n} << 16) | 1);  // Adler-32 of n zeros (n < 65521)
  return std::string("\x89PNG\r\n\x1a\n", 8) +
         png_chunk("IHDR", big_endian(width) + big_endian(height) + std::string("\x08\0\0\0\0", 5)) +
         png_chunk("IDAT", zlib) + png_chunk("IEND", "");
}

// A quarter of a millisecond of silence.
std::string wav() {
  return std::string(
      "RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\2\0\0\0\0\0", 46);
}

// Gives a folder to an ordinary user and is that user until the end of the test.
class AsNobody {
 public:
  explicit AsNobody(const std::filesystem::path& folder) : root_(geteuid() == 0) {
    constexpr uid_t kNobody = 65534;
    if (!root_) return;
    if (chown(folder.c_str(), kNobody, kNobody) != 0 ||
        chown((folder / "tree").c_str(), kNobody, kNobody) != 0 || seteuid(kNobody) != 0) {
      throw std::runtime_error("cannot become nobody");
    }
  }
  ~AsNobody() {
    if (root_ && seteuid(0) != 0) std::abort();
  }

 private:
  const bool root_;
};

class ScanTest : public ::testing::TestWithParam<sql::Dialect> {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(tree());
    url_ = GetParam() == sql::Dialect::kSqlite ? "sqlite:///" + (folder_ / "db/catalogue.db")
                                               : Postgres::instance().new_database();
  }
  std::filesystem::path tree() const { return folder_.path() / "tree"; }
  void write(const std::string& name, const std::string& content) {
    std::filesystem::path path = tree() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
  }
  struct Outcome {
    ScanCounts counts;
    int exit_code = 0;
    std::string line;
  };
  Outcome scan(bool full = false, workloads::Shard shard = {}) {
    ScanOptions options;
    options.source = tree().string();
    options.database_url = url_;
    options.workers = 2;
    options.full = full;
    options.shard = shard;
    JobResult result("scan", clock_);
    ScanCounts counts = run_scan(options, clock_, result);
    return {counts, result.exit_code(), result.log_line()};
  }
  std::string ask(const std::string& sql) {
    auto connection = sql::open_url(url_);
    auto query = connection->prepare(sql);
    std::string answer;
    for (; query->step(); answer += '\n') answer += query->text(0);
    if (!answer.empty()) answer.pop_back();
    return answer;
  }
  std::string path(const std::string& name) const { return (tree() / name).string(); }

  TemporaryFolder folder_;
  std::string url_;
  base::SystemClock clock_;
};

INSTANTIATE_TEST_SUITE_P(, ScanTest, ::testing::Values(sql::Dialect::kSqlite, sql::Dialect::kPostgresql),
                         [](const auto& parameter) {
                           return parameter.param == sql::Dialect::kSqlite ? "Sqlite" : "Postgresql";
                         });

// Without it: the catalogue is not what the tree is, or a second scan reads what has not changed, or what is
// gone stays.
TEST_P(ScanTest, FollowsTheTree) {
  write("a.png", png(3, 2));
  write("shots/b.png", png(40, 30));
  write("notes.txt", "hello");
  write("empty.dat", "");
  Outcome first = scan();
  EXPECT_EQ(first.exit_code, 0) << first.line;
  EXPECT_EQ(first.counts.files_added, 4);
  EXPECT_EQ(first.counts.images, 2);
  EXPECT_EQ(ask("SELECT width||'x'||height||' '||mode||' '||f.file_name||' '||f.file_size FROM images JOIN "
                "files f ON "
                "f.id=file_id WHERE f.file_path='" +
                path("shots/b.png") + "'"),
            "40x30 L b.png " + std::to_string(png(40, 30).size()));
  EXPECT_EQ(ask("SELECT file_type||' '||count(*) FROM files GROUP BY file_type ORDER BY 1"),
            "document 1\nimage 2\nother 1");

  Outcome second = scan();
  EXPECT_EQ(second.counts.files_unchanged, 4);
  EXPECT_EQ(second.counts.requests, 0);
  EXPECT_EQ(second.counts.images, 2);

  write("a.png", png(7, 7));
  write("a new one.png", png(1, 1));
  std::filesystem::remove(tree() / "shots/b.png");
  Outcome third = scan();
  EXPECT_EQ(third.counts.files_changed, 1);
  EXPECT_EQ(third.counts.files_added, 1);
  EXPECT_EQ(third.counts.files_unchanged, 2);
  EXPECT_EQ(third.counts.files_missing, 1);
  EXPECT_EQ(ask("SELECT status FROM files WHERE file_name='b.png'"), "missing");
  EXPECT_EQ(ask("SELECT width FROM images JOIN files f ON f.id=file_id WHERE file_name='a.png'"), "7");
  EXPECT_EQ(ask("SELECT count(*) FROM images"), "3");

  write("shots/b.png", png(5, 5));  // back again
  EXPECT_EQ(scan().counts.files_changed, 1);
  EXPECT_EQ(ask("SELECT status FROM files WHERE file_name='b.png'"), "ok");
  EXPECT_EQ(scan(true).counts.files_changed, 5);
  EXPECT_EQ(ask("SELECT count(*) FROM files"), "5");
  EXPECT_EQ(ask("SELECT status||' '||files_listed FROM scans ORDER BY id DESC LIMIT 1"), "complete 5");
}

// Without it: a file that cannot be read passes for read, now or on the next (incremental) scan.
TEST_P(ScanTest, WhatCannotBeReadIsNamedEveryTime) {
  write("good.png", png(3, 2));
  write("cut.png", png(100, 100).substr(0, 60));
  write("junk.png", "this is no picture");
  for (int round = 0; round < 2; ++round) {
    Outcome outcome = scan();
    EXPECT_EQ(outcome.exit_code, 3) << outcome.line;
    EXPECT_EQ(outcome.counts.errors, 2);
    EXPECT_NE(outcome.line.find("cut.png"), std::string::npos);
    EXPECT_NE(outcome.line.find("junk.png"), std::string::npos);
  }
  EXPECT_EQ(ask("SELECT count(*) FROM files WHERE status IN ('broken','partial') AND error IS NOT NULL"),
            "2");
  write("cut.png", png(100, 100));
  std::filesystem::remove(tree() / "junk.png");
  EXPECT_EQ(scan().exit_code, 0);
  EXPECT_EQ(ask("SELECT count(*) FROM files WHERE error IS NOT NULL"), "0");
}

// Without it: about one scan in five hundred forgets its last batch, when the listing ends just as the writer
// has taken it, and its files are called missing.
TEST_P(ScanTest, EveryScanWritesItsLastBatch) {
  if (GetParam() != sql::Dialect::kSqlite) GTEST_SKIP() << "nothing of it depends on the database";
  write("good.png", png(3, 2));
  scan();
  for (int round = 0; round < 300; ++round) {
    Outcome outcome = scan();
    ASSERT_EQ(outcome.counts.files_unchanged, 1) << outcome.line;
    ASSERT_EQ(outcome.counts.files_missing, 0) << outcome.line;
  }
}

// Without it: strange names are lost, collide, or break the database.
TEST_P(ScanTest, HostileNames) {
  std::set<std::string> names = {
      "a\xff.png", "a\\xff.png", "new\nline.png", "quote'\".png",     "ünïcode.png",
      "-rf.png",   "%41.png",    "a\\b.png",      "\xed\xa0\x80.png", std::string(250, 'x') + ".png"};
  for (const std::string& name : names) write(name, png(1, 1));
  Outcome outcome = scan();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.line;
  EXPECT_EQ(scan().counts.files_unchanged, static_cast<int64_t>(names.size()));
  auto connection = sql::open_url(url_);
  auto query = connection->prepare("SELECT file_name FROM files");
  std::set<std::string> stored;
  while (query->step()) stored.insert(workloads::storage_bytes(query->text(0)));
  EXPECT_EQ(stored, names);
  std::string summary = render_summary(*connection, "db");
  EXPECT_EQ(summary.find("new\nline"), std::string::npos);
}

// Without it: array jobs catalogue files twice or not at all, or one part declares the files of the others
// missing.
TEST_P(ScanTest, ShardsTogetherAreTheWhole) {
  for (int i = 0; i < 60; ++i)
    write("d" + std::to_string(i % 5) + "/" + std::to_string(i) + ".png", png(1, 1));
  int64_t added = 0;
  for (uint32_t index : {0, 1, 2}) added += scan(false, {index, 3}).counts.files_added;
  EXPECT_EQ(added, 60);
  EXPECT_EQ(ask("SELECT count(*) FROM files WHERE status='ok'"), "60");
  std::filesystem::remove_all(tree() / "d0");
  int64_t missing = 0;
  for (uint32_t index : {0, 1, 2}) missing += scan(false, {index, 3}).counts.files_missing;
  EXPECT_EQ(missing, 12);
  EXPECT_EQ(scan().counts.files_missing, 0);
}

// Without it: nobody sees that a .blend will render without its textures, or files that are there count as
// missing.
TEST_P(ScanTest, DependenciesAreLookedForInTheTree) {
  write("shots/a/one.blend", blend_sample({}));
  write("shots/a/wind.wav", wav());
  write("shots/tex/cloth.png", png(2, 2));
  write("assets/lantern.blend", blend_sample({}));
  Outcome outcome = scan();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.line;
  EXPECT_EQ(outcome.counts.blend_files, 2);
  auto exists = [&](const std::string& raw) {
    return ask(
        "SELECT CASE WHEN d.\"exists\" THEN 'yes ' ELSE 'no ' END || coalesce(t.file_name,'-') FROM "
        "dependencies "
        "d JOIN files f ON f.id=d.file_id LEFT JOIN files t ON t.id=d.resolved_file_id WHERE "
        "f.file_name='one.blend' AND raw_path='" +
        raw + "'");
  };
  EXPECT_EQ(exists("//../../assets/lantern.blend"), "yes lantern.blend");
  EXPECT_EQ(exists("//..\\tex\\cloth.png"), "yes cloth.png");
  EXPECT_EQ(exists("//wind.wav"), "yes wind.wav");
  EXPECT_EQ(exists("//sign.ttf"), "no -");
  std::string before =
      ask("SELECT missing_count FROM blend_files JOIN files f ON f.id=file_id WHERE file_name='one.blend'");
  std::filesystem::remove(tree() / "shots/a/wind.wav");
  write("shots/a/sign.ttf", "x");
  write("shots/a/plate.mov", "x");
  scan();
  EXPECT_EQ(exists("//wind.wav"), "no -");
  EXPECT_EQ(exists("//sign.ttf"), "yes sign.ttf");
  std::string after =
      ask("SELECT missing_count FROM blend_files JOIN files f ON f.id=file_id WHERE file_name='one.blend'");
  EXPECT_EQ(std::stoi(after), std::stoi(before) - 1);
}

// Without it: kill -9 loses rows that were committed, leaves half a file's rows, or the rerun starts from
// nothing.
TEST_P(ScanTest, AKilledScanGoesOn) {
  constexpr int kFiles = 3000;
  for (int i = 0; i < kFiles; ++i)
    write(std::to_string(i % 20) + "/" + std::to_string(i) + ".png", png(2, 2));
  pid_t child = fork();
  if (child == 0) {
    ScanOptions options;
    options.source = tree().string();
    options.database_url = url_;
    options.workers = 2;
    // At the first sight of progress after something was committed: the worst moment is anywhere.
    options.on_progress = [](const ScanProgress& progress) {
      if (progress.files_done > 0) raise(SIGKILL);
    };
    JobResult result("scan", clock_);
    run_scan(options, clock_, result);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  int64_t kept = std::stoll(ask("SELECT count(*) FROM files"));
  EXPECT_EQ(ask("SELECT count(*) FROM images"), std::to_string(kept));
  Outcome outcome = scan();
  EXPECT_EQ(outcome.counts.files_unchanged, kept);
  EXPECT_EQ(outcome.counts.files_added, kFiles - kept);
  EXPECT_EQ(ask("SELECT count(*) FROM images"), std::to_string(kFiles));
  if (WIFSIGNALED(status)) {
    EXPECT_EQ(ask("SELECT status FROM scans ORDER BY id LIMIT 1"), "interrupted");
  }
}

// Without it: SIGTERM (a spot host going away) looks like success, or loses what was done.
TEST_P(ScanTest, AStoppedScanSaysSo) {
  write("a.png", png(1, 1));
  std::atomic<bool> stop = true;
  ScanOptions options;
  options.source = tree().string();
  options.database_url = url_;
  options.stop = &stop;
  JobResult result("scan", clock_);
  EXPECT_THROW(run_scan(options, clock_, result), base::TransientError);
  EXPECT_EQ(ask("SELECT status FROM scans"), "interrupted");
  EXPECT_EQ(scan().exit_code, 0);
}

// Without it: files below a folder that cannot be listed are declared vanished, and the scan calls itself
// complete.
TEST_P(ScanTest, UnreadableFoldersAndFiles) {
  AsNobody nobody(folder_.path());  // root may read everything
  write("locked/in.png", png(1, 1));
  write("closed.png", png(1, 1));
  EXPECT_EQ(scan().exit_code, 0);
  chmod((tree() / "locked").c_str(), 0);
  chmod((tree() / "closed.png").c_str(), 0);
  write("closed2.png", png(1, 1));
  chmod((tree() / "closed2.png").c_str(), 0);
  Outcome outcome = scan();
  chmod((tree() / "locked").c_str(), 0755);
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.counts.files_missing, 0);
  EXPECT_NE(outcome.line.find("closed2.png"), std::string::npos);
  EXPECT_EQ(ask("SELECT status FROM files WHERE file_name='in.png'"), "ok");
}

// Without it: a tree that is deeper than a path may be long fails the whole scan, or its files are not there.
TEST_P(ScanTest, DeeperThanAPathMayBeLong) {
  write("a.png", png(1, 1));
  std::vector<int> folders = {open(tree().c_str(), O_RDONLY | O_DIRECTORY)};
  const std::string name(250, 'd');
  for (int depth = 0; depth < 20; ++depth) {
    ASSERT_EQ(mkdirat(folders.back(), name.c_str(), 0755), 0);
    folders.push_back(openat(folders.back(), name.c_str(), O_RDONLY | O_DIRECTORY));
  }
  const int file = openat(folders.back(), "deep.png", O_WRONLY | O_CREAT, 0644);
  ASSERT_EQ(::write(file, png(1, 1).data(), png(1, 1).size()), static_cast<ssize_t>(png(1, 1).size()));
  close(file);
  for (int folder : folders) close(folder);
  Outcome outcome = scan();
  EXPECT_EQ(outcome.exit_code, 3) << outcome.line;
  EXPECT_EQ(outcome.counts.files_added, GetParam() == sql::Dialect::kSqlite ? 2 : 1);
  EXPECT_EQ(outcome.counts.errors, 1);
}

// Without it: an empty or absent folder crashes, or an absent one passes for empty and everything for
// vanished.
TEST_P(ScanTest, EmptyIsFineAndAbsentIsNot) {
  Outcome outcome = scan();
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.counts.files_listed, 0);
  write("a.png", png(1, 1));
  scan();
  std::filesystem::remove_all(tree());
  try {
    scan();
    ADD_FAILURE();
  } catch (const base::NotFoundError& e) {
    EXPECT_NE(std::string(e.what()).find(tree().string()), std::string::npos) << e.what();
  }
  EXPECT_EQ(ask("SELECT status FROM files"), "ok");
}

// Without it: a foreign or newer database is written into.
TEST_P(ScanTest, OtherDatabasesAreLeftAlone) {
  {
    if (auto file = sql::sqlite_path(url_)) {
      std::filesystem::create_directories(std::filesystem::path(*file).parent_path());
    }
    auto connection = sql::open_url(url_);
    connection->execute("CREATE TABLE files(x TEXT)");
  }
  EXPECT_THROW(scan(), base::ConflictError);
  sql::open_url(url_)->execute("DROP TABLE files");
  scan();
  sql::open_url(url_)->execute("UPDATE millrace_schema SET version=99");
  EXPECT_THROW(scan(), base::ConflictError);
}

// Without it: a summary that is wrong, or shows secrets.
TEST_P(ScanTest, SummarySaysWhatWasFound) {
  write("a.png", png(1, 1));
  write("bad.png", "no picture");
  scan();
  auto connection = sql::open_url(url_);
  std::string summary = render_summary(*connection, "sqlite:///x.db");
  for (const char* part : {"partial", "scanned      2 files", "images       2", "errors       1",
                           "Newest files", "bad.png", "Database: sqlite:///x.db"}) {
    EXPECT_NE(summary.find(part), std::string::npos) << part << "\n" << summary;
  }
}

}  // namespace
}  // namespace millrace::scan
