#include "objects/object_index_rows.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::objects {
namespace {

// "CRC32 F abc=" (full object) or "SHA256 C abc=-3" (composite).
std::string pack(const Checksum& checksum) {
  return std::string(checksum_name(checksum.algorithm)) + (checksum.composite ? " C " : " F ") +
         checksum.value;
}

}  // namespace

std::string pack(const StoredHeaders& headers) {
  std::string out;
  for (const auto& [name, value] : headers) (out += name) += '\0', (out += value) += '\0';
  return out;
}

StoredHeaders unpack(std::string_view packed) {
  StoredHeaders headers;
  while (!packed.empty()) {
    size_t name_end = packed.find('\0');
    size_t value_end = name_end == std::string_view::npos ? name_end : packed.find('\0', name_end + 1);
    if (value_end == std::string_view::npos)
      throw base::CorruptError("the object index holds damaged headers");
    headers.emplace_back(packed.substr(0, name_end), packed.substr(name_end + 1, value_end - name_end - 1));
    packed.remove_prefix(value_end + 1);
  }
  return headers;
}

void bind_checksum(sql::Statement& s, int parameter, const std::optional<Checksum>& checksum) {
  if (checksum)
    s.bind(parameter, pack(*checksum));
  else
    s.bind_null(parameter);
}

std::optional<Checksum> read_checksum(sql::Statement& s, int column) {
  if (s.is_null(column)) return std::nullopt;
  std::vector<std::string_view> words = base::split(s.text(column), ' ');
  std::optional<ChecksumAlgorithm> algorithm =
      words.size() == 3 ? parse_checksum_name(words[0]) : std::optional<ChecksumAlgorithm>();
  if (!algorithm) throw base::CorruptError("the object index holds a damaged checksum");
  return Checksum{*algorithm, words[1] == "C", std::string(words[2])};
}

void bind_object(sql::Statement& s, int64_t bucket, std::string_view key, const ObjectRecord& object) {
  s.bind(1, bucket)
      .bind_blob(2, key)
      .bind(3, object.content)
      .bind(4, static_cast<int64_t>(object.size))
      .bind(5, object.etag)
      .bind(6, object.modified);
  bind_checksum(s, 7, object.checksum);
  s.bind(8, object.sequence).bind_blob(9, pack(object.headers));
  if (object.part_sizes.empty()) {
    s.bind_null(10);
  } else {
    std::string parts;
    for (uint64_t size : object.part_sizes) (parts += parts.empty() ? "" : ",") += std::to_string(size);
    s.bind(10, parts);
  }
  s.bind(11, int64_t{object.null_version});
}

ObjectRecord read_object(sql::Statement& s) {
  ObjectRecord object;
  object.content = s.int64(0);
  object.size = static_cast<uint64_t>(s.int64(1));
  object.etag = s.text(2);
  object.modified = s.int64(3);
  object.checksum = read_checksum(s, 4);
  object.sequence = s.int64(5);
  object.headers = unpack(s.text(6));
  if (!s.is_null(7))
    for (std::string_view part : base::split(s.text(7), ','))
      object.part_sizes.push_back(base::parse_number<uint64_t>(part).value_or(0));
  object.null_version = s.int64(8) != 0;
  return object;
}

std::string storage_class_in(std::string_view packed) {
  while (!packed.empty()) {
    std::string_view name = packed.substr(0, packed.find('\0'));
    packed.remove_prefix(std::min(name.size() + 1, packed.size()));
    std::string_view value = packed.substr(0, packed.find('\0'));
    packed.remove_prefix(std::min(value.size() + 1, packed.size()));
    if (name == "x-amz-storage-class") return value == "STANDARD" ? "" : std::string(value);
  }
  return "";
}

}  // namespace millrace::objects
