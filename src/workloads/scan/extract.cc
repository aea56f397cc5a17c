#include "workloads/scan/extract.h"

#include <spdlog/spdlog.h>

#include <cstdio>
#include <mutex>
#include <variant>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "workloads/scan/blend.h"
#include "workloads/scan/content_hash.h"
#include "workloads/scan/fact_rows.h"
#include "workloads/scan/file_names.h"
#include "workloads/scan/image.h"
#include "workloads/scan/media_type.h"
#include "workloads/scan/scene.h"
#include "workloads/scan/thumbnails.h"
#include "workloads/scan/video.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

constexpr size_t kHeadBytes = 4096;  // as much as sniff() looks at
constexpr int kReadAttempts = 3;     // of a file that changes while it is read

// The name's extension with its dot, in lower case; empty for none, and for ".hidden".
std::string extension_of(std::string_view name) {
  size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || dot + 1 == name.size()) return "";
  return base::to_lower(name.substr(dot));
}

}  // namespace

// What one file turned out to be.
struct Extractor::Reading {
  MediaType type;
  ReadStatus status = ReadStatus::kOk;
  std::string error, code, extra;
  std::string thumbnail_error;  // not the file's fault, so the next scan tries again
  std::string sha256;
  uint64_t bytes_hashed = 0;
  bool settled = true;  // false: not the file but the reading of it failed, so the next scan tries again
  std::variant<std::monostate, ImageFacts, VideoFacts, BlendFacts, SceneFacts> facts;
};

Extractor::Extractor(objects::ObjectReader& reader, const ScanContext& context)
    : reader_(reader), context_(context), source_(reader) {
  if (!context.media_helper.empty()) helper_ = std::make_unique<MediaHelper>(context.media_helper);
}

std::string database_time(base::TimeMs time) {
  base::Civil at = base::to_civil(time);
  if (at.year < 1 || at.year > 9999) return "";
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u %02u:%02u:%02u.%03u000", static_cast<int>(at.year),
                at.month, at.day, at.hour, at.minute, at.second, at.ms);
  return text;
}

void Extractor::read(const objects::ObjectInfo& object, Reading& reading) {
  std::string_view name = std::string_view(object.key).substr(object.key.rfind('/') + 1);
  reading.type = sniff({}, name);  // should the first block not come
  source_.open(object, kMediaBudget);
  reading.type = sniff(source_.read_some(0, kHeadBytes), name);
  if (reading.type.format == Format::kBlend) {
    source_.set_budget(kBlendBudget);
    BlendLimits limits;
    limits.keep_thumbnail = helper_ && !context_.thumbnails.empty();
    BlendFacts facts = read_blend(source_, limits);
    reading.status = facts.unsupported ? ReadStatus::kUnsupported
                     : facts.complete  ? ReadStatus::kOk
                                       : ReadStatus::kPartial;
    reading.error = facts.problem;
    reading.facts = std::move(facts);
  } else if (has_image_reader(reading.type.format)) {
    ImageFacts facts = read_image(source_, reading.type);
    reading.status = facts.status;
    reading.error = facts.problem;
    reading.extra = extra_json(facts);
    reading.facts = std::move(facts);
  } else if (has_video_reader(reading.type.format)) {
    VideoFacts facts = read_video(source_, reading.type);
    reading.status = facts.status;
    reading.error = facts.problem;
    reading.extra = extra_json(facts);
    reading.facts = std::move(facts);
  } else if (has_scene_reader(reading.type.format)) {
    source_.set_budget(kSceneBudget);
    SceneFacts facts = read_scene(source_, reading.type);
    reading.status = facts.status;
    reading.error = facts.problem;
    reading.extra = extra_json(facts);
    reading.facts = std::move(facts);
  } else if (FileType type = reading.type.file_type; type == FileType::kVideo || type == FileType::kAudio) {
    probe(name, reading);
  } else if (type == FileType::kImage) {
    reading.status = ReadStatus::kUnsupported;  // deserves a reader; of other types there is nothing to read
  }
  if (helper_ && !context_.thumbnails.empty()) add_thumbnail(object, reading);
}

// Containers that are too rare for a reader of our own.
void Extractor::probe(std::string_view name, Reading& reading) {
  if (!helper_) {
    static std::once_flag said;
    std::call_once(said, [] {
      spdlog::warn(
          "there are media that only millrace-media can read, and it is not installed: they are catalogued "
          "as "
          "unsupported");
    });
    reading.status = ReadStatus::kUnsupported;
    return;
  }
  source_.set_budget(kHelperBudget);
  VideoFacts facts = helper_->probe(source_, name);
  reading.status = facts.status;
  reading.error = facts.problem;
  reading.extra = extra_json(facts);
  reading.facts = std::move(facts);
}

// A thumbnail that cannot be made is a remark, no failure: what the catalogue says of the file is right
// without.
void Extractor::add_thumbnail(const objects::ObjectInfo& object, Reading& reading) {
  Thumbnailer thumbnailer(context_.thumbnails, *helper_);
  source_.set_budget(kThumbnailBudget);
  try {
    if (auto* image = std::get_if<ImageFacts>(&reading.facts)) {
      if (image->status != ReadStatus::kBroken)
        image->thumbnail_path = thumbnailer.of_image(object, source_, *image);
    } else if (auto* video = std::get_if<VideoFacts>(&reading.facts)) {
      if (video->video_streams > 0 && reading.type.file_type == FileType::kVideo)
        video->thumbnail_path = thumbnailer.of_video(object, source_, *video);
    } else if (auto* blend = std::get_if<BlendFacts>(&reading.facts)) {
      if (!blend->thumbnail_rgba.empty()) blend->thumbnail_path = thumbnailer.of_blend(object, *blend);
    }
  } catch (const base::Error& error) {
    if (error.code() == kHelperStart || error.code() == kThumbnailWrite) {
      reading.thumbnail_error = error.what();
      reading.settled = false;
      return;
    }
    if (error.kind() != base::ErrorKind::kCorrupt) throw;
    reading.extra = with_remark(reading.extra, "thumbnail", error.what());
  }
}

// Small files are in memory already.
void Extractor::hash(const objects::ObjectInfo& object, Reading& reading) {
  if (object.size <= kMediaBudget.block_bytes && source_.requests() <= 1) {
    reading.sha256 = base::sha256_hex(source_.read_some(0, static_cast<size_t>(object.size)));
    return;
  }
  reading.sha256 = content_sha256(reader_, object);
  reading.bytes_hashed = object.size;
}

void Extractor::extract(const Candidate& candidate, Batch& out) {
  objects::ObjectInfo object = candidate.object;
  Reading reading;
  auto broken = [&](std::string error, std::string code, bool settled) {
    reading.status = ReadStatus::kBroken;
    reading.error = std::move(error);
    reading.code = std::move(code);
    reading.settled = settled;
    reading.facts = std::monostate();
  };
  for (int attempt = 1;; ++attempt) {
    try {
      read(object, reading);
      if (context_.hash) hash(object, reading);
    } catch (const ChangedError& e) {
      if (attempt < kReadAttempts) {
        try {
          object = reader_.head(object.key);
          reading = {};
          continue;
        } catch (const base::NotFoundError&) {
          ++out.gone;
          return;
        } catch (const base::Error& failed) {
          broken(failed.what(), failed.code(), false);
        }
      } else {
        broken("keeps changing while it is read", e.code(), false);
      }
    } catch (const base::NotFoundError& e) {
      if (e.code() != "NoSuchBucket") {  // removed since it was listed
        ++out.gone;
        return;
      }
      broken(e.what(), e.code(), false);
    } catch (const base::Error& e) {
      broken(e.what(), e.code(), e.kind() == base::ErrorKind::kCorrupt);
      if (e.kind() == base::ErrorKind::kDenied) reading.code = "AccessDenied";
    } catch (const std::exception& e) {
      broken(std::string("the reader failed: ") + e.what(), "", true);
    }
    break;
  }
  out.bytes_read += source_.bytes_read() + reading.bytes_hashed;
  out.requests += source_.requests();

  int64_t index = static_cast<int64_t>(out.outcomes.size());
  std::string path = context_.base + object.key;
  FileOutcome& outcome = out.outcomes.emplace_back();
  outcome.path = workloads::storage_text(path);
  outcome.id = candidate.id;
  outcome.type = reading.type.file_type;
  bool failed = reading.status == ReadStatus::kBroken || reading.status == ReadStatus::kPartial;
  if (failed) {
    outcome.error = reading.error.empty() ? "cannot be read" : reading.error;
    outcome.code = !reading.code.empty()                   ? reading.code
                   : reading.status == ReadStatus::kBroken ? "Broken"
                                                           : "Partial";
  } else if (!reading.thumbnail_error.empty()) {
    outcome.error = "no thumbnail: " + reading.thumbnail_error;
    outcome.code = "Thumbnail";
  }

  size_t slash = path.rfind('/');
  std::string_view name = std::string_view(path).substr(slash + 1);
  std::string modified = database_time(object.last_modified);
  RowBuffer& row = out.files;
  row.add(std::string_view(path));
  row.add(name);
  row.add(std::string_view(path).substr(0, std::max<size_t>(slash, 1)));
  row.add_if(std::string_view(extension_of(name)));
  row.add(std::string_view(context_.storage));
  row.add_if(std::string_view(context_.bucket));
  row.add(file_type_name(reading.type.file_type));
  row.add_if(reading.type.format_name);
  row.add_if(reading.type.mime);
  row.add(object.size);
  row.add_if(std::string_view(modified));  // stores know no earlier date
  row.add_if(std::string_view(modified));
  reading.settled&& object.mtime_ns != 0 ? row.add(object.mtime_ns) : row.null();
  row.add_if(std::string_view(reading.settled ? object.etag : std::string()));
  row.add(std::string_view(context_.scan_date));
  row.add(context_.scan_id);
  row.add(read_status_name(reading.status));
  row.add_if(std::string_view(outcome.error.empty() ? reading.error : outcome.error));
  row.add(source_.bytes_read() + reading.bytes_hashed);
  row.add(kReaderVersion);
  row.add_if(std::string_view(reading.extra));
  row.add_if(std::string_view(object.storage_class));
  row.add_if(std::string_view(reading.sha256));
  add_name_facts(row, path, reading.type.file_type);
  row.add(context_.scan_id);  // first_scan_id, which a known file keeps
  row.add(context_.scan_id);

  if (auto* image = std::get_if<ImageFacts>(&reading.facts)) {
    add_image_row(out, index, reading.type.format_name, *image);
  } else if (auto* video = std::get_if<VideoFacts>(&reading.facts)) {
    reading.type.file_type == FileType::kAudio ? add_audio_row(out, index, *video)
                                               : add_video_row(out, index, *video);
  } else if (auto* blend = std::get_if<BlendFacts>(&reading.facts)) {
    add_blend_rows(out, index, path, *blend);
  } else if (auto* scene = std::get_if<SceneFacts>(&reading.facts)) {
    add_scene_rows(out, index, path, *scene);
  }
}

}  // namespace millrace::scan
