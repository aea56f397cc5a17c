// How many durable writes a second the disk takes: append 4 KiB, fdatasync, again. Prints "per_s N".
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "fsync_loop FILE SECONDS\n");
    return 2;
  }
  int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  std::string block(4096, 'x');
  auto now = [] {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
  };
  double start = now(), end = start + std::atof(argv[2]);
  long count = 0;
  while (now() < end) {
    if (write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size()) || fdatasync(fd) != 0) {
      std::perror(argv[1]);
      return 1;
    }
    ++count;
  }
  std::printf("per_s %.0f\n", static_cast<double>(count) / (now() - start));
  unlink(argv[1]);
  return 0;
}
