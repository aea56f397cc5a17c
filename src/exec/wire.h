// What the engine and the runner say to each other: frames of `u32 length, u8 type, payload`, little-endian
// as the machine (both ends are on it), over a unix stream socket. Frames are concatenated: one write may
// carry many.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "exec/executor.h"

namespace millrace::exec {

constexpr uint32_t kWireVersion = 2;
constexpr size_t kFrameBytesMax = 16 << 20;

enum class FrameType : uint8_t {
  kWelcome = 1,  // runner: version, instance, pid, note on limits. Sent at once to whoever connects
  kBusy,         // runner: another engine is connected; the connection is closed
  kAdopt,        // engine: tokens believed to run. Reports flow only after this
  kStart,        // engine: one attempt
  kStop,         // engine: token, grace in ms
  kAcknowledge,  // engine: tokens
  kUnknown,      // runner: token that was believed and is not there
  kStarted,      // runner: token, started_at
  kFinished,     // runner: one outcome
  kAdopted,      // runner: all of the answer to kAdopt has been sent
  kRevoke,       // engine: token
};

// Appends one frame to `out`; the length is filled in on destruction.
class FrameWriter {
 public:
  FrameWriter(std::string& out, FrameType type);
  ~FrameWriter();
  FrameWriter(const FrameWriter&) = delete;
  FrameWriter& operator=(const FrameWriter&) = delete;
  template <typename Number>
  void number(Number value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value);

 private:
  std::string& out_;
  size_t start_;
};

// Reads the payload of one frame. Throws CorruptError when it is shorter than what is asked for.
class FrameReader {
 public:
  explicit FrameReader(std::string_view payload) : rest_(payload) {}
  template <typename Number>
  Number number() {
    Number value;
    copy(&value, sizeof value);
    return value;
  }
  std::string text();
  bool at_end() const { return rest_.empty(); }

 private:
  void copy(void* to, size_t count);
  std::string_view rest_;
};

struct Frame {
  FrameType type;
  std::string_view payload;
};

// Bytes as they come from the socket, given out frame by frame.
class FrameQueue {
 public:
  void append(std::string_view bytes);
  // The next whole frame; its payload lives until the next append(). Throws CorruptError on a length over
  // kFrameBytesMax.
  bool next(Frame& frame);

 private:
  std::string bytes_;
  size_t used_ = 0;
};

// An attempt as sent: `plain_process` when the image does not matter.
struct StartRequest {
  AttemptSpec spec;
  bool plain_process = false;
};

void write_start(std::string& out, const AttemptSpec& spec, bool plain_process);
StartRequest read_start(std::string_view payload);
void write_outcome(std::string& out, const AttemptOutcome& outcome);
AttemptOutcome read_outcome(std::string_view payload);

}  // namespace millrace::exec
