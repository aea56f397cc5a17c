#include "workloads/ingest/git.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "base/child_process.h"
#include "base/error.h"
#include "tests/support/temporary_folder.h"
#include "workloads/ingest/git_tree.h"
#include "workloads/ingest/remote_refs.h"

namespace millrace::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class GitTest : public ::testing::Test {
 protected:
  void sh(const std::string& script, const std::string& folder = "") {
    base::ChildOptions options{
        {"sh", "-ec", script},
        {"PATH=" + std::string(std::getenv("PATH")), "HOME=" + folder_.path().string(), "GIT_AUTHOR_NAME=a",
         "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b",
         "GIT_COMMITTER_DATE=1700000000 +0000", "GIT_AUTHOR_DATE=1700000000 +0000", "GIT_CONFIG_NOSYSTEM=1"},
        folder.empty() ? folder_.path().string() : folder,
        {}};
    base::ChildRun run = base::run_child(options, {});
    ASSERT_TRUE(run.ok()) << script << "\n" << run.output << run.errors;
  }
  Git git(bool allow_local = true) {
    GitOptions options;
    options.private_folder = folder_.path().string();
    options.allow_local = allow_local;
    return Git(options);
  }
  static GitLimits limits() {
    GitLimits limits;
    limits.time = std::chrono::milliseconds(60'000);
    return limits;
  }
  std::map<std::string, std::string> files(const std::string& git_folder,
                                           const std::string& revision = "HEAD",
                                           GitTreeLimits tree_limits = {}) {
    GitTree tree(git().object_reader(git_folder, folder_.path().string()), tree_limits);
    tree.open({revision});
    std::map<std::string, std::string> found;
    order_.clear();
    tree.visit([&](const TreeEntry& entry, const Tree::Read& read) {
      std::string content;
      char buffer[3];
      while (size_t n = read(buffer, sizeof buffer)) content.append(buffer, n);
      if (entry.kind == TreeEntry::Kind::kSymlink) content = "-> " + entry.link;
      if (entry.kind == TreeEntry::Kind::kSubmodule) content = "@ " + entry.link;
      if (entry.kind == TreeEntry::Kind::kExecutable) content = "! " + content;
      found[entry.path] = content;
      order_.push_back(entry.path);
    });
    return found;
  }
  testing::TemporaryFolder folder_;
  std::vector<std::string> order_;
};

// Without it, a tree read straight from the repository would differ from a checkout: other files, order or
// kinds.
TEST_F(GitTest, ATreeIsReadWithoutACheckout) {
  sh("git init -q r && cd r && mkdir -p a/b a-c && printf one > a/b/f && : > a-c/empty && printf x > a.txt "
     "&& "
     "printf '#!/bin/sh' > run && chmod +x run && ln -s /etc/passwd out && "
     "printf y > \"$(printf 'n\\303\\226\\377')\" && "
     "git add . && git update-index --add --cacheinfo 160000,1234567890123456789012345678901234567890,sub && "
     "git commit -qm m");
  auto found = files(folder_ / "r/.git");
  EXPECT_EQ(found["a/b/f"], "one");
  EXPECT_EQ(found["a-c/empty"], "");
  EXPECT_EQ(found["run"], "! #!/bin/sh");
  EXPECT_EQ(found["out"], "-> /etc/passwd");
  EXPECT_EQ(found["sub"], "@ 1234567890123456789012345678901234567890");
  EXPECT_EQ(found["n\xc3\x96\xff"], "y");
  EXPECT_EQ(found.size(), 7u);
  EXPECT_TRUE(std::is_sorted(order_.begin(), order_.end()));
}

// Without it, thousands of files in one folder, or content that a visitor leaves, would mix up the answers of
// git.
TEST_F(GitTest, ManyFilesAndContentThatIsNotWanted) {
  sh("git init -q r && cd r && for i in $(seq 1000); do echo file $i > f$i; done; mkdir d; "
     "head -c 300000 /dev/zero > d/big; git add . && git commit -qm m");
  GitTree tree(git().object_reader(folder_ / "r/.git", folder_.path().string()), {});
  EXPECT_EQ(tree.open({"refs/heads/none", "HEAD"}).time_s, 1700000000);
  for (int turn = 0; turn < 2; ++turn) {
    int count = 0;
    tree.visit([&](const TreeEntry& entry, const Tree::Read& read) {
      char byte;
      if (++count % 3 == 0) {
        EXPECT_EQ(read(&byte, 1), 1u);
        EXPECT_EQ(byte, entry.path == "d/big" ? '\0' : 'f');
      }
    });
    EXPECT_EQ(count, 1001);
  }
}

// Without it, a hostile tree (names that lead out, a bomb of nested trees) would write anywhere or never end.
TEST_F(GitTest, HostileTreesAreRefused) {
  sh("git init -q r && cd r && b=$(echo x | git hash-object -w --stdin) && "
     "printf \"100644 ..\\0$(printf %s $b | sed 's/../\\\\x&/g')\" > /dev/null; "
     "python3 - $b <<'P' > t\nimport sys\nsys.stdout.buffer.write(b'100644 "
     "..\\0'+bytes.fromhex(sys.argv[1]))\nP\n"
     "t=$(git hash-object -w -t tree --literally t) && c=$(git commit-tree -m m $t) && git update-ref "
     "refs/heads/dots $c\n"
     "python3 - $b <<'P' > t\nimport sys\nsys.stdout.buffer.write(b'100644 "
     ".GIT\\0'+bytes.fromhex(sys.argv[1]))\nP\n"
     "t=$(git hash-object -w -t tree --literally t) && c=$(git commit-tree -m m $t) && git update-ref "
     "refs/heads/dotgit $c\n"
     "t=$(printf \"100644 blob $b\\tf\\n\" | git mktree); for i in 1 2 3 4 5 6 7 8 9; do "
     "t=$(for n in a b c d e f g h i j; do printf \"040000 tree $t\\t$n\\n\"; done | git mktree); done; "
     "c=$(git commit-tree -m m $t) && git update-ref refs/heads/bomb $c");
  EXPECT_THROW(files(folder_ / "r/.git", "refs/heads/dots"), base::CorruptError);
  EXPECT_THROW(files(folder_ / "r/.git", "refs/heads/dotgit"), base::CorruptError);
  GitTreeLimits few;
  few.entries_max = 10'000;
  try {
    files(folder_ / "r/.git", "refs/heads/bomb", few);
    FAIL() << "a billion files were read";
  } catch (const base::CorruptError& error) {
    EXPECT_EQ(error.code(), "too-large");
  }
}

// Without it, hooks, configuration and helpers of a hostile repository would run as us.
TEST_F(GitTest, NothingOfTheRepositoryRuns) {
  sh("git init -q r && cd r && echo x > f && git add . && git commit -qm m && "
     "git config core.fsmonitor 'touch ../ran' && git config core.sshCommand 'touch ../ran' && "
     "git config extensions.partialClone evil && git config remote.evil.url 'ext::touch ../ran' && "
     "git config remote.evil.promisor true && git config core.repositoryformatversion 1 && "
     "printf '#!/bin/sh\\ntouch ../ran\\n' > .git/hooks/post-checkout && chmod +x .git/hooks/post-checkout "
     "&& "
     "rm .git/objects/$(git rev-parse HEAD:f | sed 's|^..|&/|')");
  EXPECT_THROW(files(folder_ / "r/.git"), base::CorruptError) << "the missing blob must not be fetched";
  EXPECT_FALSE(std::filesystem::exists(folder_ / "ran"));
}

// Without it, clones would be of the wrong branch or commit, or failures would not be told apart.
TEST_F(GitTest, ClonesBranchesAndCommitsAndSaysWhatIsWrong) {
  sh("git init -q -b trunk r && cd r && echo 1 > f && git add . && git commit -qm 1 && git tag v1 && echo 2 "
     "> f && "
     "git commit -qam 2 && git branch side HEAD~ && git init -q ../empty");
  Git git = this->git();
  std::string home = folder_.path().string(), url = folder_ / "r";
  Git::Clone clone = git.clone({url, "", "", false}, folder_ / "c1", home, limits());
  EXPECT_EQ(clone.branch, "trunk");
  EXPECT_EQ(files(clone.git_folder)["f"], "2\n");
  clone = git.clone({url, "side", "", true}, folder_ / "c2", home, limits());
  EXPECT_EQ(files(clone.git_folder)["f"], "1\n");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "c2/f"));
  Git::Clone by_commit = git.clone({url, "", clone.commit, true}, folder_ / "c3", home, limits());
  EXPECT_EQ(by_commit.commit, clone.commit);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "c3/f"));
  EXPECT_EQ(git.ls_remote(url, "v1", home, limits()).commit, clone.commit);
  RemoteHead head = git.ls_remote(url, "", home, limits());
  EXPECT_EQ(head.branch, "trunk");
  EXPECT_EQ(head.commit, commit_of_ref(folder_ / "r/.git", "refs/heads/trunk"));

  auto code = [&](const Git& with, const Git::Wanted& wanted) -> std::string {
    try {
      with.clone(wanted, folder_ / "no", home, limits());
    } catch (const base::Error& error) {
      std::filesystem::remove_all(folder_ / "no");
      return error.code();
    }
    return "";
  };
  EXPECT_EQ(code(git, {url, "missing", "", false}), "no-branch");
  EXPECT_EQ(code(git, {url, "", std::string(40, '1'), false}), "no-commit");
  EXPECT_EQ(code(git, {folder_ / "nowhere", "", "", false}), "not-found");
  EXPECT_EQ(code(git, {folder_ / "empty", "", "", false}), "empty");
  EXPECT_EQ(code(git, {"http://127.0.0.1:1/x", "", "", false}), "network");
  EXPECT_EQ(code(git, {"ext::sh -c touch% ran", "", "", false}), "protocol");
  EXPECT_EQ(code(this->git(false), {url, "", "", false}), "protocol");
}

// Without it, a token could be read in the list of processes or in logs.
TEST_F(GitTest, SecretsAreInNoArgument) {
  GitOptions options;
  options.private_folder = folder_.path().string();
  options.credentials_file = folder_ / "credentials";
  options.ssh_key_file = folder_ / "key";
  base::ChildOptions child = Git(options).command({"fetch"}, "/", "/");
  EXPECT_THAT(child.arguments, ElementsAre("git", "fetch"));
  std::string all;
  for (const std::string& variable : child.environment) all += variable + "\n";
  EXPECT_THAT(all, HasSubstr("credential-store --file='" + options.credentials_file + "' get"));
  EXPECT_THAT(all, HasSubstr("-i '" + options.ssh_key_file + "'"));
  EXPECT_THAT(all, HasSubstr("GIT_TERMINAL_PROMPT=0"));
  EXPECT_THAT(all, Not(HasSubstr("AWS_")));
}

// Without it, a URL of another kind would be taken for a path, or a hostile one for a host.
TEST(Transports, AreKnownByTheirForm) {
  EXPECT_EQ(transport_of("https://h/x"), Transport::kHttp);
  EXPECT_EQ(transport_of("git@h:x/y"), Transport::kSsh);
  EXPECT_EQ(transport_of("ssh://h/x"), Transport::kSsh);
  EXPECT_EQ(transport_of("/srv/a:b"), Transport::kLocal);
  EXPECT_EQ(transport_of("file:///srv"), Transport::kLocal);
  EXPECT_EQ(transport_of("ext::sh -c x"), Transport::kOther);
  EXPECT_EQ(transport_of("git://h/x"), Transport::kOther);
  EXPECT_EQ(transport_of("name"), Transport::kOther);
}

// Without it, an answer of a server would be read as another branch's commit, or garbage as a commit.
TEST(LsRefs, ReadsAnswersAndNothingElse) {
  std::string id(40, 'a'), other(40, 'b');
  auto packet = [](const std::string& text) {
    char length[5];
    std::snprintf(length, sizeof length, "%04zx", text.size() + 4);
    return length + text;
  };
  std::string answer = packet(id + " HEAD symref-target:refs/heads/trunk\n") + "0000";
  auto head = parse_ls_refs(answer, "");
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->commit, id);
  EXPECT_EQ(head->branch, "trunk");
  answer = packet(other + " refs/heads/main-old\n") + packet(id + " refs/heads/main\n") + "0000";
  EXPECT_EQ(parse_ls_refs(answer, "main")->commit, id);
  answer = packet(other + " refs/tags/v1 peeled:" + id + "\n") + "0000";
  EXPECT_EQ(parse_ls_refs(answer, "v1")->commit, id);
  EXPECT_THROW(parse_ls_refs("0000", "main"), base::NotFoundError);
  EXPECT_EQ(parse_ls_refs("0000", "")->commit, "");
  for (std::string_view bad : {"", "00", "zzzz", "0003", "ffff", "0008abcd0000", "<html>"})
    EXPECT_FALSE(parse_ls_refs(bad, "").has_value()) << bad;
  for (size_t length = 0; length < answer.size(); ++length)
    EXPECT_FALSE(parse_ls_refs(std::string_view(answer).substr(0, length), "v1").has_value());
}

// Without it, a login would be sent to another host than the one it is for.
TEST(Logins, AreForTheirHostOnly) {
  Logins logins("https://u:p%40ss@h.example\nhttp://x:y@h.example:8080/only/this\n# no\n");
  EXPECT_EQ(logins.find("https://H.example/a")->password, "p@ss");
  EXPECT_FALSE(logins.find("http://h.example/a").has_value());
  EXPECT_FALSE(logins.find("https://h.example.evil/a").has_value());
  EXPECT_TRUE(logins.find("http://h.example:8080/only/this").has_value());
  EXPECT_FALSE(logins.find("http://h.example:8080/else").has_value());
  EXPECT_EQ(logins.host_lines(), "https://u:p%40ss@h.example\n")
      << "what is for one path must not go to the whole host";
  std::string url = "https://me:s%3Ac@h/x@y";
  auto login = take_login(url);
  ASSERT_TRUE(login.has_value());
  EXPECT_EQ(login->password, "s:c");
  EXPECT_EQ(url, "https://h/x@y");
}

}  // namespace
}  // namespace millrace::ingest
