// glTF: the JSON of a scene, read as it comes, of which only the few members that name files are kept.
#include <boost/json/basic_parser_impl.hpp>

#include "base/json.h"
#include "base/url.h"
#include "workloads/scan/media_type.h"
#include "workloads/scan/scene_formats.h"

namespace millrace::scan {
namespace {

namespace json = base::json;

constexpr uint64_t kTextMax = 8 << 20;  // of JSON that are read; data inside it can make it larger
constexpr size_t kPiece = 256 << 10;
constexpr size_t kDepthMax = 64;
constexpr size_t kValueMax = 4096;  // longer texts are data, not names
constexpr size_t kExtensionsMax = 256;

// Follows where in the document it is: root members, elements of "buffers" and "images".
class GltfHandler {
 public:
  // What basic_parser wants to know.
  static constexpr size_t max_object_size = size_t(-1);
  static constexpr size_t max_array_size = size_t(-1);
  static constexpr size_t max_key_size = size_t(-1);
  static constexpr size_t max_string_size = size_t(-1);

  explicit GltfHandler(SceneFacts& facts) : facts_(facts) {}

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return complete_ = true; }
  bool on_object_begin(json::error_code&) {
    if (++depth_ == 3 && in_files()) file_ = {};
    return true;
  }
  bool on_object_end(size_t, json::error_code&) {
    if (depth_-- == 3 && in_files()) finish_file();
    if (depth_ == 0) root_closed_ = true;
    return true;
  }
  bool on_array_begin(json::error_code&) {
    ++depth_;
    return true;
  }
  bool on_array_end(size_t, json::error_code&) {
    --depth_;
    return true;
  }
  bool on_key_part(json::string_view part, size_t, json::error_code&) {
    append(key_, part);
    return true;
  }
  bool on_key(json::string_view part, size_t, json::error_code&) {
    append(key_, part);
    if (depth_ == 1) root_ = key_;
    if (depth_ == 2) member_ = key_;
    if (depth_ == 3) field_ = key_;
    key_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, size_t, json::error_code&) {
    append(value_, part);
    return true;
  }
  bool on_string(json::string_view part, size_t, json::error_code&) {
    append(value_, part);
    keep_value();
    value_.clear();
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(int64_t value, json::string_view, json::error_code&) { return number(value >= 0); }
  bool on_uint64(uint64_t, json::string_view, json::error_code&) { return number(true); }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

  bool complete() const { return complete_ || root_closed_; }

 private:
  struct File {
    std::string uri, name;
    bool in_view = false;  // of a buffer of this file
  };

  static void append(std::string& text, json::string_view part) {
    if (text.size() < kValueMax) text.append(part.data(), std::min(part.size(), kValueMax - text.size()));
  }
  bool in_files() const { return root_ == "buffers" || root_ == "images"; }

  bool number(bool valid) {
    if (depth_ == 3 && root_ == "images" && field_ == "bufferView" && valid) file_.in_view = true;
    return true;
  }

  void keep_value() {
    if (depth_ == 2 && root_ == "asset") {
      if (member_ == "version") facts_.version = clean_text(value_, 32);
      if (member_ == "generator") facts_.generator = clean_text(value_, 255);
      if (member_ == "copyright") facts_.title = clean_text(value_, 255);
    } else if (depth_ == 2 && root_ == "extensionsUsed") {
      if (facts_.extensions.size() < kExtensionsMax) facts_.extensions.push_back(clean_text(value_, 255));
    } else if (depth_ == 3 && in_files()) {
      // glTF 1.0 has objects with names of their own instead of arrays.
      if (field_ == "uri") file_.uri = value_;
      if (field_ == "name") file_.name = clean_text(value_, 255);
    }
  }

  void finish_file() {
    bool image = root_ == "images";
    bool inside = file_.uri.starts_with("data:") || (file_.uri.empty() && (file_.in_view || !image));
    if (inside) {
      // Named by what is known of it, so that it is seen that the file has it.
      std::string name =
          !file_.name.empty() ? file_.name : (image ? "image " : "buffer ") + std::to_string(inside_++);
      add_scene_dependency(facts_, image ? "texture" : "gltf-buffer", name, image ? "image" : "buffer",
                           file_.name, true);
    } else {
      add_scene_dependency(facts_, image ? "texture" : "gltf-buffer", base::percent_decode(file_.uri),
                           image ? "image" : "buffer", file_.name);
    }
    field_.clear();
  }

  SceneFacts& facts_;
  size_t depth_ = 0;
  std::string root_, member_, field_, key_, value_;
  File file_;
  unsigned inside_ = 0;
  bool complete_ = false, root_closed_ = false;
};

void read_json(MediaBytes& bytes, uint64_t start, uint64_t length, SceneFacts& facts) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  options.allow_invalid_utf8 = true;
  json::basic_parser<GltfHandler> parser(options, facts);
  uint64_t end = start + std::min(length, kTextMax);
  uint64_t at = start;
  if (bytes.some(at, 3, "glTF") == "\xEF\xBB\xBF") at += 3;
  while (at < end && !parser.done()) {
    std::string_view piece =
        bytes.some(at, static_cast<size_t>(std::min<uint64_t>(kPiece, end - at)), "glTF");
    if (piece.empty()) break;
    json::error_code error;
    size_t used = parser.write_some(true, piece.data(), piece.size(), error);
    if (error) {
      if (parser.handler().complete()) return;  // blanks and the like after the end
      corrupt("not JSON: " + error.message(), at + used);
    }
    at += piece.size();
  }
  if (parser.handler().complete()) {
    if (facts.version.empty()) throw base::CorruptError("no asset version in the glTF");
    return;
  }
  if (length > kTextMax)
    add_warning(facts.warning, "files were looked for in the first 8 MiB");
  else
    throw base::CorruptError("truncated: the JSON ends at offset " + std::to_string(at));
}

}  // namespace

void read_gltf(MediaBytes& bytes, SceneFacts& facts) {
  facts.encoding = "ascii";
  read_json(bytes, 0, bytes.size(), facts);
}

void read_glb(MediaBytes& bytes, SceneFacts& facts) {
  std::string_view head = bytes.at(0, 12, "glTF header");
  if (!head.starts_with("glTF")) corrupt("not a glTF signature", 0);
  facts.encoding = "binary";
  uint32_t version = le32(head.data() + 4), length = le32(head.data() + 8);
  if (version == 1) {  // a length, a format, the JSON
    uint32_t text = bytes.read_le32(12, "glTF header");
    if (bytes.read_le32(16, "glTF header") != 0) corrupt("glTF content that is no JSON", 16);
    read_json(bytes, 20, text, facts);
  } else {
    uint32_t text = bytes.read_le32(12, "glTF chunk");
    if (bytes.read_be32(16, "glTF chunk") != 0x4A534F4E) corrupt("the first glTF chunk is no JSON", 16);
    check_end(uint64_t{20} + text, bytes.size(), "glTF JSON");
    read_json(bytes, 20, text, facts);
  }
  check_end(length, bytes.size(), "glTF");
}

}  // namespace millrace::scan
