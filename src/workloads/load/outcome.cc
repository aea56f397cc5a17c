#include "workloads/load/outcome.h"

#include <algorithm>

namespace millrace::load {

const char* needless(Mode mode, const SourceVersion& version, const std::vector<LedgerEntry>& of_source,
                     const std::vector<LedgerEntry>& of_table) {
  if (version.version.empty()) return nullptr;
  if (mode == Mode::kAppend) {
    const bool found = std::any_of(of_source.begin(), of_source.end(), [&](const LedgerEntry& entry) {
      return entry.version == version.version;
    });
    return found ? "already" : nullptr;
  }
  if (of_source.empty()) return nullptr;
  const LedgerEntry& last = of_source.front();
  if (last.version != version.version) return last.modified > version.modified ? "superseded" : nullptr;
  // Other rows may have come in between: a replaced table is what was loaded last, of whatever and however.
  if (mode == Mode::kReplace && !of_table.empty() &&
      (of_table.front().source != version.name || of_table.front().mode != mode_name(mode)))
    return nullptr;
  return "already";
}

}  // namespace millrace::load
