#include "workloads/scan/asf_packets.h"

#include <algorithm>

namespace millrace::scan {
namespace {

constexpr uint64_t kLookedAtMax = 256 * 1024;
constexpr size_t kFramesMax = 120;

// ASF section 5.2: numbers whose width two bits tell.
class Fields {
 public:
  explicit Fields(std::string_view data) : data_(data) {}
  uint32_t number(unsigned type) { return fixed(type == 3 ? 4 : type); }
  uint32_t fixed(unsigned width) {
    uint32_t n = 0;
    if (width > data_.size() - at_) {
      bad_ = true;
      return 0;
    }
    for (unsigned i = 0; i < width; ++i) n |= uint32_t{u8(data_.data() + at_ + i)} << 8 * i;
    at_ += width;
    return n;
  }
  void skip(uint32_t count) {
    bad_ = bad_ || count > data_.size() - at_;
    if (!bad_) at_ += count;
  }
  bool good() const { return !bad_; }
  bool left() const { return at_ < data_.size(); }

 private:
  std::string_view data_;
  size_t at_ = 0;
  bool bad_ = false;
};

void read_packet(std::string_view packet, unsigned stream, std::vector<uint32_t>& times) {
  Fields fields(packet);
  uint32_t flags = fields.fixed(1);
  if (flags & 0x80) {  // error correction data
    fields.skip(flags & 0x0F);
    flags = fields.fixed(1);
  }
  uint32_t widths = fields.fixed(1);
  fields.number(flags >> 5 & 3);
  fields.number(flags >> 1 & 3);
  fields.number(flags >> 3 & 3);
  fields.skip(6);
  uint32_t payloads = 1, length_type = 0;
  if (flags & 1) {
    uint32_t head = fields.fixed(1);
    payloads = head & 0x3F;
    length_type = head >> 6;
  }
  for (; payloads > 0 && fields.good() && fields.left(); --payloads) {
    uint32_t number = fields.fixed(1) & 0x7F;
    fields.number(widths >> 4 & 3);
    uint32_t offset = fields.number(widths >> 2 & 3), replicated = fields.number(widths & 3);
    uint32_t time = 0;
    bool first = offset == 0 && replicated >= 8;
    if (replicated >= 8) {
      fields.skip(4);
      time = fields.fixed(4);
      fields.skip(replicated - 8);
    } else {
      fields.skip(replicated);
    }
    if (fields.good() && first && number == stream && times.size() < kFramesMax) times.push_back(time);
    if (flags & 1) fields.skip(fields.number(length_type));
  }
}

}  // namespace

std::vector<uint32_t> asf_frame_times(MediaBytes& bytes, uint64_t at, uint64_t end, uint32_t packet_bytes,
                                      unsigned stream) {
  std::vector<uint32_t> times;
  if (packet_bytes < 16 || packet_bytes > 64 * 1024) return times;
  uint64_t last = std::min({end, bytes.size(), at + kLookedAtMax});
  for (; at + packet_bytes <= last && times.size() < kFramesMax; at += packet_bytes) {
    bytes.step("ASF packets");
    read_packet(bytes.at(at, packet_bytes, "ASF packet"), stream, times);
  }
  return times;
}

}  // namespace millrace::scan
