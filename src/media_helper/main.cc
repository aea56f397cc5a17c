// millrace-media: reads rare media and makes thumbnails with FFmpeg's libraries, for `millrace scan`. A
// program of its own so that what those libraries do with hostile files (crash, hang, swallow memory) costs
// one file, and so that their licence does not bind the scan. Not meant to be started by hand.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "media_helper/link.h"
#include "media_helper/media_file.h"
#include "media_helper/probe.h"
#include "media_helper/thumbnail.h"

extern "C" {
#include <libavutil/log.h>
}

namespace millrace::media {
namespace {

constexpr rlim_t kCpuSeconds = 10;  // of one job

// SIGXCPU ends a job that computes for ever, even if the scan were not there to do it.
void limit_cpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  rlimit limit{};
  getrlimit(RLIMIT_CPU, &limit);
  limit.rlim_cur = static_cast<rlim_t>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + 1 + kCpuSeconds;
  if (limit.rlim_max != RLIM_INFINITY && limit.rlim_cur > limit.rlim_max) limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_CPU, &limit);
}

void work(Message type, const std::string& job) {
  switch (type) {
    case Message::kProbe:
      if (job.size() < 8) throw MediaError("not a job");
      return send(Message::kAnswer, probe(get64(job.data()), job.substr(8)));
    case Message::kThumbnail:
      if (job.size() < 16) throw MediaError("not a job");
      return send(Message::kPicture,
                  thumbnail(get64(job.data()), job.substr(16), static_cast<int>(get32(job.data() + 8)),
                            static_cast<int>(get32(job.data() + 12))));
    case Message::kPixels:
      if (job.size() < 12) throw MediaError("not a job");
      return send(
          Message::kPicture,
          thumbnail_of_pixels(std::string_view(job).substr(12), static_cast<int>(get32(job.data() + 4)),
                              static_cast<int>(get32(job.data() + 8)), static_cast<int>(get32(job.data()))));
    default:
      throw MediaError("not a job");
  }
}

int run() {
  std::signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  av_log_set_level(AV_LOG_QUIET);
  Message type{};
  std::string job;
  while (receive(type, job)) {
    limit_cpu();
    try {
      work(type, job);
    } catch (const MediaError& e) {
      send(Message::kFailed, e.what());
    } catch (const std::bad_alloc&) {
      send(Message::kFailed, "not enough memory");
    }
  }
  return 0;
}

}  // namespace
}  // namespace millrace::media

int main(int argc, char**) {
  if (argc > 1 || isatty(STDIN_FILENO)) {
    std::fputs("millrace-media is started by `millrace scan`, which finds it beside itself.\n", stderr);
    return 2;
  }
  return millrace::media::run();
}
