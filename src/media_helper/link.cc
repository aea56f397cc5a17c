#include "media_helper/link.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

extern "C" {
#include <libavutil/error.h>
}

namespace millrace::media {
namespace {

constexpr int kExitProtocol = 3;

bool read_fully(char* out, size_t length) {
  while (length > 0) {
    ssize_t got = ::read(STDIN_FILENO, out, length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    out += got;
    length -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

bool receive(Message& type, std::string& payload) {
  char head[kHeadBytes];
  if (!read_fully(head, sizeof head)) return false;
  uint32_t length = get32(head + 1);
  if (length > kMessageMax) std::_Exit(kExitProtocol);
  type = static_cast<Message>(head[0]);
  payload.resize(length);
  return read_fully(payload.data(), length);
}

void send(Message type, std::string_view payload) {
  std::string bytes = framed(type, payload);
  for (std::string_view rest = bytes; !rest.empty();) {
    ssize_t done = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) std::_Exit(kExitProtocol);  // the scan has gone
    rest.remove_prefix(static_cast<size_t>(done));
  }
}

int RemoteFile::read(uint8_t* out, int length) {
  if (refused) return AVERROR(EIO);
  if (at >= size || length <= 0) return AVERROR_EOF;
  uint32_t wanted =
      static_cast<uint32_t>(std::min<uint64_t>({static_cast<uint64_t>(length), kWantMax, size - at}));
  std::string request;
  put64(request, at);
  put32(request, wanted);
  send(Message::kWant, request);
  Message type{};
  std::string bytes;
  if (!receive(type, bytes)) std::_Exit(0);
  if (type != Message::kBytes || bytes.size() > wanted) {
    refused = true;
    return AVERROR(EIO);
  }
  if (bytes.empty()) return AVERROR_EOF;
  std::memcpy(out, bytes.data(), bytes.size());
  at += bytes.size();
  return static_cast<int>(bytes.size());
}

}  // namespace millrace::media
