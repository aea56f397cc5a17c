// Items from files: a file, a folder or a prefix of them, local, in S3 or behind one URL.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <set>
#include <unordered_set>
#include <utility>

#include "base/durable_file.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/url.h"
#include "objects/s3_client.h"
#include "objects/store.h"
#include "workloads/bounded_queue.h"
#include "workloads/stac/item.h"
#include "workloads/stac/item_text.h"
#include "workloads/stac/places.h"
#include "workloads/stac/spool_files.h"
#include "workloads/stac/stac_job.h"

namespace millrace::stac {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr unsigned kThreadsMax = 64;
constexpr size_t kQueueFiles = 1000;
// Files read, or bytes of them, between two moments at which they are noted as done.
constexpr size_t kFilesUnsafe = 1000;
constexpr uint64_t kBytesUnsafe = 64ull << 20;

struct File {
  std::string key;
  objects::ObjectInfo info;
  uint64_t stamp() const {
    return base::xxh3(key + '\0' + info.etag + '\0' + std::to_string(info.size) + '\0' +
                      std::to_string(info.mtime_ns) + '\0' + std::to_string(info.last_modified));
  }
};

// Which files are in the spool whole: their stamps, 8 bytes each, appended when their items are on the disk.
class DoneFiles {
 public:
  explicit DoneFiles(const std::string& path)
      : path_(path), file_(open_file(path, O_RDWR | O_CREAT | O_APPEND)) {
    uint64_t stamp = 0;
    for (uint64_t at = 0; read_at(file_.get(), at, reinterpret_cast<char*>(&stamp), sizeof stamp);
         at += sizeof stamp)
      stamps_.insert(stamp);
  }
  bool has(uint64_t stamp) const { return stamps_.contains(stamp); }
  // Only those stay that are in `wanted` as well.
  void forget_others(const std::unordered_set<uint64_t>& wanted) {
    std::string bytes;
    uint64_t stamp = 0;
    for (uint64_t at = 0; read_at(file_.get(), at, reinterpret_cast<char*>(&stamp), sizeof stamp);
         at += sizeof stamp)
      if (wanted.contains(stamp)) bytes.append(reinterpret_cast<const char*>(&stamp), sizeof stamp);
    base::write_durably(path_, bytes);
    file_ = open_file(path_, O_RDWR | O_CREAT | O_APPEND);
  }
  void add(const std::vector<uint64_t>& stamps) {
    std::lock_guard lock(mutex_);
    write_all(file_.get(), {reinterpret_cast<const char*>(stamps.data()), stamps.size() * sizeof(uint64_t)},
              path_);
    if (fdatasync(file_.get()) != 0) raise_errno("write " + path_, errno);
  }

 private:
  const std::string path_;
  std::mutex mutex_;
  base::UniqueFd file_;
  std::unordered_set<uint64_t> stamps_;  // of earlier runs: constant
};

std::string chunk_name(size_t i) { return "files." + std::to_string(i); }

// Where the files are.
struct Input {
  std::unique_ptr<objects::ObjectReader> reader;
  std::string prefix;  // in it
  bool single = false;
};

Input open_input(StacJob& job, const std::string& work) {
  const std::string& text = job.options.input;
  if (text.starts_with("http://") || text.starts_with("https://")) {
    // Its name says how it is compressed.
    const std::string path = base::parse_url(text).path;
    std::string name = "input-";
    for (char c : path.substr(path.rfind('/') + 1)) {
      if (std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_') name += c;
    }
    http::ClientRequest request;
    request.url = text;
    const std::string body = job.http.request(request).body;
    base::UniqueFd file = open_file(work + "/" + name, O_WRONLY | O_CREAT | O_TRUNC);
    write_all(file.get(), body, work + "/" + name);
    return {objects::open_reader({false, "", work}), name, true};
  }
  objects::Location place = objects::parse_location(text);
  if (!place.path.empty() && !place.path.ends_with('/') && find_object(place)) {
    if (place.is_s3) return {objects::open_reader({true, place.bucket, ""}), place.path, true};
    std::filesystem::path path(place.path);
    std::string folder = path.has_parent_path() ? path.parent_path().string() : ".";
    return {objects::open_reader({false, "", folder}), path.filename().string(), true};
  }
  // As of a folder: "items" means what is below "items/", not "items-old/".
  if (place.is_s3 && !place.path.empty() && !place.path.ends_with('/')) place.path += '/';
  return {objects::open_reader(place), place.is_s3 ? place.path : "", false};
}

class ItemFiles {
 public:
  ItemFiles(StacJob& job, ItemSpool& spool, const std::string& work)
      : job_(job),
        spool_(spool),
        input_(open_input(job, work)),
        done_(work + "/files-done"),
        queue_(kQueueFiles) {
    for (const Month& month : job.options.months) months_.insert(month.number());
    collections_.insert(job.options.collections.begin(), job.options.collections.end());
  }

  Gathered gather() {
    const unsigned threads = std::min(job_.options.concurrent_days, kThreadsMax);
    // The listing is one more task: it feeds the others.
    job_.for_each(threads + 1, threads + 1, [&](size_t i) {
      try {
        if (i == 0) {
          list();
          queue_.close();
        } else {
          read_files(chunk_name(i));
        }
      } catch (...) {
        queue_.abort();
        throw;
      }
    });
    Gathered out;
    for (unsigned i = 1; i <= threads; ++i) out.chunks.push_back(chunk_name(i));
    // An earlier run may have read with more threads.
    for (unsigned i = threads + 1; i <= kThreadsMax; ++i) {
      if (!spool_.has_any(chunk_name(i))) continue;
      begin(chunk_name(i)).finish();
      out.chunks.push_back(chunk_name(i));
    }
    drop_gone(out.chunks);
    out.missing = missing_;
    out.failed_days = failed_files_;
    if (left_out_ > 0) job_.result.count("left_out", static_cast<int64_t>(left_out_.load()));
    if (files_ == 0) throw base::NotFoundError(job_.options.input + ": there are no files of items");
    return out;
  }

 private:
  void list() {
    auto take = [&](const objects::ObjectInfo& info) {
      job_.check_stop();
      if (info.key.ends_with('/')) return true;
      if (!input_.single && !named_as(info.key).items) {
        job_.result.count("files_ignored");
        return true;
      }
      ++files_;
      ++job_.days;
      File file{info.key, info};
      listed_.insert(file.stamp());
      return queue_.push(std::move(file));
    };
    if (input_.single) {
      take(input_.reader->head(input_.prefix));
      return;
    }
    input_.reader->list_tolerant(input_.prefix, take, [&](const std::string& key, const base::Error& error) {
      ++failed_files_;
      job_.day_failed(input_.reader->url() + "/" + key, error);
    });
  }

  // With what an earlier run kept of files that it read to their end: others are read anew.
  ItemChunk begin(const std::string& name) {
    ItemChunk chunk = spool_.begin(name);
    chunk.keep_only([&](const ItemRecord& record) { return done_.has(record.source); });
    if (!chunk.kept().empty()) resumed_ = true;
    return chunk;
  }

  // Items of files that an earlier run read, and that are not there any more, or are others now.
  void drop_gone(const std::vector<std::string>& chunks) {
    if (!resumed_) return;
    const auto is_listed = [&](const ItemRecord& record) { return listed_.contains(record.source); };
    bool forgotten = false;
    for (const std::string& name : chunks) {
      std::vector<ItemRecord> records = spool_.records_of(name);
      if (std::all_of(records.begin(), records.end(), is_listed)) continue;
      // First: else a file that comes back would be one that was read, and nothing of it there.
      if (!std::exchange(forgotten, true)) done_.forget_others(listed_);
      ItemChunk chunk = spool_.begin(name);
      job_.result.count("revised_or_gone", static_cast<int64_t>(chunk.keep_only(is_listed)));
      chunk.finish();
    }
  }

  void read_files(const std::string& name) {
    ItemChunk chunk = begin(name);
    ItemChecker checker;
    std::vector<uint64_t> unsafe;
    uint64_t bytes = 0;
    auto make_safe = [&] {
      chunk.sync();
      done_.add(unsafe);
      unsafe.clear();
      bytes = 0;
    };
    while (std::optional<File> file = queue_.pop()) {
      job_.check_stop();
      if (done_.has(file->stamp())) {
        job_.result.count("files_from_earlier_run");
      } else if (read_file(*file, chunk, checker)) {
        unsafe.push_back(file->stamp());
        bytes += file->info.size;
      }
      ++job_.days_done;
      if (unsafe.size() >= kFilesUnsafe || bytes >= kBytesUnsafe) make_safe();
    }
    job_.check_stop();
    make_safe();
    chunk.finish();
  }

  // False when something of it is missing.
  bool read_file(const File& file, ItemChunk& chunk, ItemChecker& checker) {
    const std::string shown = input_.reader->url() + "/" + file.key;
    const std::string otherwise = collections_.size() == 1 ? *collections_.begin() : "";
    const uint64_t stamp = file.stamp();
    bool whole = true;
    uint64_t items = 0;
    std::exception_ptr ours;  // what ends the job: a full disk, or somebody who stops it
    ItemText text(named_as(file.key).compression, [&](std::string_view raw, const std::string& where) {
      const CheckedItem* item = nullptr;
      ++items;
      try {
        item = &checker.check(raw, otherwise);
      } catch (const base::CorruptError& error) {
        ++missing_;
        whole = false;
        job_.item_missing(where.empty() ? shown : shown + ", " + where, error);
        return;
      }
      try {
        if (items % 1024 == 0) job_.check_stop();
        add(*item, chunk, stamp);
      } catch (...) {
        ours = std::current_exception();
        throw;
      }
    });
    try {
      read_bytes(file, text);
      text.finish();
    } catch (const base::Error& error) {
      if (ours) std::rethrow_exception(ours);
      ++failed_files_;
      whole = false;
      job_.day_failed(shown, error);
    }
    if (text.others() > 0) job_.result.count("not_items", static_cast<int64_t>(text.others()));
    job_.result.count("files_read");
    return whole;
  }

  void read_bytes(const File& file, ItemText& text) {
    if (auto* bucket = dynamic_cast<objects::S3Client*>(input_.reader.get())) {
      bucket->get(file.key, [&](std::string_view bytes) { text.feed(bytes); });
      return;
    }
    std::string piece(kPieceBytes, '\0');
    for (uint64_t at = 0;;) {
      size_t n = input_.reader->read(file.key, at, piece.data(), piece.size(), file.info.etag);
      text.feed({piece.data(), n});
      at += n;
      if (n < piece.size()) break;
    }
    objects::ObjectInfo now = input_.reader->head(file.key);
    if (now.size != file.info.size || now.mtime_ns != file.info.mtime_ns)
      throw base::ConflictError("it changed while it was read", "Changed");
  }

  void add(const CheckedItem& item, ItemChunk& chunk, uint64_t stamp) {
    const uint32_t month = month_of(item.record.datetime_us).number();
    const JobOptions& options = job_.options;
    bool wanted = (months_.empty() || months_.contains(month)) &&
                  (collections_.empty() || collections_.contains(item.collection)) &&
                  (!options.box || options.box->touches(item.west, item.south, item.east, item.north));
    if (!wanted) {
      ++left_out_;
      return;
    }
    chunk.add(item, month, stamp);
    ++job_.listed;
    ++job_.done;
  }

  StacJob& job_;
  ItemSpool& spool_;
  Input input_;
  DoneFiles done_;
  workloads::BoundedQueue<File> queue_;
  std::set<uint32_t> months_;
  std::set<std::string> collections_;
  std::unordered_set<uint64_t> listed_;  // stamps of all files; of the thread that lists them
  std::atomic<bool> resumed_{false};
  std::atomic<uint64_t> files_{0}, missing_{0}, failed_files_{0}, left_out_{0};
};

}  // namespace

Gathered gather_files(StacJob& job, ItemSpool& spool, const std::string& work) {
  return ItemFiles(job, spool, work).gather();
}

}  // namespace millrace::stac
