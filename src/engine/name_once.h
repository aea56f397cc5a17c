// Lists of rows to be written.
#pragma once

#include <algorithm>
#include <vector>

namespace millrace::engine {

// Adds `thing` to the rows to be written unless it is among them already.
template <typename T>
void name_once(std::vector<const T*>& list, const T& thing) {
  if (std::find(list.begin(), list.end(), &thing) == list.end()) list.push_back(&thing);
}

}  // namespace millrace::engine
