// One row of the list of repositories (repos.csv).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace millrace::ingest {

// The documented columns under names of their own, and every column as it stood. Texts are bytes from
// outside: show them through workloads::printable().
struct Repository {
  uint64_t row = 0;   // 1-based number among the data rows, whatever lines they span
  uint64_t line = 0;  // where it begins in the file
  std::string clone_url;
  std::vector<std::string> alternate_clone_urls;  // column alternateCloneUrl, also several of that name
  std::string branch;                             // empty: the default branch
  std::string changeset;                          // a commit; empty: the head of the branch
  std::string origin;                             // "github.com"
  std::string path;                               // "organization/name"
  std::string build;        // a command line, or none, auto, maven, npm …; empty: as the job says
  std::string publish_uri;  // where this one goes instead of --publish
  std::vector<std::string> organizations;  // org1 … orgN, the leftmost is the child
  // Every column in the order of the header, with its name as written there: those above and unknown ones.
  std::vector<std::pair<std::string, std::string>> columns;

  // What identifies a repository (origin, path, branch), as one text without ambiguity.
  std::string key() const { return origin + '\n' + path + '\n' + branch; }
};

}  // namespace millrace::ingest
