// Wavefront OBJ and MTL: the material libraries that a model names, the pictures that a material names.
#include <algorithm>

#include "base/strings.h"
#include "workloads/scan/scene_formats.h"

namespace millrace::scan {
namespace {

constexpr uint64_t kObjMax =
    1 << 20;  // of a larger model only the beginning is looked at: that is where it says so
constexpr uint64_t kMtlMax = 8 << 20;
constexpr size_t kPiece = 256 << 10;
constexpr size_t kLineMax = 4096;  // longer lines are no names of files

// Calls line(text) for each line in the first `size_max` bytes; a backslash at the end continues it.
template <typename Function>
void each_line(MediaBytes& bytes, uint64_t size_max, Function&& line) {
  uint64_t end = std::min(bytes.size(), size_max);
  std::string joined;
  for (uint64_t at = 0; at < end;) {
    std::string_view piece =
        bytes.some(at, static_cast<size_t>(std::min<uint64_t>(kPiece, end - at)), "text");
    if (piece.find('\0') != std::string_view::npos) corrupt("not a text", at + piece.find('\0'));
    at += piece.size();
    while (!piece.empty()) {
      size_t newline = piece.find('\n');
      std::string_view part = piece.substr(0, newline);
      if (joined.size() < kLineMax) joined += part.substr(0, kLineMax - joined.size());
      if (newline == std::string_view::npos) break;
      piece.remove_prefix(newline + 1);
      // Blanks at the end are taken off for good, so that a file of continued lines costs no more than its
      // size.
      while (!joined.empty() && (joined.back() == '\r' || joined.back() == ' ' || joined.back() == '\t'))
        joined.pop_back();
      if (joined.ends_with('\\')) {
        joined.back() = ' ';
        continue;
      }
      line(base::trim(joined));
      joined.clear();
    }
  }
  if (end == bytes.size() && !joined.empty()) line(base::trim(joined));
}

std::string_view first_word(std::string_view& rest) {
  size_t end = std::min(rest.find_first_of(" \t"), rest.size());
  std::string_view word = rest.substr(0, end);
  rest = base::trim(rest.substr(end));
  return word;
}

bool is_number(std::string_view word) {
  return !word.empty() && word.find_first_not_of("0123456789+-.eE") == std::string_view::npos;
}

// Several libraries may stand in one line, and names may have blanks: a name ends with ".mtl".
void add_libraries(std::string_view rest, SceneFacts& facts) {
  while (!rest.empty()) {
    std::string lower = base::to_lower(rest);
    size_t end = 0;
    do {
      end = lower.find(".mtl", end);
      if (end != std::string::npos) end += 4;
    } while (end != std::string::npos && end < lower.size() && lower[end] != ' ' && lower[end] != '\t');
    if (end == std::string::npos) end = rest.size();
    add_scene_dependency(facts, "material-library", rest.substr(0, end), "mtllib");
    rest = base::trim(rest.substr(end));
  }
}

// The name of the picture after its options: "-bm 0.5 -o 0 0 0 wood.png".
std::string_view after_options(std::string_view rest) {
  while (rest.starts_with('-')) {
    std::string_view unchanged = rest;
    std::string option = base::to_lower(first_word(rest));
    if (option == "-o" || option == "-s" || option == "-t") {  // one to three numbers
      for (int i = 0; i < 3; ++i) {
        std::string_view ahead = rest;
        if (!is_number(first_word(ahead)) || ahead.empty()) break;
        rest = ahead;
      }
    } else if (option == "-mm") {
      first_word(rest);
      first_word(rest);
    } else if (option == "-blendu" || option == "-blendv" || option == "-cc" || option == "-clamp" ||
               option == "-texres" || option == "-bm" || option == "-boost" || option == "-imfchan" ||
               option == "-type") {
      first_word(rest);
    } else {
      return unchanged;  // a name that begins with a dash
    }
  }
  return rest;
}

bool names_a_picture(std::string_view keyword) {
  static constexpr std::string_view kOthers[] = {"bump", "disp", "decal", "refl", "norm"};
  return keyword.starts_with("map_") ||
         std::find(std::begin(kOthers), std::end(kOthers), keyword) != std::end(kOthers);
}

}  // namespace

void read_obj(MediaBytes& bytes, SceneFacts& facts) {
  facts.encoding = "ascii";
  bool known = false;
  each_line(bytes, kObjMax, [&](std::string_view line) {
    if (line.starts_with('#')) {
      if (facts.generator.empty() && !known) facts.generator = clean_text(base::trim(line.substr(1)), 255);
      return;
    }
    std::string_view rest = line;
    std::string_view keyword = first_word(rest);
    known |= keyword == "v" || keyword == "vn" || keyword == "vt" || keyword == "o" || keyword == "g" ||
             keyword == "mtllib" || keyword == "f" || keyword == "usemtl" || keyword == "s" ||
             keyword == "cstype";
    if (keyword == "mtllib") add_libraries(rest, facts);
  });
  if (!known) corrupt("no statement of an OBJ, end of the text", std::min(bytes.size(), kObjMax));
  if (bytes.size() > kObjMax)
    add_warning(facts.warning, "material libraries were looked for in the first MiB");
}

void read_mtl(MediaBytes& bytes, SceneFacts& facts) {
  facts.encoding = "ascii";
  std::string material;
  bool known = false;
  each_line(bytes, kMtlMax, [&](std::string_view line) {
    if (line.starts_with('#')) {
      if (facts.generator.empty() && !known) facts.generator = clean_text(base::trim(line.substr(1)), 255);
      return;
    }
    std::string_view rest = line;
    std::string keyword = base::to_lower(first_word(rest));
    if (keyword == "newmtl") {
      known = true;
      material = clean_text(rest, 255);
    } else if (names_a_picture(keyword) && keyword != "map_aat") {
      add_scene_dependency(facts, "texture", after_options(rest), keyword, material);
    }
  });
  if (!known) corrupt("no material in the MTL, end of the text", std::min(bytes.size(), kMtlMax));
  if (bytes.size() > kMtlMax) add_warning(facts.warning, "pictures were looked for in the first 8 MiB");
}

}  // namespace millrace::scan
