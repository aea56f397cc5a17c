// Multipart uploads of the directory store.
#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "objects/directory_store.h"
#include "objects/directory_store_reading.h"
#include "objects/store_errors.h"

namespace millrace::objects {
namespace {

constexpr int kPartsMax = 10'000;
constexpr size_t kKeyBytesMax = 1024;

// "…-N" of the parts' raw checksums.
std::string composite(const std::string& raw, size_t parts) {
  return base::base64(raw) + "-" + std::to_string(parts);
}

// The checksum of the whole object from those of its parts; nothing when a part has none.
std::optional<Checksum> checksum_of_parts(const UploadRecord& upload, const std::vector<PartRecord>& parts) {
  if (!upload.algorithm) return std::nullopt;
  ChecksumAlgorithm algorithm = *upload.algorithm;
  std::string all, combined;
  for (const PartRecord& part : parts) {
    if (!part.checksum || part.checksum->algorithm != algorithm) return std::nullopt;
    std::string raw = base::unbase64(part.checksum->value).value_or("");
    if (upload.full_object)
      combined = combined.empty() ? raw : combine_crc(algorithm, combined, raw, part.size);
    else
      all += raw;
  }
  if (upload.full_object) return Checksum{algorithm, false, base::base64(combined)};
  return Checksum{algorithm, true, composite(checksum_of(algorithm, all), parts.size())};
}

}  // namespace

UploadRecord DirectoryStore::required_upload(ObjectIndex& index, std::string_view bucket,
                                             std::string_view key, std::string_view upload_id) {
  BucketRecord owner = required_bucket(index, bucket);
  std::optional<UploadRecord> upload = index.upload(upload_id);
  if (!upload || upload->bucket != owner.id || upload->key != key) throw no_such_upload();
  return *upload;
}

std::string DirectoryStore::create_upload(const std::string& bucket, const std::string& key,
                                          StoredHeaders headers, std::optional<ChecksumAlgorithm> algorithm,
                                          bool full_object) {
  if (key.empty() || key.size() > kKeyBytesMax) throw key_too_long();
  UploadRecord upload;
  upload.key = key;
  upload.upload_id = base::random_alphanumeric(64);
  upload.initiated = now();
  upload.headers = std::move(headers);
  upload.algorithm = algorithm;
  upload.full_object = full_object;
  commits_->run([&](Commit& commit) {
    upload.bucket = required_bucket(commit.index, bucket).id;
    commit.index.insert_upload(upload);
  });
  return upload.upload_id;
}

UploadRecord DirectoryStore::upload(std::string_view bucket, std::string_view key,
                                    std::string_view upload_id) {
  Reading index(*this);
  return required_upload(*index, bucket, key, upload_id);
}

std::unique_ptr<ObjectWriter> DirectoryStore::put_part(PartSpec spec) {
  if (spec.number < 1 || spec.number > kPartsMax)
    throw base::UsageError("Part number must be an integer between 1 and 10000, inclusive",
                           "InvalidArgument");
  UploadRecord known = upload(spec.bucket, spec.key, spec.upload_id);
  // The upload said which checksum it wants: a part without its own gets it computed.
  if (known.algorithm && !spec.integrity.algorithm) spec.integrity.algorithm = known.algorithm;
  std::unique_ptr<ObjectWriter> writer(new ObjectWriter(*this, spec.integrity));
  writer->apply_ = [this, spec = std::move(spec)](Commit& commit, ContentId content, PutResult& result) {
    UploadRecord upload = required_upload(commit.index, spec.bucket, spec.key, spec.upload_id);
    if (std::optional<PartRecord> existing = commit.index.part(upload.id, spec.number))
      commit.release(existing->content);
    commit.index.put_part(upload.id,
                          {spec.number, content, result.size, result.etag, result.modified, result.checksum});
  };
  return writer;
}

std::vector<PartRecord> DirectoryStore::parts(std::string_view bucket, std::string_view key,
                                              std::string_view upload_id, int after, size_t limit) {
  Reading index(*this);
  UploadRecord upload = required_upload(*index, bucket, key, upload_id);
  return index->parts(upload.id, after, limit);
}

PutResult DirectoryStore::complete_upload(const std::string& bucket, const std::string& key,
                                          const std::string& upload_id,
                                          const std::vector<CompletedPart>& wanted,
                                          const std::string& expected_checksum,
                                          const WriteConditions& conditions, const Requester& requester) {
  UploadRecord upload;
  std::vector<PartRecord> uploaded;
  {
    Reading index(*this);
    upload = required_upload(*index, bucket, key, upload_id);
    uploaded = index->parts(upload.id, 0, kPartsMax);
  }
  std::vector<PartRecord> chosen;
  for (const CompletedPart& part : wanted) {
    if (!chosen.empty() && part.number <= chosen.back().number) throw invalid_part_order();
    auto found = std::lower_bound(uploaded.begin(), uploaded.end(), part.number,
                                  [](const PartRecord& p, int number) { return p.number < number; });
    if (found == uploaded.end() || found->number != part.number || found->etag != part.etag)
      throw invalid_part();
    if (part.checksum && found->checksum && found->checksum->algorithm == part.checksum->algorithm &&
        found->checksum->value != part.checksum->value)
      throw invalid_part();
    chosen.push_back(*found);
  }
  if (chosen.empty()) throw invalid_part();
  ObjectRecord record;
  std::string md5s;
  for (const PartRecord& part : chosen) {
    if (&part != &chosen.back() && part.size < options_.part_bytes_min) throw entity_too_small();
    md5s += base::unhex(part.etag).value_or("");
    record.size += part.size;
    record.part_sizes.push_back(part.size);
  }
  record.etag = base::md5_hex(md5s) + "-" + std::to_string(chosen.size());
  record.modified = now();
  record.headers = upload.headers;
  record.checksum = checksum_of_parts(upload, chosen);
  if (!expected_checksum.empty() && record.checksum) {
    std::string_view stored = record.checksum->value;
    if (stored != expected_checksum && stored.substr(0, stored.find('-')) != expected_checksum)
      throw bad_checksum(checksum_name(record.checksum->algorithm));
  }
  // A single part is the object already; several are put together in a new file.
  std::string version_id;
  ContentId assembled = 0;
  if (chosen.size() == 1) {
    record.content = chosen[0].content;
  } else {
    assembled = next_content();
    record.content = assembled;
  }
  try {
    if (assembled != 0) {
      base::UniqueFd file = files_.create(assembled);
      for (const PartRecord& part : chosen) {
        if (part.content > 0) {
          base::UniqueFd source = files_.open(part.content);
          append_from(file.get(), source.get(), 0, part.size);
        } else if (part.content < 0) {
          Reading index(*this);
          std::optional<std::string> data = index->inline_data(part.content);
          if (!data) throw no_such_upload();
          write_all(file.get(), *data);
        }
      }
      sync_data(file.get());
    }
    PutSpec spec{bucket, key, {}, {}, conditions, requester};
    commits_->run([&](Commit& commit) {
      UploadRecord again = required_upload(commit.index, bucket, key, upload_id);
      std::vector<PartRecord> current = commit.index.parts(again.id, 0, kPartsMax);
      for (const PartRecord& part : chosen) {
        bool same = std::any_of(current.begin(), current.end(), [&](const PartRecord& p) {
          return p.number == part.number && p.content == part.content;
        });
        if (!same) throw invalid_part();  // replaced while it was being put together
      }
      for (const PartRecord& part : current)
        if (part.content != record.content) commit.release(part.content);
      commit.index.erase_upload(again.id);
      commit.adopt(assembled);
      version_id = replace(commit, spec, record, "CompleteMultipartUpload");
    });
  } catch (const base::NotFoundError& error) {
    if (assembled != 0) files_.remove(assembled);
    // A part's file that vanished means that somebody completed or aborted the upload meanwhile.
    if (error.code().empty()) throw no_such_upload();
    throw;
  } catch (...) {
    if (assembled != 0) files_.remove(assembled);
    throw;
  }
  return {record.etag, record.size, record.modified, record.checksum, version_id};
}

void DirectoryStore::abort_upload(const std::string& bucket, const std::string& key,
                                  const std::string& upload_id) {
  commits_->run([&](Commit& commit) {
    UploadRecord upload = required_upload(commit.index, bucket, key, upload_id);
    for (const PartRecord& part : commit.index.parts(upload.id, 0, kPartsMax)) commit.release(part.content);
    commit.index.erase_upload(upload.id);
  });
}

UploadPage DirectoryStore::uploads(std::string_view bucket_name, std::string_view prefix,
                                   std::string_view delimiter, std::string_view after_key,
                                   std::string_view after_id, size_t limit) {
  Reading index(*this);
  BucketRecord bucket = required_bucket(*index, bucket_name);
  UploadPage page;
  if (limit == 0) return page;
  // Without an id the key itself is done: "~" sorts above every id.
  std::string id(after_id.empty() && !after_key.empty() ? "~" : after_id);
  index->scan_uploads(bucket.id, after_key, id, [&](UploadRecord&& upload) {
    std::string_view key = upload.key;
    if (!key.starts_with(prefix)) return key < prefix;
    size_t at = delimiter.empty() ? std::string_view::npos : key.find(delimiter, prefix.size());
    std::string common(at == std::string_view::npos ? std::string_view()
                                                    : key.substr(0, at + delimiter.size()));
    if (!common.empty() && ((!page.common_prefixes.empty() && page.common_prefixes.back() == common) ||
                            std::string_view(after_key).starts_with(common)))
      return true;
    if (page.uploads.size() + page.common_prefixes.size() == limit) {
      page.truncated = true;
      return false;
    }
    if (common.empty())
      page.uploads.push_back(std::move(upload));
    else
      page.common_prefixes.push_back(std::move(common));
    return true;
  });
  return page;
}

}  // namespace millrace::objects
