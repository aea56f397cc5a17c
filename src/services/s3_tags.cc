#include "services/s3_tags.h"

#include <set>

#include "base/url.h"
#include "services/s3_call.h"

namespace millrace::services {

namespace json = base::json;

namespace {

constexpr size_t kKeyCharactersMax = 128, kValueCharactersMax = 256;

size_t characters(std::string_view utf8) {
  size_t count = 0;
  for (char c : utf8) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

// Letters, numbers and white space of any script, and + - = . _ : / @ (S3 user guide, "Categorizing your
// storage using tags"); what is outside ASCII is taken as a letter.
bool is_tag_text(std::string_view text) {
  for (char c : text) {
    auto u = static_cast<unsigned char>(c);
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || u >= 0x80;
    if (!letter && std::string_view(" +-=._:/@").find(c) == std::string_view::npos) return false;
  }
  return base::is_utf8(text);
}

}  // namespace

Tags parse_tags(std::string_view text) { return text.empty() ? Tags() : base::parse_query(text, true); }

std::string to_text(const Tags& tags) {
  std::string out;
  for (const auto& [key, value] : tags) {
    if (!out.empty()) out += '&';
    out += base::percent_encode(key) + "=" + base::percent_encode(value);
  }
  return out;
}

Tags tags_in(const json::array& set) {
  Tags tags;
  for (const json::value& item : set) {
    const json::object* tag = item.if_object();
    auto key = tag ? base::find_string(*tag, "Key") : std::nullopt;
    auto value = tag ? base::find_string(*tag, "Value") : std::nullopt;
    if (!key || !value) throw malformed_xml();
    tags.emplace_back(*key, *value);
  }
  return tags;
}

json::array tag_set(const Tags& tags) {
  json::array set;
  for (const auto& [key, value] : tags) set.push_back(json::object{{"Key", key}, {"Value", value}});
  return set;
}

void check_tags(const Tags& tags, size_t count_max) {
  if (tags.size() > count_max)
    throw s3_error("BadRequest", (count_max == kObjectTagsMax ? "Object" : "Bucket") +
                                     std::string(" tags cannot be greater than ") +
                                     std::to_string(count_max));
  std::set<std::string_view> seen;
  for (const auto& [key, value] : tags) {
    if (key.empty() || characters(key) > kKeyCharactersMax || !is_tag_text(key))
      throw s3_error("InvalidTag", "The TagKey you have provided is invalid");
    if (characters(value) > kValueCharactersMax || !is_tag_text(value))
      throw s3_error("InvalidTag", "The TagValue you have provided is invalid");
    if (!seen.insert(key).second)
      throw s3_error("InvalidTag", "Cannot provide multiple Tags with the same key");
  }
}

http::Response S3Service::get_object_tagging(Call& call) {
  objects::ObjectRecord record = store_.head(call.bucket(), call.key(), call.version());
  if (record.delete_marker) throw objects::DeleteMarkerError(record.version_id());
  json::object output{{"TagSet", json::array()}};
  for (const auto& [name, value] : record.headers)
    if (name == "x-amz-tagging") output["TagSet"] = tag_set(parse_tags(value));
  add_version(output, record);
  return call.answer(std::move(output));
}

http::Response S3Service::put_object_tagging(Call& call) {
  call.check_body();
  const json::object* tagging = base::find_object(call.input, "Tagging");
  const json::array* set = tagging ? base::find_array(*tagging, "TagSet") : nullptr;
  if (!set) throw malformed_xml();
  Tags tags = tags_in(*set);
  check_tags(tags, kObjectTagsMax);
  json::object output;
  add_version(output, store_.put_tags(call.bucket(), call.key(), call.version(), to_text(tags)));
  return call.answer(std::move(output));
}

http::Response S3Service::delete_object_tagging(Call& call) {
  json::object output;
  add_version(output, store_.put_tags(call.bucket(), call.key(), call.version(), ""));
  return call.answer(std::move(output));
}

}  // namespace millrace::services
