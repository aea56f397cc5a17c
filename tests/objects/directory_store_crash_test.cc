#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <random>
#include <thread>

#include "base/hash.h"
#include "base/strings.h"
#include "objects/directory_store.h"
#include "objects/directory_view.h"
#include "tests/objects/temporary_folder.h"

namespace millrace::objects {
namespace {

constexpr int kThreads = 4;
constexpr int kStepsMax = 100'000;

// Step `step` of writer `thread`: what it does is a function of the seed, so that the parent knows it too.
struct Step {
  enum Kind { kSmall, kLarge, kMultipart, kCopyOver, kDelete } kind;
  std::string key;
  std::string content;  // empty: deleted
};

Step step_of(unsigned seed, int thread, int step) {
  std::mt19937 random(seed * 1000003u + static_cast<unsigned>(thread) * 7919u + static_cast<unsigned>(step));
  random.discard(3);
  Step out;
  out.kind = static_cast<Step::Kind>(random() % 5);
  out.key = std::to_string(thread) + "/" + std::to_string(random() % 4);
  std::string unit = "seed " + std::to_string(seed) + " " + out.key + " step " + std::to_string(step) + ";";
  size_t size = out.kind == Step::kSmall ? 1 + random() % 90 : 200 + random() % 60'000;
  while (out.content.size() < size) out.content += unit;
  if (out.kind == Step::kDelete) out.content.clear();
  return out;
}

DirectoryStoreOptions small_options() {
  DirectoryStoreOptions options;
  options.inline_bytes_max = 100;
  options.part_bytes_min = 10;
  return options;
}

void apply(DirectoryStore& store, const Step& step) {
  auto put = [&](const std::string& key) {
    auto writer = store.put({"bucket", key, {}, {}, {}, {}});
    writer->write(step.content);
    writer->finish();
  };
  switch (step.kind) {
    case Step::kSmall:
    case Step::kLarge:
      return put(step.key);
    case Step::kDelete:
      store.remove("bucket", step.key, {}, {});
      return;
    case Step::kCopyOver: {
      std::string other = "copied" + step.key;
      put(other);
      store.copy("bucket", other, base::md5_hex(step.content), {"bucket", step.key, {}, {}, {}, {}}, {},
                 false);
      return;
    }
    case Step::kMultipart: {
      std::string id = store.create_upload("bucket", step.key, {}, {}, false);
      size_t half = step.content.size() / 2;
      std::vector<CompletedPart> parts;
      for (int number = 1; number <= 2; ++number) {
        auto writer = store.put_part({"bucket", step.key, id, number, {}});
        writer->write(number == 1 ? step.content.substr(0, half) : step.content.substr(half));
        parts.push_back({number, writer->finish().etag, {}});
      }
      store.complete_upload("bucket", step.key, id, parts, "", {}, {});
      return;
    }
  }
}

[[noreturn]] void run_child(const std::string& folder, unsigned seed, int acknowledge) {
  base::SystemClock clock;
  DirectoryStore store(folder, clock, small_options());
  store.create_bucket("bucket", "us-east-1");
  std::vector<std::thread> writers;
  for (int thread = 0; thread < kThreads; ++thread)
    writers.emplace_back([&, thread] {
      for (int step = 0; step < kStepsMax; ++step) {
        apply(store, step_of(seed, thread, step));
        std::string line = std::to_string(thread) + "\n";
        if (write(acknowledge, line.data(), line.size()) < 0) _exit(2);
      }
    });
  for (auto& writer : writers) writer.join();
  _exit(0);
}

std::string content_of(OpenObject object) {
  std::string out = object.data;
  if (object.file) {
    out.assign(object.record.size, '\0');
    EXPECT_EQ(pread(object.file.get(), out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
  }
  return out;
}

TEST(DirectoryStoreCrash, EverythingAcknowledgedIsThereAndWholeAfterKill) {
  // Without this "acknowledged means durable" is only a sentence.
  const unsigned base_seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(base_seed));
  std::mt19937 random(base_seed);
  TemporaryFolder folder;
  std::string path = folder.path() + "/objects";
  std::map<std::string, std::string> model;
  std::map<std::string, size_t>
      versions;  // acknowledged since the bucket keeps them; deletions make one, too
  size_t acknowledged_in_all = 0;
  for (int round = 0; round < 8; ++round) {
    unsigned seed = static_cast<unsigned>(random());
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(pipe_fds[0]);
      run_child(path, seed, pipe_fds[1]);
    }
    close(pipe_fds[1]);
    // Kill after a random number of acknowledgements, so that slow machines test as much as fast ones.
    size_t wanted = 1 + random() % 60, seen = 0;
    std::string lines;
    char buffer[4096];
    for (;;) {
      ssize_t n = read(pipe_fds[0], buffer, sizeof buffer);
      if (n <= 0) break;
      lines.append(buffer, static_cast<size_t>(n));
      seen += static_cast<size_t>(std::count(buffer, buffer + n, '\n'));
      if (seen >= wanted) {
        usleep(static_cast<useconds_t>(random() % 3000));  // somewhere inside the next operations
        kill(child, SIGKILL);
        wanted = SIZE_MAX;
      }
    }
    close(pipe_fds[0]);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
    int done[kThreads] = {};
    for (std::string_view line : base::split(lines, '\n'))
      if (!line.empty()) ++done[line[0] - '0'];
    acknowledged_in_all += seen;

    base::SystemClock clock;
    DirectoryStore store(path, clock, small_options());
    for (int thread = 0; thread < kThreads; ++thread) {
      for (int step = 0; step < done[thread]; ++step) {
        Step s = step_of(seed, thread, step);
        model[s.key] = s.content;
        if (round > 3) ++versions[s.key];
      }
      // The step that was under way may have happened or not; one of the two, whole.
      Step next = step_of(seed, thread, done[thread]);
      std::string now;
      try {
        now = content_of(store.open("bucket", next.key));
      } catch (const base::NotFoundError&) {
      }
      if (now == next.content) model[next.key] = next.content;
    }
    for (const auto& [key, content] : model) {
      std::string now;
      try {
        now = content_of(store.open("bucket", key));
      } catch (const base::NotFoundError&) {
      }
      ASSERT_EQ(now, content) << "round " << round << " key " << key;
    }
    // No orphans: every file belongs to an object or to a part of an unfinished upload.
    size_t files = 0;
    std::map<std::string, size_t> versions_now;
    for (const auto& version : store.list_versions("bucket", {"", "", "", "", 100'000}).versions) {
      files += version.object.size > 100;
      ++versions_now[version.object.key];
    }
    for (const auto& upload : store.uploads("bucket", "", "", "", "", 10'000).uploads)
      for (const auto& part : store.parts("bucket", upload.key, upload.upload_id, 0, 10'000))
        files += part.size > 100;
    EXPECT_EQ(folder.files("objects/content"), files) << "round " << round;
    EXPECT_EQ(folder.files("objects/incoming"), 0u) << "round " << round;
    // Every version is there, and every byte of all of them.
    for (const auto& [key, count] : versions)
      EXPECT_GE(versions_now[key], count) << "round " << round << " " << key;
    EXPECT_EQ(DirectoryView(path)
                  .verify([](const std::string& what, const std::string& why) {
                    ADD_FAILURE() << what << ": " << why;
                  })
                  .damaged,
              0u);
    if (round == 3) store.set_versioning("bucket", Versioning::kEnabled);
  }
  EXPECT_GT(acknowledged_in_all, 8u);
}

}  // namespace
}  // namespace millrace::objects
