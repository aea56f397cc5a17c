#include "workloads/scan/blend_dependencies.h"

#include <algorithm>

#include "workloads/scan/blend.h"
#include "workloads/scan/blend_scenes.h"

namespace millrace::scan {
namespace {

// Numbers in the file (DNA_image_types, DNA_sequence_types, DNA_modifier_types, DNA_pointcache_types).
enum ImageSource {
  kImageFile = 1,
  kImageSequence = 2,
  kImageMovie = 3,
  kImageGenerated = 4,
  kImageViewer = 5,
  kImageTiled = 6
};
enum ClipSource { kClipSequence = 1, kClipMovie = 2 };
enum StripType { kStripImage = 0, kStripMovie = 3, kStripSoundRam = 4, kStripSoundHd = 5 };
enum ModifierType { kCloth = 22, kSmoke = 31, kOcean = 39, kMeshCache = 46, kFluid = 56, kNodes = 57 };
constexpr int64_t kPointCacheBaked = 1, kPointCacheDisk = 64, kPointCacheExternal = 512;
constexpr int64_t kFluidIsDomain = 1;
constexpr size_t kUdimTilesMax = 1000;
constexpr size_t kTextPathMax = 4096;
constexpr size_t kPackedImagesMax = 10'000;

class Collector {
 public:
  explicit Collector(BlendFile& file) : file_(file) {}

  BlendDependencies run() {
    each("LI", &Collector::library);
    each("IM", &Collector::image);
    each("SO", &Collector::sound);
    each("MC", &Collector::clip);
    each("VF", &Collector::font);
    each("CF", &Collector::cache);
    each("VO", &Collector::volume);
    each("TX", &Collector::text);
    each("SC", &Collector::sequencer);
    each("OB", &Collector::modifiers);
    return std::move(found_);
  }

 private:
  void each(std::string_view code, void (Collector::*read)(uint32_t, const BlendRecord&)) {
    code_ = code;
    for (uint32_t index : file_.of_code(code)) {
      std::optional<BlendRecord> record = file_.record(index);
      if (!record) continue;
      std::string name = record->text("id.name");
      owner_ = name.size() > 2 ? name.substr(2) : "";
      (this->*read)(index, *record);
    }
  }

  // The new entry; null when it names nothing or the list is full.
  BlendDependency* add(const char* kind, std::string path, bool packed) {
    if (path.empty()) return nullptr;
    if (found_.list.size() >= file_.limits().dependencies_max) {
      file_.note("more than " + std::to_string(found_.list.size()) + " dependencies: the rest is left out");
      return nullptr;
    }
    BlendDependency& made = found_.list.emplace_back();
    made.kind = kind;
    made.absolute = is_absolute_blend_path(path);
    made.raw_path = std::move(path);
    made.packed = packed;
    made.owner_type = code_;
    made.owner = owner_;
    return &made;
  }

  // Counts a PackedFile; false for a null pointer.
  bool count_packed(uint32_t owner, uint64_t address) {
    if (address == 0) return false;
    std::optional<uint32_t> index = file_.data_at(owner, address);
    std::optional<BlendRecord> packed = index ? file_.record(*index) : std::nullopt;
    if (packed) found_.packed_bytes += std::max<int64_t>(packed->integer("size"), 0);
    return true;
  }
  bool packed(uint32_t owner, const BlendRecord& record) {
    if (!count_packed(owner, record.pointer("packedfile"))) return false;
    ++found_.packed_count;
    return true;
  }

  void library(uint32_t index, const BlendRecord& record) {
    if (record.pointer("archive_parent_library") != 0) return;  // a copy kept inside for its parent (5.1 on)
    bool inside = packed(index, record);
    if (BlendDependency* made = add("library", record.text("name"), inside))
      made->indirect = record.pointer("parent") != 0;
  }

  void image(uint32_t index, const BlendRecord& record) {
    bool inside = packed(index, record);
    uint64_t first_packed = record.pointer("packedfiles.first");
    if (!inside && first_packed != 0) {
      std::vector<uint32_t> files = file_.list(index, first_packed);
      if (files.size() > kPackedImagesMax) files.resize(kPackedImagesMax);
      for (uint32_t item : files)
        if (std::optional<BlendRecord> entry = file_.record(item))
          count_packed(index, entry->pointer("packedfile"));
      ++found_.packed_count;
      inside = true;
    }
    // Before 2.43 an image had no source: it was its file.
    int64_t source = record.integer("source", kImageFile);
    const char* kind = source == kImageTiled      ? "udim"
                       : source == kImageSequence ? "sequence"
                       : source == kImageMovie    ? "movie"
                       : source == kImageFile     ? "image"
                                                  : nullptr;
    if (!kind) return;  // generated, or a render result
    BlendDependency* made = add(kind, record.text("name"), inside);
    if (!made || source != kImageTiled) return;
    for (uint32_t item : file_.list(index, record.pointer("tiles.first"))) {
      if (made->udim_tiles.size() >= kUdimTilesMax) break;
      if (std::optional<BlendRecord> tile = file_.record(item))
        made->udim_tiles.push_back(static_cast<int>(tile->integer("tile_number")));
    }
    made->frames = static_cast<int64_t>(made->udim_tiles.size());
  }

  void sound(uint32_t index, const BlendRecord& record) {
    add("sound", record.text("name"), packed(index, record));
  }

  void clip(uint32_t, const BlendRecord& record) {
    add(record.integer("source") == kClipSequence ? "sequence" : "movie", record.text("name"), false);
  }

  void font(uint32_t index, const BlendRecord& record) {
    bool inside = packed(index, record);
    std::string path = record.text("name");
    if (path != "<builtin>") add("font", std::move(path), inside);
  }

  void cache(uint32_t index, const BlendRecord& record) {
    add("cache", record.text("filepath"), false);
    for (uint32_t item : file_.list(index, record.pointer("layers.first")))
      if (std::optional<BlendRecord> layer = file_.record(item)) add("cache", layer->text("filepath"), false);
  }

  void volume(uint32_t index, const BlendRecord& record) {
    add("volume", record.text("filepath"), packed(index, record));
  }

  void text(uint32_t index, const BlendRecord& record) {
    // The only path that is a block of its own; null when the text lives in the .blend alone.
    std::optional<uint32_t> path = file_.data_at(index, record.pointer("name"));
    if (!path) return;
    std::string bytes = file_.content(*path, kTextPathMax);
    add("text", bytes.substr(0, bytes.find('\0')), false);
  }

  void sequencer(uint32_t scene, const BlendRecord&) {
    for (uint32_t index : blend_strips(file_, scene)) {
      std::optional<BlendRecord> strip = file_.record(index);
      if (!strip) continue;
      int64_t type = strip->integer("type");
      bool sound = type == kStripSoundRam || type == kStripSoundHd;
      if (type != kStripImage && type != kStripMovie && !sound) continue;
      if (sound && strip->pointer("sound") != 0) continue;  // listed with its SO block
      std::optional<uint32_t> shared = file_.data_at(scene, strip->pointer("strip"));
      std::optional<BlendRecord> media = shared ? file_.record(*shared) : std::nullopt;
      if (!media) continue;
      std::optional<uint32_t> elements = file_.data_at(scene, media->pointer("stripdata"));
      std::optional<BlendRecord> first = elements ? file_.record(*elements) : std::nullopt;
      if (!first) continue;
      std::string path = media->text("dir"), name = first->text("name");
      if (name.empty()) continue;
      if (!path.empty() && !path.ends_with('/') && !path.ends_with('\\')) path += '/';
      path += name;
      uint32_t element_size = file_.dna()->struct_size(first->struct_index());
      int64_t frames = element_size ? static_cast<int64_t>(file_.block(*elements).length / element_size) : 1;
      const char* kind = sound ? "sound" : type == kStripMovie ? "movie" : frames > 1 ? "sequence" : "image";
      BlendDependency* made = add(kind, std::move(path), false);
      if (made && type == kStripImage) made->frames = frames;
    }
  }

  void modifiers(uint32_t object, const BlendRecord& record) {
    uint32_t common = file_.dna()->struct_index("ModifierData");
    for (uint32_t index : file_.list(object, record.pointer("modifiers.first"), common)) {
      std::optional<BlendRecord> head = file_.record_as(index, common), modifier = file_.record(index);
      if (!head || !modifier) continue;
      switch (head->integer("type")) {
        case kMeshCache:
          add("cache", modifier->text("filepath"), false);
          break;
        case kOcean:
          if (modifier->integer("cached") != 0) add("cache", modifier->text("cachepath"), false);
          break;
        case kNodes:
          add("cache", modifier->text("simulation_bake_directory"), false);
          break;
        case kFluid:
          if (modifier->integer("type") == kFluidIsDomain)
            if (std::optional<BlendRecord> domain = data(object, modifier->pointer("domain")))
              add("cache", domain->text("cache_directory"), false);
          break;
        case kSmoke:
          if (std::optional<BlendRecord> domain = data(object, modifier->pointer("domain")))
            point_cache(object, domain->pointer("point_cache"));
          break;
        case kCloth:
          point_cache(object, modifier->pointer("point_cache"));
          break;
        default:
          break;
      }
    }
    for (uint32_t index : file_.list(object, record.pointer("particlesystem.first")))
      if (std::optional<BlendRecord> particles = file_.record(index))
        point_cache(object, particles->pointer("pointcache"));
  }

  // The frames of a simulation: made elsewhere, or baked to the folder that is named after the .blend. A
  // cache that was never baked, or lies in the .blend, needs no file.
  void point_cache(uint32_t object, uint64_t address) {
    std::optional<BlendRecord> cache = data(object, address);
    if (!cache) return;
    const int64_t flags = cache->integer("flag");
    std::string folder, name = cache->text("name");
    if ((flags & kPointCacheExternal) != 0) {
      folder = cache->text("path");
      if (folder.empty()) return;
      if (!folder.ends_with('/') && !folder.ends_with('\\')) folder += '/';
    } else if ((flags & kPointCacheDisk) != 0 && (flags & kPointCacheBaked) != 0) {
      folder = "//blendcache_" + std::string(kBlendNameMark) + "/";
    } else {
      return;
    }
    // Files are named by the letters of the cache, or of its object, in hexadecimal; those made elsewhere as
    // they are.
    const bool external = (flags & kPointCacheExternal) != 0;
    if (external && name.empty()) return void(add("cache", folder, false));
    std::string stem = external ? name : "";
    if (!external) {
      for (unsigned char c : name.empty() ? owner_ : name) {
        static constexpr char kDigits[] = "0123456789ABCDEF";
        stem += {kDigits[c >> 4], kDigits[c & 15]};
      }
    }
    const int64_t index = std::clamp<int64_t>(cache->integer("index"), 0, 99);
    add("cache", folder + stem + "_######_" + (index < 10 ? "0" : "") + std::to_string(index) + ".bphys",
        false);
  }

  std::optional<BlendRecord> data(uint32_t owner, uint64_t address) {
    std::optional<uint32_t> index = file_.data_at(owner, address);
    return index ? file_.record(*index) : std::nullopt;
  }

  BlendFile& file_;
  BlendDependencies found_;
  std::string code_;
  std::string owner_;
};

}  // namespace

BlendDependencies read_blend_dependencies(BlendFile& file) {
  if (!file.dna()) return {};
  return Collector(file).run();
}

}  // namespace millrace::scan
