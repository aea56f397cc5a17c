#include "objects/directory_view.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/hash.h"
#include "objects/store_errors.h"

namespace millrace::objects {
namespace {

// The ETag and the checksum of an object, computed from its bytes as S3 does: of the whole, and of each part.
class Recomputation {
 public:
  explicit Recomputation(const ObjectRecord& record)
      : record_(record), in_parts_(!record.part_sizes.empty()) {
    begin_part();
    if (record.checksum && !composite()) whole_.emplace(record.checksum->algorithm);
    if (in_parts_) left_ = record.part_sizes[0];
  }
  void update(std::string_view bytes) {
    if (whole_) whole_->update(bytes);
    while (!bytes.empty()) {
      if (in_parts_ && left_ == 0 && !next_part()) return;
      std::string_view piece =
          in_parts_ ? bytes.substr(0, static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()))) : bytes;
      md5_->update(piece);
      if (part_) part_->update(piece);
      if (in_parts_) left_ -= piece.size();
      bytes.remove_prefix(piece.size());
    }
  }
  // What does not match; empty when all does.
  std::string finish() {
    // Parts behind the bytes, empty ones for instance.
    if (in_parts_)
      while (left_ == 0 && next_part()) {
      }
    std::string etag;
    if (in_parts_) {
      end_part();
      etag = base::md5_hex(md5s_) + "-" + std::to_string(record_.part_sizes.size());
    } else {
      etag = base::hex(md5_->finish());
    }
    if (etag != record_.etag) return "its bytes have the ETag " + etag + ", stored is " + record_.etag;
    if (!record_.checksum) return "";
    std::string value = whole_ ? base::base64(whole_->finish())
                               : base::base64(checksum_of(record_.checksum->algorithm, checksums_)) + "-" +
                                     std::to_string(record_.part_sizes.size());
    if (value == record_.checksum->value) return "";
    return "its bytes have the " + std::string(checksum_name(record_.checksum->algorithm)) + " " + value +
           ", stored is " + record_.checksum->value;
  }

 private:
  bool composite() const { return record_.checksum->composite && in_parts_; }
  void begin_part() {
    md5_.emplace(base::Digest::Algorithm::kMd5);
    if (record_.checksum && composite()) part_.emplace(record_.checksum->algorithm);
  }
  void end_part() {
    md5s_ += md5_->finish();
    if (part_) checksums_ += part_->finish();
  }
  bool next_part() {
    if (at_ + 1 >= record_.part_sizes.size()) return false;
    end_part();
    begin_part();
    left_ = record_.part_sizes[++at_];
    return true;
  }

  const ObjectRecord& record_;
  bool in_parts_;
  size_t at_ = 0;
  uint64_t left_ = 0;  // of the part
  std::optional<base::Digest> md5_;
  std::optional<ChecksumDigest> whole_, part_;
  std::string md5s_, checksums_;  // raw, of the parts
};

std::string shown(const BucketRecord& bucket, const std::string& key, const std::string& version = "") {
  std::string text = "s3://" + bucket.name + "/" + key;
  return version.empty() || version == "null" ? text : text + " (version " + version + ")";
}

}  // namespace

DirectoryView::DirectoryView(const std::string& folder) {
  std::string path = folder + "/index.db";
  if (access(path.c_str(), R_OK | W_OK) != 0) {
    if (errno == ENOENT) throw base::NotFoundError("there are no objects in " + folder);
    throw base::DeniedError(base::system_message("open " + path, errno));
  }
  index_ = std::make_unique<ObjectIndex>(path, false);
  index_->check_version(path);
  files_ = std::make_unique<ContentFiles>(folder);
}

DirectoryView::~DirectoryView() = default;

BucketRecord DirectoryView::required_bucket(std::string_view name) {
  std::optional<BucketRecord> found = index_->bucket(name);
  if (!found) throw base::NotFoundError("there is no bucket " + std::string(name), "NoSuchBucket");
  return *found;
}

std::vector<BucketRecord> DirectoryView::buckets() {
  std::vector<BucketRecord> all;
  for (;;) {
    std::vector<BucketRecord> page = index_->buckets(all.empty() ? "" : all.back().name, 1000);
    all.insert(all.end(), page.begin(), page.end());
    if (page.size() < 1000) return all;
  }
}

ListPage DirectoryView::list(std::string_view bucket, const ListSpec& spec) {
  return list_page(*index_, required_bucket(bucket).id, spec);
}

void DirectoryView::list_versions(std::string_view bucket_name, std::string_view prefix,
                                  const std::function<bool(const ListedVersion&)>& visit) {
  // In pages: one long read would keep a running engine from tidying its log.
  constexpr size_t kPage = 1000;
  BucketRecord bucket = required_bucket(bucket_name);
  std::string from(prefix), previous;
  for (bool more = true; more;) {
    std::vector<ListedVersion> page;
    more = false;
    index_->scan_versions(bucket.id, from, [&](ListedVersion&& version) {
      if (!std::string_view(version.object.key).starts_with(prefix)) return false;
      // A page ends between two keys.
      if (page.size() >= kPage && version.object.key != page.back().object.key) {
        more = true;
        from = version.object.key;
        return false;
      }
      page.push_back(std::move(version));
      return true;
    });
    for (ListedVersion& version : page) {
      version.is_latest = version.object.key != previous;
      previous = version.object.key;
      if (!visit(version)) return;
    }
  }
}

std::optional<ObjectRecord> DirectoryView::find(int64_t bucket, std::string_view key,
                                                std::string_view version) {
  std::optional<ObjectRecord> current = index_->object(bucket, key);
  if (version.empty() || (current && current->version_id() == version)) return current;
  std::optional<VersionRef> wanted = parse_version_id(version);
  if (!wanted) throw invalid_version_id();
  return index_->version(bucket, key, *wanted);
}

void DirectoryView::read_content(ContentId content, uint64_t size,
                                 const std::function<void(std::string_view)>& sink) {
  if (content == 0 && size == 0) return;
  if (content < 0) {
    std::optional<std::string> data = index_->inline_data(content);
    if (!data) throw base::NotFoundError("its bytes are missing");
    if (data->size() != size)
      throw base::CorruptError("it has " + std::to_string(data->size()) + " bytes instead of " +
                               std::to_string(size));
    return sink(*data);
  }
  base::UniqueFd file = files_->open(content);
  std::string buffer(1 << 20, '\0');
  for (uint64_t at = 0;;) {
    ssize_t n = pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::CorruptError(base::system_message("it cannot be read", errno));
    at += static_cast<uint64_t>(n);
    if (at > size || (n == 0 && at != size))
      throw base::CorruptError("its file has " + std::string(at > size ? "more" : "fewer") + " bytes than " +
                               std::to_string(size));
    if (n == 0) return;
    sink({buffer.data(), static_cast<size_t>(n)});
  }
}

ObjectRecord DirectoryView::read(std::string_view bucket, std::string_view key, std::string_view version,
                                 const std::function<void(std::string_view)>& sink) {
  std::optional<ObjectRecord> record = find(required_bucket(bucket).id, key, version);
  if (!record || record->delete_marker) {
    if (version.empty() || record) throw no_such_key();
    throw no_such_version();
  }
  read_content(record->content, record->size, sink);
  return *record;
}

std::string DirectoryView::what_is_wrong(const ObjectRecord& record) {
  try {
    Recomputation recomputed(record);
    read_content(record.content, record.size, [&](std::string_view bytes) { recomputed.update(bytes); });
    return recomputed.finish();
  } catch (const base::Error& error) {
    return error.what();
  }
}

VerifyResult DirectoryView::verify(
    const std::function<void(const std::string& what, const std::string& why)>& damaged) {
  VerifyResult result;
  for (const BucketRecord& bucket : buckets()) {
    list_versions(bucket.name, "", [&](const ListedVersion& listed) {
      if (listed.delete_marker) return true;
      const std::string& key = listed.object.key;
      std::optional<ObjectRecord> record = find(bucket.id, key, listed.version_id);
      if (!record || record->sequence != listed.sequence) return true;
      std::string why = what_is_wrong(*record);
      if (!why.empty()) {
        // Replaced or deleted while it was read?
        std::optional<ObjectRecord> now = find(bucket.id, key, listed.version_id);
        if (!now || now->sequence != listed.sequence) return true;
        ++result.damaged;
        damaged(shown(bucket, key, listed.version_id), why);
      }
      ++result.objects;
      result.bytes += record->size;
      return true;
    });
    std::vector<UploadRecord> uploads;
    index_->scan_uploads(bucket.id, "", "", [&](UploadRecord&& upload) {
      uploads.push_back(std::move(upload));
      return true;
    });
    for (const UploadRecord& upload : uploads) {
      for (const PartRecord& part : index_->parts(upload.id, 0, 10'000)) {
        ObjectRecord as_object;
        as_object.content = part.content;
        as_object.size = part.size;
        as_object.etag = part.etag;
        as_object.checksum = part.checksum;
        std::string why = what_is_wrong(as_object);
        if (!why.empty()) {
          std::optional<PartRecord> now = index_->part(upload.id, part.number);
          if (!now || now->content != part.content) continue;
          ++result.damaged;
          damaged(shown(bucket, upload.key) + " (part " + std::to_string(part.number) +
                      " of the unfinished upload " + upload.upload_id + ")",
                  why);
        }
        ++result.parts;
        result.bytes += part.size;
      }
    }
  }
  return result;
}

}  // namespace millrace::objects
