// Netpbm: PBM, PGM, PPM (text and binary), PAM; PFM of floats.
#include <algorithm>
#include <cmath>

#include "base/strings.h"
#include "workloads/scan/image_formats.h"

namespace millrace::scan {
namespace {

constexpr size_t kHeaderMax = 16 * 1024;

// The words of a header; comments reach from # to the end of their line.
class Words {
 public:
  explicit Words(std::string_view head) : head_(head) {}
  std::string_view next() {
    while (at_ < head_.size()) {
      char c = head_[at_];
      if (c == '#') {
        at_ = std::min(head_.find('\n', at_), head_.size());
      } else if (is_blank(c)) {
        ++at_;
      } else {
        size_t start = at_;
        while (at_ < head_.size() && !is_blank(head_[at_]) && head_[at_] != '#') ++at_;
        return head_.substr(start, at_ - start);
      }
    }
    throw base::CorruptError("truncated: the PNM header ends at offset " + std::to_string(head_.size()));
  }
  uint32_t number(const char* what) {
    std::string_view word = next();
    std::optional<uint32_t> n = base::parse_number<uint32_t>(word);
    if (!n) corrupt(std::string("no number for the ") + what + " of the PNM", at_ - word.size());
    return *n;
  }
  // The rest of the line.
  std::string_view line() {
    size_t end = std::min(head_.find('\n', at_), head_.size());
    std::string_view rest = head_.substr(at_, end - at_);
    at_ = end;
    return base::trim(rest);
  }
  size_t offset() const { return at_; }

 private:
  static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  std::string_view head_;
  size_t at_ = 2;
};

unsigned bits_of(uint32_t maximum) { return maximum < 256 ? 8 : 16; }

void set_maximum(ImageFacts& facts, uint32_t maximum, uint64_t at) {
  if (maximum == 0 || maximum > 65535) corrupt("PNM with a maximum of " + std::to_string(maximum), at);
  facts.bit_depth = maximum == 1 ? 1 : bits_of(maximum);
  facts.pixel_type = unsigned_type(*facts.bit_depth);
}

void set_channels(ImageFacts& facts, uint32_t channels, uint64_t at) {
  if (channels == 0 || channels > 65535) corrupt("PAM with " + std::to_string(channels) + " channels", at);
  static constexpr const char* kModes[] = {"L", "LA", "RGB", "RGBA"};
  facts.channels = channels;
  facts.color_mode = channels <= 4 ? kModes[channels - 1] : "multi";
  facts.has_alpha = channels == 2 || channels == 4;
}

void read_pam(Words& words, MediaBytes& bytes, ImageFacts& facts) {
  uint32_t width = 0, height = 0, depth = 0, maximum = 0;
  std::string type;
  for (std::string_view word = words.next(); word != "ENDHDR"; word = words.next()) {
    if (word == "WIDTH") width = words.number("width");
    if (word == "HEIGHT") height = words.number("height");
    if (word == "DEPTH") depth = words.number("depth");
    if (word == "MAXVAL") maximum = words.number("maximum");
    if (word == "TUPLTYPE") type = clean_text(words.line(), 64);
  }
  set_resolution(facts, width, height, words.offset());
  set_channels(facts, depth, words.offset());
  set_maximum(facts, maximum, words.offset());
  if (type == "BLACKANDWHITE") facts.color_mode = "1";
  if (!type.empty()) facts.has_alpha = type.ends_with("_ALPHA");
  check_end(words.offset() + 1 + packed_bytes(width, height, uint64_t{depth} * bits_of(maximum)),
            bytes.size(), "PAM pixels");
}

void read_pfm(Words& words, unsigned channels, MediaBytes& bytes, ImageFacts& facts) {
  uint32_t width = words.number("width"), height = words.number("height");
  set_resolution(facts, width, height, 3);
  set_channels(facts, channels, 0);
  facts.bit_depth = 32;
  facts.pixel_type = "float";
  std::string_view scale = words.next();
  std::optional<double> value = base::parse_number<double>(scale);
  if (!value || *value == 0 || !std::isfinite(*value))
    corrupt("no scale in the PFM", words.offset() - scale.size());
  check_end(words.offset() + 1 + packed_bytes(width, height, uint64_t{channels} * 32), bytes.size(),
            "PFM pixels");
}

}  // namespace

void read_pnm(MediaBytes& bytes, ImageFacts& facts) {
  std::string head(bytes.some(0, kHeaderMax, "PNM header"));
  if (head.size() < 3 || head[0] != 'P') corrupt("not a PNM signature", 0);
  Words words(head);
  char kind = head[1];
  facts.compression = "none";
  if (kind == 'F' || kind == 'f') {
    unsigned channels = kind == 'f' ? 1 : 3;
    if (head[2] == '4') channels = 4, words.next();
    return read_pfm(words, channels, bytes, facts);
  }
  if (kind == '7') return read_pam(words, bytes, facts);
  if (kind < '1' || kind > '6') corrupt("not a PNM signature", 0);
  unsigned form = static_cast<unsigned>(kind - '1') % 3;  // bits, grey, colour
  bool text = kind <= '3';
  uint32_t width = words.number("width"), height = words.number("height");
  set_resolution(facts, width, height, 2);
  set_channels(facts, form == 2 ? 3 : 1, 0);
  uint32_t maximum = form == 0 ? 1 : words.number("maximum");
  set_maximum(facts, maximum, words.offset());
  if (form == 0) facts.color_mode = "1";
  uint64_t least = 0;
  if (text)  // a digit and, but for bits, a blank for each sample
    least = packed_bytes(width, height, form == 0 ? 8 : *facts.channels * 16) - (form == 0 ? 0 : 1);
  else if (form == 0)
    least = packed_bytes((uint64_t{width} + 7) / 8, height, 8);
  else
    least = packed_bytes(width, height, *facts.channels * bits_of(maximum));
  check_end(words.offset() + 1 + least, bytes.size(), "PNM pixels");
}

}  // namespace millrace::scan
