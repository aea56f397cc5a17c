#include "aws/event_stream.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "base/hash.h"

namespace millrace::aws {
namespace {

using Type = EventStreamHeader::Type;

constexpr size_t kPreludeBytes = 12;  // with its checksum
constexpr size_t kChecksumBytes = 4;
constexpr size_t kHeaderValueBytesMax = 32'767;
constexpr size_t kFrameBytesMax =
    kPreludeBytes + kEventHeadersBytesMax + kEventPayloadBytesMax + kChecksumBytes;

// Length of the values of each type; nothing where the value says it.
constexpr std::array<std::optional<size_t>, 10> kValueBytes = {0, 0, 1, 2, 4, 8, std::nullopt, std::nullopt,
                                                               8, 16};

template <typename Number>
void put(std::string& out, Number value) {
  for (size_t i = sizeof value; i-- > 0;) out += static_cast<char>(value >> (8 * i));
}

// `bytes` must have them.
uint32_t get(std::string_view bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

void require(bool condition, const char* what) {
  if (!condition) throw base::InternalError(std::string("an event stream's frame cannot hold ") + what);
}

std::string encode_headers(const std::vector<EventStreamHeader>& headers) {
  std::string out;
  for (const EventStreamHeader& header : headers) {
    require(!header.name.empty() && header.name.size() <= 255, "a header without name");
    const auto& fixed = kValueBytes.at(static_cast<size_t>(header.type));
    require(fixed ? header.value.size() == *fixed : header.value.size() <= kHeaderValueBytesMax,
            "a header's value of that length");
    out += static_cast<char>(header.name.size());
    out += header.name;
    out += static_cast<char>(header.type);
    if (!fixed) put(out, static_cast<uint16_t>(header.value.size()));
    out += header.value;
  }
  require(out.size() <= kEventHeadersBytesMax, "that many headers");
  return out;
}

bool decode_headers(std::string_view bytes, std::vector<EventStreamHeader>& headers) {
  while (!bytes.empty()) {
    const size_t name_bytes = get(bytes, 0, 1);
    if (name_bytes == 0 || bytes.size() < 2 + name_bytes) return false;
    EventStreamHeader header;
    header.name = bytes.substr(1, name_bytes);
    const size_t type = get(bytes, 1 + name_bytes, 1);
    if (type >= kValueBytes.size()) return false;
    header.type = static_cast<Type>(type);
    bytes.remove_prefix(2 + name_bytes);
    size_t value_bytes = 0;
    if (kValueBytes[type]) {
      value_bytes = *kValueBytes[type];
    } else {
      if (bytes.size() < 2) return false;
      value_bytes = get(bytes, 0, 2);
      bytes.remove_prefix(2);
      if (value_bytes > kHeaderValueBytesMax) return false;
    }
    if (bytes.size() < value_bytes) return false;
    header.value = bytes.substr(0, value_bytes);
    bytes.remove_prefix(value_bytes);
    headers.push_back(std::move(header));
  }
  return true;
}

}  // namespace

std::string encode_event_stream(const EventStreamMessage& message) {
  require(message.payload.size() <= kEventPayloadBytesMax, "that much payload");
  const std::string headers = encode_headers(message.headers);
  std::string out;
  out.reserve(kPreludeBytes + headers.size() + message.payload.size() + kChecksumBytes);
  put(out, static_cast<uint32_t>(kPreludeBytes + headers.size() + message.payload.size() + kChecksumBytes));
  put(out, static_cast<uint32_t>(headers.size()));
  put(out, base::crc32(out));
  out += headers;
  out += message.payload;
  put(out, base::crc32(out));
  return out;
}

EventStreamState decode_event_stream(std::string_view bytes, EventStreamMessage& message, size_t& used) {
  if (bytes.size() < kPreludeBytes) return EventStreamState::kMoreNeeded;
  const size_t total = get(bytes, 0, 4), header_bytes = get(bytes, 4, 4);
  if (base::crc32(bytes.substr(0, 8)) != get(bytes, 8, 4)) return EventStreamState::kDamaged;
  if (total > kFrameBytesMax || header_bytes > kEventHeadersBytesMax ||
      total < kPreludeBytes + header_bytes + kChecksumBytes)
    return EventStreamState::kDamaged;
  if (bytes.size() < total) return EventStreamState::kMoreNeeded;
  if (base::crc32(bytes.substr(0, total - kChecksumBytes)) != get(bytes, total - kChecksumBytes, 4))
    return EventStreamState::kDamaged;
  EventStreamMessage read;
  if (!decode_headers(bytes.substr(kPreludeBytes, header_bytes), read.headers))
    return EventStreamState::kDamaged;
  read.payload =
      bytes.substr(kPreludeBytes + header_bytes, total - kPreludeBytes - header_bytes - kChecksumBytes);
  if (read.payload.size() > kEventPayloadBytesMax) return EventStreamState::kDamaged;
  message = std::move(read);
  used = total;
  return EventStreamState::kWhole;
}

EventStreamMessage event_stream_event(std::string_view type, std::string_view content_type,
                                      std::string payload) {
  return {{{":event-type", Type::kString, std::string(type)},
           {":content-type", Type::kString, std::string(content_type)},
           {":message-type", Type::kString, "event"}},
          std::move(payload)};
}

EventStreamMessage event_stream_exception(std::string_view type, std::string_view content_type,
                                          std::string payload) {
  return {{{":exception-type", Type::kString, std::string(type)},
           {":content-type", Type::kString, std::string(content_type)},
           {":message-type", Type::kString, "exception"}},
          std::move(payload)};
}

}  // namespace millrace::aws
