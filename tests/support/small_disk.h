// A small file system of its own, to be filled.
#pragma once

#include <sys/mount.h>

#include <fstream>
#include <string>

#include "tests/support/temporary_folder.h"

namespace millrace::testing {

class SmallDisk {
 public:
  // Needs the right to mount; false without.
  bool mount() {
    mounted_ = ::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=3m") == 0;
    return mounted_;
  }
  ~SmallDisk() {
    if (mounted_) umount2(folder_.path().c_str(), MNT_DETACH);
  }
  std::string path() const { return folder_.path().string(); }
  // Writes until nothing more fits.
  void fill() const {
    std::ofstream file(path() + "/filler", std::ios::app);
    const std::string block(4096, 'f');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())) && file.flush()) {
    }
  }
  void clear() const { std::filesystem::remove(path() + "/filler"); }

 private:
  TemporaryFolder folder_;
  bool mounted_ = false;
};

}  // namespace millrace::testing
