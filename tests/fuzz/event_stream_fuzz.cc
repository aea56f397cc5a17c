// libFuzzer entry: bytes of an event stream, read as frames. What is read as a frame is written as the same
// bytes again; with right checksums put in, also what the fuzzer cannot guess is reached.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "aws/event_stream.h"
#include "base/hash.h"

namespace {

void put(std::string& frame, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) frame[at + i] = static_cast<char>(value >> (24 - 8 * i));
}

void read(std::string_view bytes) {
  using namespace millrace::aws;
  EventStreamMessage message;
  size_t used = 0;
  while (decode_event_stream(bytes, message, used) == EventStreamState::kWhole) {
    if (encode_event_stream(message) != bytes.substr(0, used)) __builtin_trap();
    bytes.remove_prefix(used);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string frame(reinterpret_cast<const char*>(data), size);
  read(frame);
  if (frame.size() < 16) return 0;
  put(frame, 0, static_cast<uint32_t>(frame.size()));
  frame[4] = frame[5] = 0;  // headers of less than 64 KiB
  put(frame, 8, millrace::base::crc32(std::string_view(frame).substr(0, 8)));
  put(frame, frame.size() - 4, millrace::base::crc32(std::string_view(frame).substr(0, frame.size() - 4)));
  read(frame);
  return 0;
}
