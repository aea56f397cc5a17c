// USD layers as text (.usda): which files they name, and the metadata of the layer.
#include <algorithm>

#include "base/strings.h"
#include "workloads/scan/scene_formats.h"

namespace millrace::scan {
namespace {

constexpr uint64_t kTextMax = 8 << 20;
constexpr size_t kPiece = 256 << 10;
constexpr size_t kPathMax = 4096;
constexpr size_t kWordMax = 128;
constexpr size_t kNestingMax = 1024;

// A scanner of the characters that carry structure: comments, quoted texts and asset paths are taken whole,
// and of the rest the last words are remembered, which say what an asset path is for.
class UsdaScanner {
 public:
  explicit UsdaScanner(SceneFacts& facts) : facts_(facts) {}

  void feed(std::string_view text) {
    for (char c : text) step(c);
  }
  // False when the text ends inside of something.
  bool ended_well() const { return state_ == State::kPlain && outer_names_.empty(); }

 private:
  enum class State : uint8_t { kPlain, kComment, kString, kPath };

  void step(char c) {
    switch (state_) {
      case State::kComment:
        if (c == '\n') state_ = State::kPlain;
        return;
      case State::kString:
        string_step(c);
        return;
      case State::kPath:
        path_step(c);
        return;
      case State::kPlain:
        break;
    }
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                c == ':' || c == '.' || c == '-' || c == '+';
    if (word) {
      if (word_.size() < kWordMax) word_ += c;
      return;
    }
    end_word();
    switch (c) {
      case '#':
        state_ = State::kComment;
        break;
      case '"':
      case '\'':
        state_ = State::kString;
        quote_ = c;
        quotes_ = 1;
        closing_ = 0;
        text_.clear();
        break;
      case '@':
        state_ = State::kPath;
        marks_ = 1;
        closing_ = 0;
        text_.clear();
        break;
      case '=':
        name_ = last_;
        break;
      case '(':
      case '{':
        if (outer_names_.size() >= kNestingMax) throw BudgetError("USD text nested over 1024 levels");
        outer_names_.push_back(std::move(name_));
        name_.clear();
        break;
      case ')':
      case '}':
        if (outer_names_.empty()) break;
        name_ = std::move(outer_names_.back());
        outer_names_.pop_back();
        metadata_over_ |= outer_names_.empty();
        break;
      default:
        break;
    }
  }

  void end_word() {
    if (word_.empty()) return;
    metadata_over_ |= outer_names_.empty();  // a prim
    if (in_layer_metadata() && !name_.empty()) set_number();
    last_.swap(word_);
    word_.clear();
  }

  // "…" or """…""", with backslashes.
  void string_step(char c) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == quote_) {
      if (text_.empty() && closing_ == 0 && quotes_ < 3) {
        // The second quote closes an empty text or is the second of three: the next character decides.
        if (++quotes_ == 3) return;
        return;
      }
      if (quotes_ == 1 || ++closing_ == 3) end_string();
      return;
    } else if (quotes_ == 2 && text_.empty()) {  // it was an empty text
      end_string();
      step(c);
      return;
    }
    closing_ = 0;
    if (text_.size() < kPathMax) text_ += c;
  }

  void end_string() {
    state_ = State::kPlain;
    if (!in_layer_metadata()) return;
    set_usd_text(facts_, name_, text_);
    name_.clear();
  }

  // @path@, or @@@path@@@ for one that has marks in it.
  void path_step(char c) {
    if (c == '@') {
      if (text_.empty() && closing_ == 0 && marks_ < 3) {
        ++marks_;
        return;
      }
      if (marks_ == 1 || ++closing_ == 3) end_path();
      return;
    }
    if (marks_ == 2 && text_.empty()) {  // an empty path
      state_ = State::kPlain;
      marks_ = 0;
      step(c);
      return;
    }
    while (closing_ > 0) {
      text_ += '@';
      --closing_;
    }
    if (text_.size() < kPathMax) text_ += c;
  }

  void end_path() {
    state_ = State::kPlain;
    closing_ = 0;
    add_scene_dependency(facts_, usd_kind(name_, text_), text_, name_);
  }

  // The parentheses before the first prim.
  bool in_layer_metadata() const { return outer_names_.size() == 1 && !metadata_over_; }

  void set_number() { set_usd_number(facts_, name_, base::parse_number<double>(word_)); }

  SceneFacts& facts_;
  State state_ = State::kPlain;
  std::string word_, last_, name_, text_;
  char quote_ = 0;
  unsigned quotes_ = 0, closing_ = 0, marks_ = 0;
  std::vector<std::string> outer_names_;  // of the brackets that are open: a list goes on behind them
  bool escaped_ = false, metadata_over_ = false;
};

}  // namespace

void read_usda(MediaBytes& bytes, uint64_t offset, uint64_t length, SceneFacts& facts) {
  facts.encoding = "ascii";
  std::string_view head =
      bytes.some(offset, static_cast<size_t>(std::min<uint64_t>(length, 64)), "USD header");
  if (!head.starts_with("#usda ")) corrupt("not a USD signature", offset);
  facts.version = clean_text(head.substr(6, std::min(head.find_first_of("\r\n"), head.size()) - 6), 16);
  UsdaScanner scanner(facts);
  uint64_t end = offset + std::min(length, kTextMax);
  for (uint64_t at = offset; at < end;) {
    std::string_view piece =
        bytes.some(at, static_cast<size_t>(std::min<uint64_t>(kPiece, end - at)), "USD text");
    if (piece.empty()) break;
    scanner.feed(piece);
    at += piece.size();
  }
  if (length > kTextMax)
    add_warning(facts.warning, "files were looked for in the first 8 MiB");
  else if (!scanner.ended_well())
    corrupt("truncated: the USD text ends inside of something", end);
}

}  // namespace millrace::scan
