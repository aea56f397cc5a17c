#include "aws/event_stream.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "base/hash.h"

namespace millrace::aws {
namespace {

using Type = EventStreamHeader::Type;

EventStreamMessage random_message(std::mt19937_64& random) {
  auto bytes = [&](size_t count) {
    std::string out;
    while (out.size() < count) out += static_cast<char>(random());
    return out;
  };
  EventStreamMessage message;
  for (unsigned n = random() % 5; n-- > 0;) {
    EventStreamHeader header;
    header.name = bytes(1 + random() % (random() % 8 == 0 ? 255 : 20));
    header.type = static_cast<Type>(random() % 10);
    constexpr int kBytes[] = {0, 0, 1, 2, 4, 8, -1, -1, 8, 16};
    const int fixed = kBytes[static_cast<size_t>(header.type)];
    header.value =
        bytes(fixed >= 0 ? static_cast<size_t>(fixed) : random() % (random() % 8 == 0 ? 32'768 : 40));
    message.headers.push_back(std::move(header));
  }
  message.payload = bytes(random() % (random() % 8 == 0 ? 70'000 : 200));
  return message;
}

// Without this: a client written against AWS cannot read our frames. The bytes are those of the published
// test vectors (an empty message; one header and a JSON payload).
TEST(EventStream, PublishedVectors) {
  EXPECT_EQ(base::hex(encode_event_stream({})), "000000100000000005c248eb7d98c8ff");
  const EventStreamMessage json{{{"content-type", Type::kString, "application/json"}}, "{'foo':'bar'}"};
  EXPECT_EQ(base::hex(encode_event_stream(json)),
            "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"
            "7b27666f6f273a27626172277d8d9c08b1");
}

// Without this: something that was encoded is not read back, or a frame that came in pieces is taken too
// early.
TEST(EventStream, RoundTripAtEverySplit) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 300; ++i) {
    const EventStreamMessage message = random_message(random);
    const std::string frame = encode_event_stream(message);
    EventStreamMessage read;
    size_t used = 0;
    ASSERT_EQ(decode_event_stream(frame + "next", read, used), EventStreamState::kWhole);
    ASSERT_EQ(used, frame.size());
    ASSERT_EQ(read, message);
    for (int cut = 0; cut < 20; ++cut)
      ASSERT_EQ(decode_event_stream(std::string_view(frame).substr(0, random() % frame.size()), read, used),
                EventStreamState::kMoreNeeded);
  }
}

// Without this: a bit that was turned over on the way goes unseen, or leads out of the frame.
TEST(EventStream, DamageIsSeen) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 3000; ++i) {
    std::string frame = encode_event_stream(random_message(random));
    frame[random() % frame.size()] ^= static_cast<char>(1 << random() % 8);
    EventStreamMessage read;
    size_t used = 0;
    ASSERT_EQ(decode_event_stream(frame, read, used), EventStreamState::kDamaged);
  }
  // Headers that lie, under right checksums.
  const EventStreamMessage message{{{"name", Type::kString, "value"}}, "payload"};
  for (int i = 0; i < 3000; ++i) {
    std::string frame = encode_event_stream(message);
    frame[12 + random() % 12] = static_cast<char>(random());
    auto put = [&](size_t at, uint32_t crc) {
      for (size_t k = 0; k < 4; ++k) frame[at + k] = static_cast<char>(crc >> (24 - 8 * k));
    };
    put(frame.size() - 4, base::crc32(std::string_view(frame).substr(0, frame.size() - 4)));
    EventStreamMessage read;
    size_t used = 0;
    if (decode_event_stream(frame, read, used) == EventStreamState::kWhole) {
      ASSERT_EQ(encode_event_stream(read), frame);
    }
  }
}

// Without this: a frame that no client takes is sent.
TEST(EventStream, Limits) {
  EXPECT_THROW(encode_event_stream({{}, std::string(kEventPayloadBytesMax + 1, 'x')}), base::InternalError);
  EXPECT_THROW(encode_event_stream({{{"", Type::kString, "x"}}, ""}), base::InternalError);
  EXPECT_THROW(encode_event_stream({{{"n", Type::kString, std::string(32'768, 'x')}}, ""}),
               base::InternalError);
  EXPECT_THROW(encode_event_stream({{{"n", Type::kLong, "short"}}, ""}), base::InternalError);
}

}  // namespace
}  // namespace millrace::aws
