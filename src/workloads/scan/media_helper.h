// Files that our own readers do not know, and thumbnails: by FFmpeg, in the program millrace-media. What
// happens there to a file (a crash, a hang, no memory left) costs that file only.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/child_process.h"
#include "media_helper/protocol.h"
#include "workloads/scan/media_type.h"
#include "workloads/scan/source.h"
#include "workloads/scan/video_facts.h"

namespace millrace::scan {

// The code of the TransientError that says that the program cannot be started.
inline constexpr const char* kHelperStart = "HelperStart";

// Where the program is: beside this one, in ../libexec/millrace, or what MILLRACE_MEDIA names. Empty when it
// is nowhere.
std::string find_media_helper();

// One process that does one job after the other; started when the first comes, and anew after a failure or
// many jobs. It has 512 MiB of memory beyond its own libraries, 10 s of processor time a job, no environment,
// no network, and no file but the one it asks this side for. One thread at a time, always the same: the
// process ends with it.
class MediaHelper {
 public:
  struct Limits {
    std::chrono::milliseconds time{15'000};     // of one job, without the time that the store takes
    unsigned jobs_max = 500;                    // of one process
    uint64_t memory_bytes = uint64_t{1} << 30;  // of address space, libraries (about 300 MiB) and all
  };
  explicit MediaHelper(std::string program) : MediaHelper(std::move(program), Limits()) {}
  MediaHelper(std::string program, const Limits& limits) : program_(std::move(program)), limits_(limits) {}

  // As read_video(): what is wrong with the file, or goes wrong with it in there, is in status and problem.
  // Errors of the store pass through; TransientError when the program cannot be started.
  VideoFacts probe(Source& source, std::string_view name);

  // A JPEG of the first picture, its longest side at most `side` pixels, turned clockwise by `degrees`.
  // Throws CorruptError that says why there is none, BudgetError, and what probe() throws.
  std::string thumbnail(Source& source, std::string_view name, unsigned side, unsigned degrees);
  // The same of RGBA pixels, rows from the bottom up.
  std::string thumbnail_of_pixels(std::string_view rgba, unsigned width, unsigned height, unsigned side);

  unsigned starts() const { return starts_; }  // of processes, so far

 private:
  struct Answer {
    media::Message type;
    std::string payload;
  };
  // `source` may be null. Throws as above.
  Answer ask(media::Message type, std::string_view payload, Source* source);
  Answer converse(media::Message type, std::string_view payload, Source* source);
  void start();
  void wait_for(int fd, short events);
  void write_all(std::string_view bytes);
  void read_exactly(char* out, size_t length);
  [[noreturn]] void ended();

  std::string program_;
  Limits limits_;
  std::unique_ptr<base::ChildProcess> child_;
  unsigned jobs_ = 0, starts_ = 0;
  std::chrono::steady_clock::duration left_{};  // of the job's time
};

}  // namespace millrace::scan
