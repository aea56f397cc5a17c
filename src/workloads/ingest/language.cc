#include "workloads/ingest/language.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/strings.h"
#include "workloads/ingest/language_table.h"

namespace millrace::ingest {
namespace {

constexpr size_t kBinaryLooks = 8000;
constexpr size_t kHeadLooks = 16 << 10;

using Candidates = std::vector<const Language*>;
using Words = std::unordered_map<std::string_view, Candidates>;

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::string_view word : base::split(text, ' '))
    if (!word.empty()) words.push_back(word);
  return words;
}

struct Index {
  Words extensions, file_names, interpreters;
  Index() {
    for (const Language& language : languages()) {
      for (auto word : words_of(language.extensions)) extensions[word].push_back(&language);
      for (auto word : words_of(language.file_names)) file_names[word].push_back(&language);
      for (auto word : words_of(language.interpreters)) interpreters[word].push_back(&language);
    }
  }
};

const Index& index_of_languages() {
  static const Index index;
  return index;
}

const Candidates* find(const Words& words, std::string_view word) {
  auto found = words.find(word);
  return found == words.end() ? nullptr : &found->second;
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// "#!/usr/bin/env -S python3 -u" -> "python".
std::string interpreter_of(std::string_view head) {
  if (!head.starts_with("#!")) return "";
  std::string_view line = head.substr(2, head.find_first_of("\r\n") - 2);
  std::vector<std::string_view> words;
  for (std::string_view word : base::split(line.substr(0, 256), ' '))
    if (!base::trim(word).empty()) words.push_back(base::trim(word));
  size_t at = 0;
  auto last_part = [](std::string_view path) { return path.substr(path.rfind('/') + 1); };
  if (words.empty()) return "";
  if (last_part(words[0]) == "env")
    for (at = 1; at < words.size() && (words[at].starts_with('-') || has(words[at], "="));) ++at;
  if (at >= words.size()) return "";
  std::string name = base::to_lower(last_part(words[at]));
  while (!name.empty() && (std::isdigit(static_cast<unsigned char>(name.back())) != 0 || name.back() == '.'))
    name.pop_back();
  return name;
}

// Marks that decide between languages of one extension: the first that is found wins. The first candidate is
// the one without marks.
struct Mark {
  std::string_view language, text;
};
constexpr Mark kMarks[] = {
    {"Objective-C", "@interface"},
    {"Objective-C", "@implementation"},
    {"Objective-C", "@protocol"},
    {"Objective-C", "#import"},
    {"C++", "template <"},
    {"C++", "template<"},
    {"C++", "namespace "},
    {"C++", "std::"},
    {"C++", "public:"},
    {"C++", "private:"},
    {"C++", "\nclass "},
    {"C++", "constexpr "},
    {"MATLAB", "\nfunction "},
    {"MATLAB", "end\n"},
    {"Prolog", ":-"},
    {"Perl", "use strict"},
    {"Perl", "$_"},
    {"Perl", "my $"},
    {"XML", "<!DOCTYPE TS"},
    {"XML", "<TS "},
    {"Coq", "Theorem "},
    {"Coq", "Lemma "},
    {"Coq", "Require Import"},
    {"V", "\nfn "},
    {"V", "module main"},
    {"TeX", "\\ProvidesClass"},
    {"TeX", "\\NeedsTeXFormat"},
    {"OpenCL", "__kernel"},
    {"OpenCL", "__global"},
    {"Puppet", "class "},
    {"Puppet", "=>"},
    {"PHP", "<?php"},
};
// Who has an extension when no mark says otherwise, where it is not the first in the alphabet.
constexpr Mark kUsual[] = {{"C", "h"},           {"Objective-C", "m"}, {"Perl", "pl"},
                           {"TypeScript", "ts"}, {"Verilog", "v"},     {"Common Lisp", "cl"},
                           {"Pascal", "pp"},     {"Apex", "cls"},      {"Bazel", "star"}};

const Language* choose(const Candidates& candidates, std::string_view extension, std::string_view head) {
  if (candidates.size() == 1) return candidates[0];
  auto named = [&](std::string_view name) -> const Language* {
    for (const Language* language : candidates)
      if (language->name == name) return language;
    return nullptr;
  };
  for (const Mark& mark : kMarks)
    if (const Language* language = named(mark.language); language != nullptr && has(head, mark.text))
      return language;
  for (const Mark& usual : kUsual)
    if (usual.text == extension)
      if (const Language* language = named(usual.language)) return language;
  return candidates[0];
}

const Language* by_content(std::string_view head) {
  auto named = [](std::string_view name) -> const Language* {
    for (const Language& language : languages())
      if (language.name == name) return &language;
    return nullptr;
  };
  std::string_view start = head;
  if (start.starts_with("\xef\xbb\xbf")) start.remove_prefix(3);
  start = base::trim(start);
  if (start.starts_with("<?xml")) return named(has(start, "<svg") ? "SVG" : "XML");
  if (start.starts_with("<?php")) return named("PHP");
  const std::string lower = base::to_lower(start.substr(0, 64));
  if (lower.starts_with("<!doctype html") || lower.starts_with("<html")) return named("HTML");
  if (start.starts_with("{\"") || start.starts_with("{\n")) return named("JSON");
  return nullptr;
}

// How a file ends in one of the comment marks at `at`: its length, or 0.
size_t mark_at(std::string_view text, size_t at, std::string_view mark) {
  return !mark.empty() && text.compare(at, mark.size(), mark) == 0 ? mark.size() : 0;
}

// Marks that are words ("rem", "dnl") or ask for their own line ("=begin") count only there.
bool is_word(std::string_view mark) {
  return std::isalpha(static_cast<unsigned char>(mark[0])) != 0 || mark[0] == '@' || mark[0] == ':';
}

class LineCounter {
 public:
  explicit LineCounter(const Language* language) {
    if (language == nullptr) return;
    for (std::string_view mark : words_of(language->line_comments)) line_marks_.push_back(mark);
    begin_ = language->block_begin;
    end_ = language->block_end;
    quotes_ = language->quotes;
    nested_ = language->nested && begin_ != end_;
    for (unsigned c = 0; c < 256; ++c) {
      const char byte = static_cast<char>(c);
      special_[c] = byte == '\n' || byte == '\r' || has(quotes_, std::string_view(&byte, 1)) ||
                    (!begin_.empty() && begin_[0] == byte) ||
                    std::any_of(line_marks_.begin(), line_marks_.end(),
                                [&](std::string_view mark) { return mark[0] == byte; });
    }
  }

  LineCount count(std::string_view text) {
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    size_t at = 0;
    while (at < text.size()) at = step(text, at);
    if (seen_) end_line();
    return count_;
  }

 private:
  void end_line() {
    if (code_)
      ++count_.code;
    else if (comment_)
      ++count_.comment;
    else
      ++count_.blank;
    code_ = comment_ = seen_ = false;
    quote_ = multiline(quote_) ? quote_ : '\0';
  }
  static bool multiline(char quote) { return quote == '`'; }

  size_t step(std::string_view text, size_t at) {
    const char c = text[at];
    if (c == '\n' || c == '\r') {
      seen_ = true;
      end_line();
      in_line_comment_ = false;
      return at + (c == '\r' && at + 1 < text.size() && text[at + 1] == '\n' ? 2 : 1);
    }
    seen_ = true;
    if (c == ' ' || c == '\t' || c == '\f' || c == '\v') return at + 1;
    if (in_line_comment_) {
      comment_ = true;
      const size_t end = text.find_first_of("\r\n", at);
      return end == std::string_view::npos ? text.size() : end;
    }
    if (depth_ > 0) return in_block(text, at);
    if (quote_ != '\0') {
      code_ = true;
      if (c == '\\' && at + 1 < text.size() && text[at + 1] != '\n' && text[at + 1] != '\r') return at + 2;
      if (c == quote_) quote_ = '\0';
      return at + 1;
    }
    return outside(text, at);
  }

  size_t in_block(std::string_view text, size_t at) {
    comment_ = true;
    if (const size_t length = mark_at(text, at, end_); length != 0) {
      --depth_;
      return at + length;
    }
    if (const size_t length = nested_ ? mark_at(text, at, begin_) : 0; length != 0) {
      ++depth_;
      return at + length;
    }
    return at + 1;
  }

  size_t outside(std::string_view text, size_t at) {
    if (!special_[static_cast<unsigned char>(text[at])]) {
      code_ = true;
      return at + 1;
    }
    const bool first = !code_ && !comment_;
    if (const size_t length = mark_at(text, at, begin_); length != 0 && (first || begin_[0] != '=')) {
      comment_ = true;
      ++depth_;
      return at + length;
    }
    for (std::string_view mark : line_marks_) {
      if (mark_at(text, at, mark) == 0) continue;
      // "a#b" in a shell script is a word; "rem" only begins a comment at the beginning.
      if (is_word(mark) && (!first || !ends_word(text, at + mark.size(), mark))) continue;
      if (mark == "#" && !first && at > 0 && text[at - 1] != ' ' && text[at - 1] != '\t') continue;
      comment_ = true;
      in_line_comment_ = true;
      return at + mark.size();
    }
    if (has(quotes_, text.substr(at, 1))) quote_ = text[at];
    code_ = true;
    return at + 1;
  }

  static bool ends_word(std::string_view text, size_t at, std::string_view mark) {
    return std::isalpha(static_cast<unsigned char>(mark.back())) == 0 || at >= text.size() ||
           std::isalnum(static_cast<unsigned char>(text[at])) == 0;
  }

  std::vector<std::string_view> line_marks_;
  std::string_view begin_, end_, quotes_;
  bool nested_ = false;
  std::array<bool, 256> special_{};
  LineCount count_;
  uint64_t depth_ = 0;
  char quote_ = '\0';
  bool code_ = false, comment_ = false, seen_ = false, in_line_comment_ = false;
};

}  // namespace

std::string_view to_text(Language::Kind kind) {
  static constexpr std::array<std::string_view, 4> kTexts = {"programming", "markup", "data", "prose"};
  return kTexts.at(static_cast<size_t>(kind));
}

const Language* language_of(std::string_view path, std::string_view head) {
  const Index& index = index_of_languages();
  head = head.substr(0, kHeadLooks);
  const std::string name = base::to_lower(path.substr(path.rfind('/') + 1));
  if (const Candidates* found = find(index.file_names, name)) return (*found)[0];
  if (name.starts_with("requirements") && name.ends_with(".txt"))
    return (*find(index.file_names, "requirements.txt"))[0];
  if (name.starts_with("dockerfile.") || name.starts_with("containerfile."))
    return (*find(index.file_names, "dockerfile"))[0];
  // From the first dot on, so that the longest extension wins.
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    const std::string_view extension = std::string_view(name).substr(dot + 1);
    if (const Candidates* found = find(index.extensions, extension)) return choose(*found, extension, head);
  }
  if (const std::string interpreter = interpreter_of(head); !interpreter.empty())
    if (const Candidates* found = find(index.interpreters, interpreter)) return (*found)[0];
  return by_content(head);
}

bool is_binary(std::string_view head) { return has(head.substr(0, kBinaryLooks), std::string_view("\0", 1)); }

LineCount count_lines(std::string_view text, const Language* language) {
  return LineCounter(language).count(text);
}

}  // namespace millrace::ingest
