// A table on standard output: fitted to a terminal, plain columns elsewhere.
#pragma once

#include <string>
#include <vector>

namespace millrace::cli {

// The last column is free text, the others hold one word each. On a terminal a column that says nothing in
// any row is left out, FAILED and SUCCEEDED have colours (not with NO_COLOR or TERM=dumb), and the last
// column is cut to the width, on a line of its own where it has no room. Elsewhere every row is one whole
// line, and
// '-' stands for an empty cell.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  void add(std::vector<std::string> row);  // as many cells as headings; '-' and "" are empty
  bool empty() const { return rows_.empty(); }
  void print() const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace millrace::cli
