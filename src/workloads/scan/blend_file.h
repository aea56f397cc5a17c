// A .blend as blocks and structures: finds the blocks that matter, and gives them as records.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "workloads/scan/blend_dna.h"
#include "workloads/scan/blend_header.h"
#include "workloads/scan/blend_layer.h"

namespace millrace::scan {

struct BlendRenderInfo {  // a REND block
  int64_t frame_start = 0;
  int64_t frame_end = 0;
  std::string scene;
};

class BlendFile {
 public:
  // Scans all block heads. Throws CorruptError for a bad header only; later trouble ends the scan and is in
  // problem(). All arguments must outlive the file.
  BlendFile(BlendBytes& bytes, const BlendLimits& limits, const BlendClock& clock);

  const BlendHeader& header() const { return header_; }
  bool ended() const { return ended_; }  // ENDB was seen
  // Null when the file ends or is damaged before its catalogue: then there are no records.
  const BlendDna* dna() const { return dna_.get(); }
  const BlendLimits& limits() const { return limits_; }
  const std::vector<BlendRenderInfo>& render_infos() const { return render_infos_; }
  int thumbnail_width() const { return thumbnail_width_; }
  int thumbnail_height() const { return thumbnail_height_; }
  const std::string& thumbnail_rgba() const { return thumbnail_rgba_; }

  // The first trouble met, empty when none. Readers add theirs; only the first is kept.
  const std::string& problem() const { return problem_; }
  void note(const std::string& problem);

  // How many blocks have this code, kept or not.
  int64_t count(std::string_view code) const;

  // Indices of the blocks with a code, in the order of the file. Empty for codes that are not indexed (see
  // keep_rule).
  const std::vector<uint32_t>& of_code(std::string_view code) const;
  const BlendBlock& block(uint32_t index) const { return blocks_[index]; }

  // The first structure of a block; nothing when its bytes were not kept or make no sense.
  std::optional<BlendRecord> record(uint32_t block_index);
  // The same block seen as another structure.
  std::optional<BlendRecord> record_as(uint32_t block_index, uint32_t struct_index);
  // The first bytes of a block: at most `bytes_max`, fewer when fewer were kept.
  std::string content(uint32_t block_index, size_t bytes_max);

  // The ID block at an address of Blender's memory.
  std::optional<uint32_t> id_at(uint64_t address) const;
  // The DATA block of `owner` at an address. (Addresses are unique only within their owner.)
  std::optional<uint32_t> data_at(uint32_t owner, uint64_t address);
  // The blocks of a linked list that starts at `first`, linked by a field `next`. `view` is the structure
  // that all items begin with, when they are of different ones; by default each is seen as what it is.
  std::vector<uint32_t> list(uint32_t owner, uint64_t first, uint32_t view = BlendDna::kNoStruct);

  // Name of the ID at an address, without its two letters; empty for null or unknown.
  std::string id_name(uint64_t address);

 private:
  struct KeepRule;
  static KeepRule keep_rule(std::string_view code);

  void scan();
  void take_block(const BlendBlock& block, KeepRule& rule);
  void index_block(const BlendBlock& block, size_t keep_bytes, bool essential);
  void read_dna();

  BlendBytes& bytes_;
  const BlendLimits& limits_;
  const BlendClock& clock_;
  BlendHeader header_;
  std::unique_ptr<BlendDna> dna_;
  bool ended_ = false;
  std::string problem_;
  std::vector<BlendBlock> blocks_;
  std::unordered_map<uint32_t, std::string> kept_;  // by block index; only of streams
  uint64_t kept_bytes_ = 0;
  std::map<std::string, int64_t, std::less<>> counts_;
  std::map<std::string, std::vector<uint32_t>, std::less<>> by_code_;
  std::unordered_map<uint64_t, uint32_t> ids_;
  std::unordered_map<uint64_t, uint32_t> data_;  // of data_owner_
  uint32_t data_owner_ = UINT32_MAX;
  std::vector<BlendRenderInfo> render_infos_;
  int thumbnail_width_ = 0;
  int thumbnail_height_ = 0;
  std::string thumbnail_rgba_;
  std::string dna_block_;
  uint32_t owner_ = UINT32_MAX;  // while scanning: the indexed ID that the next DATA belongs to
  uint32_t owner_data_left_ = 0;
};

}  // namespace millrace::scan
