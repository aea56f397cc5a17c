// Which language a file is in, and how its lines count.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::ingest {

struct Language {
  enum class Kind : uint8_t { kProgramming, kMarkup, kData, kProse };
  std::string_view name;
  Kind kind = Kind::kProgramming;
  // Blank-separated, in lower case; the longest that fits wins ("d.ts" before "ts").
  std::string_view extensions;
  std::string_view file_names;              // in lower case
  std::string_view interpreters;            // of "#!" lines, without version numbers
  std::string_view line_comments;           // blank-separated
  std::string_view block_begin, block_end;  // of comments; empty: it has none
  std::string_view quotes;                  // what begins and ends text in which no comment begins
  bool nested = false;                      // block comments may hold block comments
};
std::string_view to_text(Language::Kind kind);  // "programming", "markup", "data", "prose"

// By the name, else by the first line, else by what it holds. Null: not known. `head` is the beginning of the
// content, some KiB of it. Any bytes.
const Language* language_of(std::string_view path, std::string_view head);

// As git decides: a NUL among the first 8,000 bytes.
bool is_binary(std::string_view head);

struct LineCount {
  uint64_t code = 0, comment = 0, blank = 0;
  uint64_t all() const { return code + comment + blank; }
};

// A line with code on it is code, whatever comment it has too; one with nothing but blanks is blank, also
// within a comment. Lines end with LF, CRLF or CR; the last one need not. Without a language every line that
// is not blank is code. Linear in time, any bytes.
LineCount count_lines(std::string_view text, const Language* language);

}  // namespace millrace::ingest
