// Frames of application/vnd.amazon.eventstream, in which AWS's services send events over one response: total
// length, length of the headers, CRC-32 of both, headers, payload, CRC-32 of all before (big endian). Facts:
// Smithy 2.0, "Amazon Event Stream specification".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::aws {

inline constexpr size_t kEventHeadersBytesMax = 128 << 10;
inline constexpr size_t kEventPayloadBytesMax = 24 << 20;

struct EventStreamHeader {
  enum class Type : uint8_t {
    kTrue,
    kFalse,
    kByte,
    kShort,
    kInteger,
    kLong,
    kBytes,
    kString,
    kTimestamp,  // 64 bits of milliseconds
    kUuid,       // 16 bytes
  };
  std::string name;  // 1 to 255 bytes
  Type type = Type::kString;
  std::string value;  // as it travels: numbers in big endian; kBytes and kString at most 32767 bytes
  bool operator==(const EventStreamHeader&) const = default;
};

struct EventStreamMessage {
  std::vector<EventStreamHeader> headers;
  std::string payload;
  bool operator==(const EventStreamMessage&) const = default;
};

// Throws InternalError for what no frame can hold: a bug of the caller.
std::string encode_event_stream(const EventStreamMessage& message);

enum class EventStreamState { kWhole, kMoreNeeded, kDamaged };
// Reads the frame at the beginning of `bytes` into `message`, and how long it is into `used`, when it is
// whole.
EventStreamState decode_event_stream(std::string_view bytes, EventStreamMessage& message, size_t& used);

// The messages that services send: an event, and the exception that ends a stream.
EventStreamMessage event_stream_event(std::string_view type, std::string_view content_type,
                                      std::string payload);
EventStreamMessage event_stream_exception(std::string_view type, std::string_view content_type,
                                          std::string payload);

}  // namespace millrace::aws
