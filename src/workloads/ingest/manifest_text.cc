// Manifests that are programs or lines: Gradle, requirements.txt, go.mod, CMake, Bundler. Read by their usual
// forms, never run.
#include <array>
#include <cctype>
#include <string>
#include <vector>

#include "base/strings.h"
#include "workloads/ingest/manifest.h"

namespace millrace::ingest {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
}
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Pieces of a program: words, texts in quotes (without them) and single signs. Comments are left out.
struct Token {
  enum class Kind : uint8_t { kWord, kText, kSign, kLine, kEnd } kind = Kind::kEnd;
  std::string_view text;
  bool is(char sign) const { return kind == Kind::kSign && text[0] == sign; }
};

class Tokens {
 public:
  // `comments`: 'c' for // and /* */, '#' for these.
  Tokens(std::string_view text, char comments) : text_(text), comments_(comments) {}

  Token next() {
    skip();
    if (at_ >= text_.size()) return {};
    const char c = text_[at_];
    const size_t begin = at_++;
    if (c == '\n') return {Token::Kind::kLine, text_.substr(begin, 1)};
    if (c == '"' || c == '\'') {
      while (at_ < text_.size() && text_[at_] != c && text_[at_] != '\n')
        at_ += text_[at_] == '\\' && at_ + 1 < text_.size() ? 2 : 1;
      const std::string_view inner = text_.substr(begin + 1, at_ - begin - 1);
      if (at_ < text_.size() && text_[at_] == c) ++at_;
      return {Token::Kind::kText, inner};
    }
    if (!is_word(c)) return {Token::Kind::kSign, text_.substr(begin, 1)};
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    return {Token::Kind::kWord, text_.substr(begin, at_ - begin)};
  }

 private:
  bool here(std::string_view mark) const { return text_.compare(at_, mark.size(), mark) == 0; }
  void skip() {
    for (;;) {
      while (at_ < text_.size() && is_blank(text_[at_]) && text_[at_] != '\n') ++at_;
      if (comments_ == 'c' ? here("//") : here("#")) {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (comments_ == 'c' && here("/*")) {
        const size_t end = text_.find("*/", at_ + 2);
        at_ = end == std::string_view::npos ? text_.size() : end + 2;
      } else {
        return;
      }
    }
  }

  std::string_view text_;
  char comments_;
  size_t at_ = 0;
};

std::vector<std::string_view> lines_of(std::string_view content) { return base::split(content, '\n'); }

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  size_t at = 0;
  while (at < line.size()) {
    while (at < line.size() && is_blank(line[at])) ++at;
    const size_t begin = at;
    while (at < line.size() && !is_blank(line[at])) ++at;
    if (at > begin) words.push_back(line.substr(begin, at - begin));
  }
  return words;
}

// ---- Gradle ----

std::string_view gradle_scope(std::string_view configuration) {
  const std::string lower = base::to_lower(configuration);
  auto has = [&](std::string_view part) { return lower.find(part) != std::string::npos; };
  if (!(has("implementation") || has("api") || has("compile") || has("runtime") ||
        has("annotationprocessor") || has("kapt") || has("ksp") || lower == "classpath" || has("provided")))
    return "";
  if (has("test")) return "test";
  if (has("annotationprocessor") || has("kapt") || has("ksp") || lower == "classpath" || has("compileonly") ||
      has("provided"))
    return "build";
  return has("debug") ? "development" : "runtime";
}

// "group:artifact:version[:classifier][@ext]"
void add_coordinates(Manifest& manifest, std::string_view text, std::string_view scope) {
  const std::vector<std::string_view> parts = base::split(text.substr(0, text.find('@')), ':');
  if (parts.size() < 2 || parts[0].empty() || parts[1].empty() ||
      text.find_first_of(" \t/\\") != std::string_view::npos)
    return;
  add(manifest, "maven", std::string(parts[0]) + ":" + std::string(parts[1]),
      parts.size() > 2 ? parts[2] : std::string_view(), scope);
}

// ---- CMake ----

std::string_view without_quotes(const Token& token) { return token.text; }

void read_find_package(Manifest& manifest, const std::vector<Token>& arguments) {
  if (arguments.empty()) return;
  std::string_view version;
  bool required = false;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i].text;
    if (i == 1 && !word.empty() && std::isdigit(static_cast<unsigned char>(word[0])) != 0) version = word;
    if (word == "REQUIRED") required = true;
  }
  add(manifest, "cmake", without_quotes(arguments[0]), version, required ? "build" : "optional");
}

// pkg_check_modules(PREFIX [REQUIRED] [QUIET] … module[>=version]…)
void read_pkg_check(Manifest& manifest, const std::vector<Token>& arguments) {
  static constexpr std::array<std::string_view, 6> kWords = {
      "REQUIRED", "QUIET", "NO_CMAKE_PATH", "IMPORTED_TARGET", "GLOBAL", "NO_CMAKE_ENVIRONMENT_PATH"};
  bool required = false;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i].text;
    bool known = false;
    for (std::string_view one : kWords) known = known || word == one;
    if (word == "REQUIRED") required = true;
    if (known) continue;
    const size_t end = word.find_first_of("<>=");
    add(manifest, "pkgconfig", word.substr(0, end),
        end == std::string_view::npos ? std::string_view() : word.substr(end),
        required ? "build" : "optional");
  }
}

// ---- Bundler ----

bool is_group_of_development(std::string_view line) {
  return line.find(":development") != std::string_view::npos || line.find(":test") != std::string_view::npos;
}

}  // namespace

Manifest read_gradle(std::string_view content) {
  Manifest manifest;
  Tokens tokens(content, 'c');
  Token token = tokens.next();
  while (token.kind != Token::Kind::kEnd) {
    const std::string_view scope =
        token.kind == Token::Kind::kWord ? gradle_scope(token.text) : std::string_view();
    if (scope.empty()) {
      token = tokens.next();
      continue;
    }
    token = tokens.next();
    // Up to the end of the line: platform(…), quotes, group: '…', name: '…', version: '…'.
    std::string group, name, version;
    std::string_view member;
    int open = 0;
    for (; token.kind != Token::Kind::kEnd && !(token.kind == Token::Kind::kLine && open == 0);
         token = tokens.next()) {
      if (token.is('(')) ++open;
      if (token.is(')') && --open < 0) break;
      if (token.is('{') || token.is('}')) break;
      if (token.kind == Token::Kind::kWord) member = token.text;
      if (token.kind != Token::Kind::kText) continue;
      if (member == "group")
        group = token.text;
      else if (member == "name")
        name = token.text;
      else if (member == "version")
        version = token.text;
      else if (member != "project" && member != "path" && member != "files" && member != "fileTree" &&
               member != "module" && member != "exclude")
        add_coordinates(manifest, token.text, scope);
      member = "";
    }
    if (!group.empty() && !name.empty()) add(manifest, "maven", group + ":" + name, version, scope);
  }
  return manifest;
}

Manifest read_requirements(std::string_view content) {
  Manifest manifest;
  std::string joined;
  for (std::string_view line : lines_of(content)) {
    while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const bool goes_on = line.ends_with('\\');
    if (goes_on) line.remove_suffix(1);
    joined += line;
    if (goes_on && joined.size() < (64 << 10)) continue;
    std::string_view text = joined;
    if (const size_t comment = text.find(" #"); comment != std::string_view::npos)
      text = text.substr(0, comment);
    text = base::trim(text);
    // "-e git+https://…#egg=name", "git+https://…": by the name at its end.
    if (const size_t egg = text.find("#egg="); egg != std::string_view::npos) {
      const std::string_view name = text.substr(egg + 5);
      add(manifest, "pypi", name.substr(0, name.find_first_of("[& ")), "", "runtime");
    } else if (!text.empty() && text[0] != '#' && text[0] != '-') {
      text = text.substr(0, text.find(" --"));  // --hash=…
      if (text.find("://") == std::string_view::npos || text.find('@') != std::string_view::npos)
        add_python(manifest, text, "runtime");
    }
    joined.clear();
  }
  return manifest;
}

Manifest read_go_mod(std::string_view content) {
  Manifest manifest;
  bool in_require = false, in_tool = false;
  for (std::string_view line : lines_of(content)) {
    const size_t comment = line.find("//");
    const bool indirect =
        comment != std::string_view::npos && line.substr(comment).find("indirect") != std::string_view::npos;
    std::vector<std::string_view> words = words_of(line.substr(0, comment));
    if (words.empty()) continue;
    if (words[0] == ")") {
      in_require = in_tool = false;
      continue;
    }
    if (words[0] == "module" && words.size() > 1) manifest.name = words[1];
    const bool opens = words.back() == "(";
    if (words[0] == "require" && opens) {
      in_require = true;
    } else if (opens) {
      in_tool = true;
    } else if (in_tool) {
      continue;
    } else {
      if (words[0] == "require")
        words.erase(words.begin());
      else if (!in_require)
        continue;
      if (words.size() >= 2) add(manifest, "golang", words[0], words[1], indirect ? "indirect" : "runtime");
    }
  }
  return manifest;
}

Manifest read_cmake(std::string_view content) {
  Manifest manifest;
  Tokens tokens(content, '#');
  for (Token token = tokens.next(); token.kind != Token::Kind::kEnd;) {
    const std::string command = token.kind == Token::Kind::kWord ? base::to_lower(token.text) : std::string();
    token = tokens.next();
    if (command.empty() || !token.is('(')) continue;
    std::vector<Token> arguments;
    std::string joined;
    const bool packages = command == "find_package" || command == "find_dependency";
    const bool modules = command == "pkg_check_modules" || command == "pkg_search_module";
    int open = 1;
    // An argument is what stands between blanks: "gtk+-3.0>=3.2" has several tokens.
    const char* end = nullptr;
    for (token = tokens.next(); token.kind != Token::Kind::kEnd; token = tokens.next()) {
      if (token.is('(')) ++open;
      if (token.is(')') && --open == 0) break;
      if (token.kind == Token::Kind::kLine || !(packages || modules)) continue;
      if (token.kind != Token::Kind::kText && end == token.text.data() && !arguments.empty() &&
          arguments.back().kind != Token::Kind::kText) {
        Token& last = arguments.back();
        last.text = {last.text.data(), last.text.size() + token.text.size()};
      } else if (arguments.size() < 1000) {
        arguments.push_back(token);
      }
      end = token.text.data() + token.text.size();
    }
    if (token.kind != Token::Kind::kEnd) token = tokens.next();
    if (packages) read_find_package(manifest, arguments);
    if (modules) read_pkg_check(manifest, arguments);
  }
  return manifest;
}

Manifest read_gemfile(std::string_view content) {
  Manifest manifest;
  std::vector<bool> blocks;  // whether each open one is a group for development
  for (std::string_view line : lines_of(content)) {
    line = base::trim(line);
    const std::vector<std::string_view> words = words_of(line);
    if (words.empty() || words[0][0] == '#') continue;
    if (words[0] == "end" && !blocks.empty()) blocks.pop_back();
    if (words.back() == "do" || words[0] == "if" || words[0] == "unless" || words[0] == "case") {
      const bool development =
          (words[0] == "group" && is_group_of_development(line)) || (!blocks.empty() && blocks.back());
      if (blocks.size() < 1000) blocks.push_back(development);
    }
    if (words[0] != "gem" && !words[0].starts_with("gem(")) continue;
    Tokens tokens(line.substr(3), '#');
    std::string name, version;
    bool option = false;
    std::string_view before;
    for (Token token = tokens.next(); token.kind != Token::Kind::kEnd; token = tokens.next()) {
      // What stands behind `git:` or `:require =>` is no version.
      if (token.is(':') || token.is('>')) {
        option = before != ",";
      } else if (token.is(',')) {
        option = false;
      } else if (token.kind == Token::Kind::kText) {
        if (name.empty())
          name = token.text;
        else if (!option && !token.text.empty())
          (version.empty() ? version : version += ", ") += token.text;
        option = false;
      }
      before = token.text;
    }
    const bool development = (!blocks.empty() && blocks.back()) || is_group_of_development(line);
    add(manifest, "gem", name, version, development ? "development" : "runtime");
  }
  return manifest;
}

Manifest read_gemfile_lock(std::string_view content) {
  Manifest manifest;
  bool in_specs = false;
  for (std::string_view line : lines_of(content)) {
    while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!line.starts_with(' ')) in_specs = false;
    if (base::trim(line) == "specs:") {
      in_specs = true;
      continue;
    }
    // "    name (1.2.3)"; what a gem asks for stands deeper.
    if (!in_specs || !line.starts_with("    ") || line.starts_with("     ")) continue;
    const std::vector<std::string_view> words = words_of(line);
    if (words.size() < 2 || !words[1].starts_with('(') || !words[1].ends_with(')')) continue;
    add(manifest, "gem", words[0], words[1].substr(1, words[1].size() - 2), "runtime", true);
  }
  return manifest;
}

}  // namespace millrace::ingest
