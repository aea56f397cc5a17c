// The program's end of the talk: standard input and output, blocking.
#pragma once

#include <string>
#include <string_view>

#include "media_helper/protocol.h"

namespace millrace::media {

// The next message; false when the scan has gone. Exits the program on what makes no sense.
bool receive(Message& type, std::string& payload);
void send(Message type, std::string_view payload);

// A file of the scan's as FFmpeg reads it. One at a time.
struct RemoteFile {
  uint64_t size = 0;
  uint64_t at = 0;
  bool refused = false;
  // As AVIOContext wants it: bytes read, or a negative error.
  int read(uint8_t* out, int length);
};

}  // namespace millrace::media
