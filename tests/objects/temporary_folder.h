// A private folder for one test, gone with it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace millrace::objects {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "millrace-objects-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string path() const { return path_; }
  // Regular files below `folder`.
  size_t files(const std::string& folder) const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path_ + "/" + folder))
      count += entry.is_regular_file();
    return count;
  }

 private:
  std::string path_;
};

}  // namespace millrace::objects
