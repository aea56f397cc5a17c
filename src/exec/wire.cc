#include "exec/wire.h"

#include <cstring>

#include "base/error.h"

namespace millrace::exec {

FrameWriter::FrameWriter(std::string& out, FrameType type) : out_(out), start_(out.size()) {
  out_.append(sizeof(uint32_t), '\0');
  number(static_cast<uint8_t>(type));
}

FrameWriter::~FrameWriter() {
  uint32_t length = static_cast<uint32_t>(out_.size() - start_ - sizeof(uint32_t));
  std::memcpy(out_.data() + start_, &length, sizeof length);
}

void FrameWriter::text(std::string_view value) {
  number(static_cast<uint32_t>(value.size()));
  out_.append(value);
}

void FrameReader::copy(void* to, size_t count) {
  if (rest_.size() < count) throw base::CorruptError("runner protocol: a frame is too short");
  std::memcpy(to, rest_.data(), count);
  rest_.remove_prefix(count);
}

std::string FrameReader::text() {
  auto size = number<uint32_t>();
  if (rest_.size() < size) throw base::CorruptError("runner protocol: a frame is too short");
  std::string value(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return value;
}

void FrameQueue::append(std::string_view bytes) {
  if (used_ > 0) bytes_.erase(0, used_);
  used_ = 0;
  bytes_.append(bytes);
}

bool FrameQueue::next(Frame& frame) {
  uint32_t length;
  size_t have = bytes_.size() - used_;
  if (have < sizeof length) return false;
  std::memcpy(&length, bytes_.data() + used_, sizeof length);
  if (length == 0 || length > kFrameBytesMax)
    throw base::CorruptError("runner protocol: a frame of " + std::to_string(length) + " bytes");
  if (have < sizeof length + length) return false;
  const char* body = bytes_.data() + used_ + sizeof length;
  frame.type = static_cast<FrameType>(static_cast<uint8_t>(*body));
  frame.payload = std::string_view(body + 1, length - 1);
  used_ += sizeof length + length;
  return true;
}

void write_start(std::string& out, const AttemptSpec& spec, bool plain_process) {
  FrameWriter frame(out, FrameType::kStart);
  frame.number(spec.token);
  frame.number(spec.after);
  frame.number(static_cast<uint8_t>(plain_process));
  frame.number(spec.vcpus);
  frame.number(spec.memory_mib);
  frame.text(spec.image);
  frame.text(spec.working_directory);
  frame.text(spec.log_group);
  frame.text(spec.log_stream);
  frame.number(static_cast<uint32_t>(spec.command.size()));
  for (const std::string& word : spec.command) frame.text(word);
  frame.number(static_cast<uint32_t>(spec.environment.size()));
  for (const auto& [name, value] : spec.environment) {
    frame.text(name);
    frame.text(value);
  }
}

StartRequest read_start(std::string_view payload) {
  FrameReader frame(payload);
  StartRequest request;
  AttemptSpec& spec = request.spec;
  spec.token = frame.number<AttemptToken>();
  spec.after = frame.number<AttemptToken>();
  request.plain_process = frame.number<uint8_t>() != 0;
  spec.vcpus = frame.number<double>();
  spec.memory_mib = frame.number<int64_t>();
  spec.image = frame.text();
  spec.working_directory = frame.text();
  spec.log_group = frame.text();
  spec.log_stream = frame.text();
  for (auto count = frame.number<uint32_t>(); count > 0; --count) spec.command.push_back(frame.text());
  for (auto count = frame.number<uint32_t>(); count > 0; --count) {
    std::string name = frame.text();
    spec.environment.emplace_back(std::move(name), frame.text());
  }
  return request;
}

void write_outcome(std::string& out, const AttemptOutcome& outcome) {
  FrameWriter frame(out, FrameType::kFinished);
  frame.number(outcome.token);
  frame.number(static_cast<uint8_t>(outcome.started | outcome.host_lost << 1 | outcome.out_of_memory << 2 |
                                    outcome.exit_code.has_value() << 3 | outcome.revoked << 4));
  frame.number(static_cast<int32_t>(outcome.exit_code.value_or(0)));
  frame.text(outcome.reason);
  frame.number(outcome.started_at);
  frame.number(outcome.stopped_at);
  frame.number(outcome.user_us);
  frame.number(outcome.system_us);
  frame.number(outcome.rss_bytes_max);
}

AttemptOutcome read_outcome(std::string_view payload) {
  FrameReader frame(payload);
  AttemptOutcome outcome;
  outcome.token = frame.number<AttemptToken>();
  auto flags = frame.number<uint8_t>();
  outcome.started = flags & 1;
  outcome.host_lost = flags & 2;
  outcome.out_of_memory = flags & 4;
  outcome.revoked = flags & 16;
  auto exit_code = frame.number<int32_t>();
  if (flags & 8) outcome.exit_code = exit_code;
  outcome.reason = frame.text();
  outcome.started_at = frame.number<base::TimeMs>();
  outcome.stopped_at = frame.number<base::TimeMs>();
  outcome.user_us = frame.number<int64_t>();
  outcome.system_us = frame.number<int64_t>();
  outcome.rss_bytes_max = frame.number<int64_t>();
  return outcome;
}

}  // namespace millrace::exec
