#include "workloads/stac/checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zstd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "objects/new_object.h"
#include "workloads/stac/item.h"
#include "workloads/stac/item_text.h"
#include "workloads/stac/places.h"
#include "workloads/stac/spool_files.h"

namespace millrace::stac {
namespace {

constexpr int kLevel = 3;
constexpr size_t kPieceBytes = 1 << 20;
constexpr uint64_t kSourcesMax = 1u << 30;  // bytes

// As in the file, in the byte order of little-endian machines, which all of ours are.
struct Source {
  uint64_t source = 0;
  uint64_t month = 0;
  int64_t revision_us = kNoTime;
};

// Writes what it is given, compressed.
class Zstd {
 public:
  explicit Zstd(objects::NewObject& out)
      : out_(out), stream_(ZSTD_createCStream(), ZSTD_freeCStream), piece_(ZSTD_CStreamOutSize(), '\0') {
    if (!stream_) throw base::TransientError("no memory for zstd");
    ZSTD_CCtx_setParameter(stream_.get(), ZSTD_c_compressionLevel, kLevel);
  }
  void write(std::string_view bytes) { pass(bytes, ZSTD_e_continue); }
  void finish() { pass({}, ZSTD_e_end); }

 private:
  void pass(std::string_view bytes, ZSTD_EndDirective how) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    for (size_t left = 1; in.pos < in.size || (how == ZSTD_e_end && left > 0);) {
      ZSTD_outBuffer out{piece_.data(), piece_.size(), 0};
      left = ZSTD_compressStream2(stream_.get(), &out, &in, how);
      if (ZSTD_isError(left)) throw base::InternalError(std::string("zstd: ") + ZSTD_getErrorName(left));
      out_.write({piece_.data(), out.pos});
    }
  }
  objects::NewObject& out_;
  std::unique_ptr<ZSTD_CStream, size_t (*)(ZSTD_CStream*)> stream_;
  std::string piece_;
};

}  // namespace

Checkpoint::Checkpoint(const std::string& place, std::string_view identity)
    : folder_(below(objects::parse_location(place), base::sha256_hex(identity).substr(0, 16))) {}

objects::Location Checkpoint::file_of(const std::string& chunk, const char* suffix) const {
  return below(folder_, chunk + suffix);
}

bool Checkpoint::restore(ItemSpool& spool, const std::string& name) const {
  const objects::Location place = file_of(name, ".sources");
  std::optional<objects::ObjectInfo> info = find_object(place);
  std::optional<std::string> sources = read_object(place, kSourcesMax);
  if (!sources || sources->size() % sizeof(Source) != 0) return false;
  const size_t lines = sources->size() / sizeof(Source);
  size_t line = 0;
  {
    ItemChunk chunk = spool.begin(name);
    ItemChecker checker;
    ItemText text(Compression::kZstd, [&](std::string_view item, const std::string&) {
      if (line == lines) throw base::CorruptError("more lines than sources");
      Source source;
      std::memcpy(&source, sources->data() + line++ * sizeof source, sizeof source);
      chunk.add(checker.check(item), static_cast<uint32_t>(source.month), source.source, source.revision_us);
    });
    try {
      if (read_pieces(file_of(name, ".ndjson.zst"), [&](std::string_view bytes) { text.feed(bytes); })) {
        text.finish();
        if (line == lines) {
          chunk.finish();
          // As old as it is: who asks for its age must not hear that of this file.
          const int64_t ms = info ? info->last_modified : 0;
          const timespec time{ms / 1000, ms % 1000 * 1'000'000};
          const std::array<timespec, 2> times = {time, time};
          if (utimensat(AT_FDCWD, index_path(spool.folder(), name).c_str(), times.data(), 0) != 0)
            raise_errno("set the time of " + name, errno);
          return true;
        }
      }
    } catch (const base::CorruptError&) {
      // Written half, or over by another run: what it would have saved is fetched.
    }
  }
  spool.remove(name);
  return false;
}

void Checkpoint::save(const ItemSpool& spool, const std::string& name) const {
  std::string sources;
  for (const ItemRecord& record : spool.records_of(name)) {
    Source source{record.source, record.month, record.revision_us};
    sources.append(reinterpret_cast<const char*>(&source), sizeof source);
  }
  base::UniqueFd file = open_file(lines_path(spool.folder(), name), O_RDONLY);
  make_folders_of(file_of(name, ".sources"));
  objects::NewObject lines(file_of(name, ".ndjson.zst"));
  Zstd zstd(lines);
  std::string piece(kPieceBytes, '\0');
  uint64_t at = 0;
  for (ssize_t n = 1; n > 0; at += static_cast<uint64_t>(n)) {
    n = pread(file.get(), piece.data(), piece.size(), static_cast<off_t>(at));
    if (n < 0) raise_errno("read " + name, errno);
    zstd.write({piece.data(), static_cast<size_t>(n)});
  }
  zstd.finish();
  lines.publish();
  objects::NewObject out(file_of(name, ".sources"));
  out.write(sources);
  out.publish();
}

void Checkpoint::remove(const std::vector<std::string>& chunks) const {
  for (const std::string& chunk : chunks)
    for (const char* suffix : {".sources", ".ndjson.zst"}) remove_object(file_of(chunk, suffix));
}

}  // namespace millrace::stac
