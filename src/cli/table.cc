#include "cli/table.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/strings.h"

namespace millrace::cli {
namespace {

constexpr size_t kUsualWidth = 80;
constexpr size_t kLastColumnMin = 24;  // narrower than this nobody can read a sentence
constexpr size_t kIndent = 4;

size_t terminal_width() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  auto width = base::parse_number<size_t>(columns ? columns : "");
  return width && *width > 0 ? *width : kUsualWidth;
}

bool in_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return !(no_colour && *no_colour) && terminal && std::string_view(terminal) != "dumb";
}

size_t width_of(const std::string& text) {
  return base::is_utf8(text) ? base::utf8_length(text) : text.size();
}

// At most `width` characters, the last of them an ellipsis when some are missing.
std::string cut(const std::string& text, size_t width) {
  if (width_of(text) <= width) return text;
  size_t end = 0;
  for (size_t characters = 0; end < text.size(); ++end)
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && ++characters == width) break;
  return text.substr(0, end) + "…";
}

const char* colour_of(const std::string& cell) {
  return cell == "FAILED" ? "\033[31m" : cell == "SUCCEEDED" ? "\033[32m" : "";
}

}  // namespace

void Table::add(std::vector<std::string> row) {
  for (std::string& cell : row)
    if (cell.empty()) cell = std::string(1, '-');
  rows_.push_back(std::move(row));
}

void Table::print() const {
  const bool terminal = isatty(STDOUT_FILENO) != 0, colour = terminal && in_colour();
  const size_t last = headings_.size() - 1;
  std::vector<size_t> columns;  // those shown, without the last
  std::vector<size_t> widths(headings_.size());
  size_t used = 0;
  for (size_t i = 0; i < last; ++i) {
    bool says_something = false;
    widths[i] = headings_[i].size();
    for (const auto& row : rows_) {
      widths[i] = std::max(widths[i], width_of(row[i]));
      says_something |= row[i] != "-";
    }
    if (terminal && !says_something) continue;
    columns.push_back(i);
    used += widths[i] + 2;
  }
  const size_t width = terminal ? terminal_width() : 0;
  const bool below = terminal && used + kLastColumnMin > width;  // the last column has its own line

  std::string line;
  auto begin = [&](const std::vector<std::string>& row, bool coloured) {
    line.clear();
    for (size_t i : columns) {
      const char* code = coloured ? colour_of(row[i]) : "";
      line += code + row[i] + (*code ? "\033[0m" : "");
      line.append(widths[i] + 2 - width_of(row[i]), ' ');
    }
  };
  auto end = [&](bool bold = false) {
    line.resize(line.find_last_not_of(' ') + 1);
    fmt::print("{}{}{}\n", bold ? "\033[1m" : "", line, bold ? "\033[0m" : "");
  };
  begin(headings_, false);
  if (!below) line += headings_[last];
  end(colour);
  for (const auto& row : rows_) {
    begin(row, colour);
    const std::string& text = row[last];
    if (!terminal) {
      line += text;
    } else if (text != "-") {
      if (below) {
        end();
        line.assign(kIndent, ' ');
      }
      line += cut(text, below ? std::max(width, kIndent + kLastColumnMin) - kIndent : width - used);
    }
    end();
  }
}

}  // namespace millrace::cli
