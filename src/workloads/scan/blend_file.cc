#include "workloads/scan/blend_file.h"

#include <algorithm>

namespace millrace::scan {
namespace {

constexpr size_t kDnaBytesMax = size_t{2} << 20;  // 5.2's has about 250 KiB
constexpr size_t kStructBytesMax = size_t{64}
                                   << 10;  // of one structure; the largest, Scene, has about 10 KiB
constexpr size_t kLargeDataBytes = size_t{64} << 10;  // pixels and the like: only the beginning is of use
constexpr size_t kLargeDataKeep = 1024;
constexpr size_t kRenderInfoBytesMax = 1024;
constexpr size_t kRenderInfosMax = 10'000;
constexpr int kThumbnailSideMax = 4096;
constexpr uint64_t kThumbnailKeptMax = 4 << 20;  // bytes

}  // namespace

// What of the blocks of one datablock type is worth remembering.
struct BlendFile::KeepRule {
  size_t id_bytes = 0;       // of the ID block itself; 0 = do not index it
  uint32_t data_blocks = 0;  // how many of the DATA blocks behind it
  bool essential = false;    // may use the last quarter of the memory too
};

BlendFile::KeepRule BlendFile::keep_rule(std::string_view code) {
  static constexpr std::string_view kWhole[] = {"SC", "LI", "IM", "SO", "VF", "MC", "CF", "VO"};
  static constexpr std::string_view kNothing[] = {"WM", "SR", "SN", "WS", "ID", "IP"};
  if (std::ranges::find(kWhole, code) != std::end(kWhole)) return {kStructBytesMax, UINT32_MAX, true};
  if (std::ranges::find(kNothing, code) != std::end(kNothing)) return {};
  if (code == "GLOB") return {4096, 0, true};
  if (code == "OB") return {4096, UINT32_MAX, false};
  if (code == "ME") return {4096, 0, false};
  if (code == "TX")
    return {512, 1, true};  // its path is written right behind it, the lines of text after that
  return {512, 0, false};   // name and asset mark
}

BlendFile::BlendFile(BlendBytes& bytes, const BlendLimits& limits, const BlendClock& clock)
    : bytes_(bytes), limits_(limits), clock_(clock) {
  size_t first = BlendHeader::kSizeMax;
  if (bytes.size()) first = std::min<uint64_t>(first, *bytes.size());
  header_ = parse_blend_header(bytes_.read(0, first));
  if (header_.unsupported) {
    note("format " + std::to_string(header_.format) + " with a header of " + std::to_string(header_.size) +
         " bytes is newer than this reader");
    return;
  }
  // The catalogue may be whole in a file that ends or breaks behind it.
  for (void (BlendFile::*step)() : {&BlendFile::scan, &BlendFile::read_dna}) {
    try {
      (this->*step)();
    } catch (const base::Error& error) {
      if (error.kind() != base::ErrorKind::kCorrupt) throw;
      note(error.what());
    }
  }
  if (!dna_) note("truncated: no structure catalogue (DNA1)");
  if (!ended_) note("truncated: no end block (ENDB)");
}

void BlendFile::note(const std::string& problem) {
  if (problem_.empty()) problem_ = problem;
}

void BlendFile::scan() {
  size_t head_size = blend_block_head_size(header_);
  std::optional<uint64_t> size = bytes_.size();
  uint64_t at = header_.size;
  KeepRule rule;
  for (uint64_t seen = 0;; ++seen) {
    if (seen >= limits_.blocks_max) throw BudgetError("more than " + std::to_string(seen) + " blocks");
    if (seen % 1024 == 0) clock_.check();
    // ENDB may be written without the rest of its head by other programs.
    if (size && *size - at < head_size && *size - at >= 4 && bytes_.read(at, 4) == "ENDB") {
      ended_ = true;
      return;
    }
    BlendBlock block = parse_blend_block(header_, bytes_.read(at, head_size), at);
    if (block.code_text() == "ENDB") {
      ended_ = true;
      return;
    }
    if (size && *size - block.offset < block.length)
      throw base::CorruptError("truncated: block " + std::string(block.code_text()) + " at offset " +
                               std::to_string(at) + " has " + std::to_string(block.length) + " bytes, " +
                               std::to_string(*size - block.offset) + " are left");
    take_block(block, rule);
    at = block.offset + block.length;
  }
}

void BlendFile::take_block(const BlendBlock& block, KeepRule& rule) {
  std::string_view code = block.code_text();
  if (code == "DATA") {
    if (owner_ == UINT32_MAX || owner_data_left_ == 0) return;
    --owner_data_left_;
    index_block(block, block.length > kLargeDataBytes ? kLargeDataKeep : block.length, rule.essential);
    return;
  }
  auto counted = counts_.find(code);
  if (counted == counts_.end()) {
    // Codes are few; a hostile file could invent millions.
    if (counts_.size() < 1000) counts_.emplace(code, 1);
  } else {
    ++counted->second;
  }
  owner_ = UINT32_MAX;
  if (code == "DNA1") {
    if (block.length > kDnaBytesMax)
      throw base::CorruptError("structure catalogue (DNA1) of " + std::to_string(block.length) +
                               " bytes at offset " + std::to_string(block.offset));
    if (block.length > 0 && dna_block_.empty()) dna_block_ = bytes_.read(block.offset, block.length);
  } else if (code == "REND") {
    if (block.length < 8 || render_infos_.size() >= kRenderInfosMax) return;
    std::string bytes(bytes_.read(block.offset, std::min<uint64_t>(block.length, kRenderInfoBytesMax)));
    BlendRenderInfo info;
    info.frame_start = static_cast<int32_t>(header_.layout.number(bytes, 0, 4));
    info.frame_end = static_cast<int32_t>(header_.layout.number(bytes, 4, 4));
    info.scene = bytes.substr(8, bytes.find('\0', 8) - 8);
    render_infos_.push_back(std::move(info));
  } else if (code == "TEST") {
    if (block.length < 8) return;
    std::string_view bytes = bytes_.read(block.offset, 8);
    uint64_t width = header_.layout.number(bytes, 0, 4), height = header_.layout.number(bytes, 4, 4);
    if (width > kThumbnailSideMax || height > kThumbnailSideMax || width * height * 4 != block.length - 8)
      return;
    if (limits_.keep_thumbnail && block.length <= kThumbnailKeptMax)
      thumbnail_rgba_ = bytes_.read(block.offset, block.length).substr(8);
    thumbnail_width_ = static_cast<int>(width);
    thumbnail_height_ = static_cast<int>(height);
  } else if (code.size() == 2 || code == "GLOB") {
    rule = keep_rule(code);
    if (rule.id_bytes == 0) return;
    uint32_t index = static_cast<uint32_t>(blocks_.size());
    owner_ = index;  // before index_block, which stores it
    owner_data_left_ = rule.data_blocks;
    index_block(block, std::min<uint64_t>(block.length, rule.id_bytes), rule.essential);
    if (blocks_.size() == index) {  // the index is full
      owner_ = UINT32_MAX;
      return;
    }
    by_code_[std::string(code)].push_back(index);
    ids_.emplace(block.address, index);
  }
}

void BlendFile::index_block(const BlendBlock& block, size_t keep_bytes, bool essential) {
  if (blocks_.size() >= limits_.indexed_blocks_max) {
    note("more than " + std::to_string(limits_.indexed_blocks_max) +
         " blocks of interest: the rest was only counted");
    return;
  }
  uint32_t index = static_cast<uint32_t>(blocks_.size());
  blocks_.push_back(block);
  blocks_.back().owner = owner_;
  if (bytes_.random_access() || keep_bytes == 0) return;
  // A stream passes once, before the catalogue at its end says what the bytes mean: keep what may be asked
  // for.
  uint64_t room = essential ? limits_.kept_bytes_max : limits_.kept_bytes_max / 4 * 3;
  if (kept_bytes_ + keep_bytes > room) {
    note("compressed without random access and too large to remember: facts of some datablocks are missing");
    return;
  }
  std::string& kept = kept_[index];
  kept = bytes_.read(block.offset, keep_bytes);
  kept_bytes_ += kept.size();
}

void BlendFile::read_dna() { dna_ = std::make_unique<BlendDna>(std::move(dna_block_), header_.layout); }

int64_t BlendFile::count(std::string_view code) const {
  auto it = counts_.find(code);
  return it == counts_.end() ? 0 : it->second;
}

const std::vector<uint32_t>& BlendFile::of_code(std::string_view code) const {
  static const std::vector<uint32_t> kNone;
  auto it = by_code_.find(code);
  return it == by_code_.end() ? kNone : it->second;
}

std::string BlendFile::content(uint32_t index, size_t bytes_max) {
  const BlendBlock& block = blocks_[index];
  size_t wanted = std::min<uint64_t>(block.length, bytes_max);
  clock_.check();
  if (bytes_.random_access()) {
    return std::string(bytes_.read(block.offset, wanted));
  }
  auto it = kept_.find(index);
  return it == kept_.end() ? "" : it->second.substr(0, wanted);
}

std::optional<BlendRecord> BlendFile::record(uint32_t index) { return record_as(index, blocks_[index].sdna); }

std::optional<BlendRecord> BlendFile::record_as(uint32_t index, uint32_t struct_index) {
  if (!dna_ || struct_index >= dna_->struct_count()) return std::nullopt;
  size_t size = std::min<size_t>(dna_->struct_size(struct_index), kStructBytesMax);
  std::string bytes = content(index, size);
  if (bytes.empty()) return std::nullopt;
  return BlendRecord(*dna_, struct_index, std::move(bytes));
}

std::optional<uint32_t> BlendFile::id_at(uint64_t address) const {
  auto it = address == 0 ? ids_.end() : ids_.find(address);
  if (it == ids_.end()) return std::nullopt;
  return it->second;
}

std::optional<uint32_t> BlendFile::data_at(uint32_t owner, uint64_t address) {
  if (address == 0) return std::nullopt;
  if (data_owner_ != owner) {
    data_.clear();
    data_owner_ = owner;
    // A datablock's DATA follow it without a gap.
    for (uint32_t i = owner + 1; i < blocks_.size() && blocks_[i].owner == owner; ++i)
      data_.emplace(blocks_[i].address, i);
  }
  auto it = data_.find(address);
  if (it == data_.end()) return std::nullopt;
  return it->second;
}

std::vector<uint32_t> BlendFile::list(uint32_t owner, uint64_t first, uint32_t view) {
  std::vector<uint32_t> items;
  uint64_t address = first;
  while (std::optional<uint32_t> item = data_at(owner, address)) {
    // A list cannot have more items than its owner has blocks: a longer one goes round in a circle.
    if (items.size() >= data_.size() || items.size() >= limits_.list_items_max) {
      note("endless or oversized list in block at offset " + std::to_string(blocks_[owner].offset));
      break;
    }
    items.push_back(*item);
    std::optional<BlendRecord> here = view == BlendDna::kNoStruct ? record(*item) : record_as(*item, view);
    if (!here) break;
    address = here->pointer("next");
  }
  return items;
}

std::string BlendFile::id_name(uint64_t address) {
  std::optional<uint32_t> index = id_at(address);
  if (!index || !dna_) return "";
  std::optional<BlendRecord> id =
      record_as(*index, dna_->struct_index("ID"));  // what every datablock begins with
  std::string name = id ? id->text("name") : "";
  return name.size() > 2 ? name.substr(2) : "";
}

}  // namespace millrace::scan
