// Trees with everything in them that trees of strangers have, on disk, and what two of them differ in.
#pragma once

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace millrace::ingest {

inline void write_file(const std::string& path, const std::string& content, bool executable = false) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file << content;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
  chmod(path.c_str(), executable ? 0755 : 0644);
}

inline std::string read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string shell(const std::string& command) {
  std::string out;
  FILE* pipe = popen(("exec 2>&1; " + command).c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen");
  char buffer[4096];
  size_t got;
  while ((got = fread(buffer, 1, sizeof buffer, pipe)) > 0) out.append(buffer, got);
  const int status = pclose(pipe);
  if (status != 0)
    throw std::runtime_error(command + "\nexit " + std::to_string(WEXITSTATUS(status)) + "\n" + out);
  return out;
}

// `folder` must not be there yet. The same for the same seed.
inline void make_random_tree(const std::string& folder, uint64_t seed) {
  std::mt19937_64 random(seed);
  auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  static const std::vector<std::string> kNames = {
      "a",         "a.b",    "a-b", "A",           "src",   "Ünïcode",    "lat\xe9",
      "new\nline", " blank", "-r",  "back\\slash", "x\ty",  "con",        "\xff\xfe",
      "日本",      "~",      "git", ".gitx",       "aux.c", "\x1b[31mred"};
  std::filesystem::create_directories(folder);
  std::vector<std::string> folders = {folder};
  for (int i = 0; i < 60; ++i) {
    std::string name = kNames[below(kNames.size())];
    if (below(3) == 0) name += std::to_string(i);
    if (below(10) == 0) name += std::string(150 + below(90), 'n');
    const std::string path = folders[below(folders.size())] + '/' + name;
    if (std::filesystem::symlink_status(path).type() != std::filesystem::file_type::not_found) continue;
    switch (below(6)) {
      case 0:
        if (path.size() - folder.size() < 3000) {
          std::filesystem::create_directory(path);
          folders.push_back(path);
        }
        break;
      case 1: {
        static const std::vector<std::string> kTargets = {"/etc/passwd", "../../../../outside", "nothing",
                                                          ".", "a"};
        const std::string target = below(4) == 0 ? std::string(101 + below(200), 't') : kTargets[below(5)];
        std::filesystem::create_symlink(target, path);
        break;
      }
      default: {
        static const std::vector<size_t> kSizes = {0, 1, 511, 512, 513, 10'000, 200'000};
        std::string content(kSizes[below(kSizes.size())], '\0');
        for (char& c : content) c = static_cast<char>(below(5) == 0 ? below(256) : 'a' + below(26));
        write_file(path, content, below(3) == 0);
      }
    }
  }
}

// path -> what is there, without empty folders and .git.
inline std::map<std::string, std::string> contents_of(const std::string& folder) {
  std::map<std::string, std::string> found;
  auto at = std::filesystem::recursive_directory_iterator(folder);
  for (; at != std::filesystem::recursive_directory_iterator(); ++at) {
    const std::string path = at->path().lexically_relative(folder).string();
    if (at->path().filename() == ".git") {
      at.disable_recursion_pending();
      continue;
    }
    if (at->is_symlink())
      found[path] = "-> " + std::filesystem::read_symlink(at->path()).string();
    else if (at->is_directory())
      continue;
    else {
      struct stat status{};
      lstat(at->path().c_str(), &status);
      found[path] = ((status.st_mode & 0100) != 0 ? "x " : "f ") + read_whole(at->path().string());
    }
  }
  return found;
}

inline std::string git(const std::string& folder, const std::string& words) {
  return shell(
      "git -C '" + folder +
      "' -c user.name=T -c user.email=t@example.com -c core.autocrlf=false -c core.quotePath=false " + words);
}

}  // namespace millrace::ingest
