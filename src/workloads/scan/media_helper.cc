#include "workloads/scan/media_helper.h"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>

#include "base/error.h"
#include "base/json.h"
#include "workloads/scan/audio_headers.h"

namespace millrace::scan {
namespace {

namespace json = base::json;
using media::Message;

std::optional<Rational> ratio_of(const json::object& object, std::string_view name) {
  const json::array* pair = base::find_array(object, name);
  if (!pair || pair->size() != 2 || !(*pair)[0].is_int64() || !(*pair)[1].is_int64()) return std::nullopt;
  int64_t num = (*pair)[0].get_int64(), den = (*pair)[1].get_int64();
  return num > 0 && den > 0 ? std::optional(reduced(num, den)) : std::nullopt;
}

std::optional<double> real_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value && value->is_double() && value->get_double() > 0 ? std::optional(value->get_double())
                                                                : std::nullopt;
}

void take_text(const json::object& object, std::string_view name, std::string& fact) {
  if (auto text = base::find_string(object, name)) fact = *text;
}

template <typename Number>
void take_number(const json::object& object, std::string_view name, std::optional<Number>& fact) {
  if (auto n = base::find_int(object, name); n && *n > 0) fact = static_cast<Number>(*n);
}

void take_video(const json::object& stream, VideoFacts& facts) {
  if (facts.video_streams++ > 0) return;
  take_text(stream, "codec", facts.codec);
  take_text(stream, "profile", facts.profile);
  take_text(stream, "pixel_format", facts.pixel_format);
  take_text(stream, "chroma", facts.chroma);
  take_text(stream, "primaries", facts.color_primaries);
  take_text(stream, "transfer", facts.color_transfer);
  take_text(stream, "matrix", facts.color_matrix);
  take_text(stream, "range", facts.color_range);
  if (facts.timecode.empty()) take_text(stream, "timecode", facts.timecode);
  take_number(stream, "width", facts.resolution_x);
  take_number(stream, "height", facts.resolution_y);
  take_number(stream, "frames", facts.frame_count);
  take_number(stream, "bit_depth", facts.bit_depth);
  take_number(stream, "rotation", facts.rotation);
  facts.fps = ratio_of(stream, "fps");
  facts.sample_aspect = ratio_of(stream, "sample_aspect");
}

AudioStream audio_of(const json::object& stream) {
  AudioStream audio;
  take_text(stream, "codec", audio.codec);
  take_text(stream, "language", audio.language);
  take_text(stream, "channel_layout", audio.channel_layout);
  take_number(stream, "channels", audio.channels);
  take_number(stream, "sample_rate", audio.sample_rate_hz);
  take_number(stream, "bit_depth", audio.bit_depth);
  take_number(stream, "bit_rate", audio.bit_rate);
  audio.duration_s = real_of(stream, "duration");
  return audio;
}

VideoFacts facts_of(std::string_view text) {
  VideoFacts facts;
  json::object answer;
  try {
    answer = base::parse_json(text).as_object();
  } catch (const std::exception&) {
    throw base::CorruptError("the media helper gave an answer that makes no sense");
  }
  take_text(answer, "container", facts.container);
  take_text(answer, "encoder", facts.encoder);
  take_text(answer, "timecode", facts.timecode);
  take_number(answer, "bit_rate", facts.bit_rate);
  facts.duration_s = real_of(answer, "duration");
  if (const json::array* streams = base::find_array(answer, "streams"))
    for (const json::value& value : *streams) {
      if (!value.is_object()) continue;
      const json::object& stream = value.get_object();
      auto type = base::find_string(stream, "type");
      if (type == "video") take_video(stream, facts);
      if (type == "audio" && facts.audio_streams.size() < 256)
        facts.audio_streams.push_back(audio_of(stream));
      if (type == "subtitle") ++facts.subtitle_streams;
    }
  if (facts.sample_aspect && facts.resolution_x && facts.resolution_y &&
      facts.sample_aspect->num <= INT32_MAX && facts.sample_aspect->den <= INT32_MAX)
    facts.display_aspect = reduced(facts.sample_aspect->num * *facts.resolution_x,
                                   facts.sample_aspect->den * *facts.resolution_y);
  return facts;
}

}  // namespace

std::string find_media_helper() {
  char self[4096];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self);
  std::string folder(self, length > 0 ? static_cast<size_t>(length) : 0);
  folder.resize(std::min(folder.rfind('/'), folder.size()));
  const char* named = std::getenv("MILLRACE_MEDIA");
  for (const std::string& path : {folder + "/millrace-media", folder + "/../libexec/millrace/millrace-media",
                                  std::string(named ? named : "")})
    if (!path.empty() && access(path.c_str(), X_OK) == 0) return path;
  return {};
}

void MediaHelper::start() {
  base::ChildOptions options;
  options.arguments = {program_};
  options.limits = {{RLIMIT_CORE, 0}, {RLIMIT_FSIZE, 0}, {RLIMIT_NOFILE, 32}};
#if !defined(__SANITIZE_ADDRESS__)  // whose shadow is address space too
  options.limits.emplace_back(RLIMIT_AS, limits_.memory_bytes);
#endif
  try {
    child_ = std::make_unique<base::ChildProcess>(options,
                                                  base::ChildProcess::kInput | base::ChildProcess::kOutput);
  } catch (const base::NotFoundError& e) {  // which would read as if the file were not there
    throw base::TransientError(e.what(), kHelperStart);
  }
  jobs_ = 0;
  ++starts_;
}

// Waits on the helper's account.
void MediaHelper::wait_for(int fd, short events) {
  using Clock = std::chrono::steady_clock;
  pollfd wanted{fd, events, 0};
  for (;;) {
    auto before = Clock::now();
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left_).count();
    int ready = poll(&wanted, 1, static_cast<int>(std::clamp<int64_t>(ms, 0, 3'600'000)));
    left_ -= Clock::now() - before;
    if (ready > 0) return;
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) throw base::TransientError("poll failed");
    if (left_ > std::chrono::milliseconds(1)) continue;
    auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(limits_.time).count();
    throw base::CorruptError(
        "the media helper took longer than " + std::to_string(limit) + " ms and was stopped",
        "HelperTimeout");
  }
}

void MediaHelper::ended() {
  // It has closed its side; should it not end by itself, it is ended.
  if (!child_->wait(std::chrono::steady_clock::now() + std::chrono::seconds(1))) child_->kill_group(SIGKILL);
  base::ChildEnd end = child_->end();
  throw base::CorruptError("the media helper failed on it: " + end.text(), "HelperCrash");
}

void MediaHelper::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t done = child_->write_input(bytes);
    if (done >= 0) {
      bytes.remove_prefix(static_cast<size_t>(done));
    } else if (errno == EAGAIN) {
      wait_for(child_->input(), POLLOUT);
    } else if (errno != EINTR) {
      ended();
    }
  }
}

void MediaHelper::read_exactly(char* out, size_t length) {
  while (length > 0) {
    ssize_t got = ::read(child_->output(), out, length);
    if (got > 0) {
      out += got;
      length -= static_cast<size_t>(got);
    } else if (got < 0 && errno == EAGAIN) {
      wait_for(child_->output(), POLLIN);
    } else if (got == 0 || errno != EINTR) {
      ended();
    }
  }
}

MediaHelper::Answer MediaHelper::converse(Message type, std::string_view payload, Source* source) {
  left_ = limits_.time;
  write_all(media::framed(type, payload));
  std::exception_ptr store_error;
  for (;;) {
    char head[media::kHeadBytes];
    read_exactly(head, sizeof head);
    uint32_t length = media::get32(head + 1);
    if (length > media::kMessageMax)
      throw base::CorruptError("the media helper gave an answer that makes no sense");
    Answer answer{static_cast<Message>(head[0]), std::string(length, '\0')};
    read_exactly(answer.payload.data(), length);
    if (answer.type != Message::kWant) {
      if (store_error) std::rethrow_exception(store_error);
      return answer;
    }
    std::string reply;
    try {
      if (length != 12 || !source)
        throw base::CorruptError("the media helper asks for bytes that nobody has");
      uint32_t wanted = std::min(media::get32(answer.payload.data() + 8), media::kWantMax);
      reply = media::framed(Message::kBytes, source->read_some(media::get64(answer.payload.data()), wanted));
    } catch (...) {
      if (!store_error) store_error = std::current_exception();
      reply = media::framed(Message::kRefused, {});
    }
    write_all(reply);
  }
}

MediaHelper::Answer MediaHelper::ask(Message type, std::string_view payload, Source* source) {
  if (!child_ || jobs_ >= limits_.jobs_max) {
    child_.reset();
    start();
  }
  ++jobs_;
  try {
    Answer answer = converse(type, payload, source);
    if (answer.type == Message::kFailed) throw base::CorruptError(answer.payload.substr(0, 500));
    if (answer.type != (type == Message::kProbe ? Message::kAnswer : Message::kPicture))
      throw base::CorruptError("the media helper gave an answer that makes no sense");
    return answer;
  } catch (const base::Error& e) {
    // After an answer of its own the process is as good as new; in the middle of a job it is not.
    if (e.code() == "HelperTimeout" || e.code() == "HelperCrash") child_.reset();
    throw;
  }
}

VideoFacts MediaHelper::probe(Source& source, std::string_view name) {
  try {
    std::string job;
    media::put64(job, source.size());
    job += name.substr(0, 255);
    VideoFacts facts = facts_of(ask(Message::kProbe, job, &source).payload);
    if (facts.video_streams == 0 && facts.audio_streams.empty() && facts.subtitle_streams == 0)
      throw base::CorruptError("no stream in it that FFmpeg knows");
    return facts;
  } catch (const base::Error& error) {
    if (error.kind() != base::ErrorKind::kCorrupt) throw;
    VideoFacts facts;
    facts.status = ReadStatus::kBroken;
    facts.problem = error.what();
    return facts;
  }
}

std::string MediaHelper::thumbnail(Source& source, std::string_view name, unsigned side, unsigned degrees) {
  std::string job;
  media::put64(job, source.size());
  media::put32(job, side);
  media::put32(job, degrees);
  job += name.substr(0, 255);
  return ask(Message::kThumbnail, job, &source).payload;
}

std::string MediaHelper::thumbnail_of_pixels(std::string_view rgba, unsigned width, unsigned height,
                                             unsigned side) {
  std::string job;
  media::put32(job, side);
  media::put32(job, width);
  media::put32(job, height);
  job += rgba;
  if (job.size() > media::kMessageMax)
    throw base::CorruptError("a thumbnail of " + std::to_string(rgba.size()) + " bytes");
  return ask(Message::kPixels, job, nullptr).payload;
}

}  // namespace millrace::scan
