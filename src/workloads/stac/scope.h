// What a file was asked to hold, kept in its footer: a run with --skip-existing must know whether the file
// that is there is what it would make.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "objects/store.h"

namespace millrace::stac {

inline constexpr const char* kScopesKey = "millrace-scopes";  // in the footer

struct Scope {
  std::vector<std::string> collections;  // none: all of the source
  std::string box;                       // as it was written; empty: the whole earth

  // Whatever `other` asks for was asked for here, too.
  bool covers(const Scope& other) const;
  std::string text() const;  // for messages: "HLSL30_2.0 in 1,2,3,4"
};

// All that is asked for was, if not at once: what was added by one merge after the other is there, too.
bool cover(const std::vector<Scope>& scopes, const Scope& asked);
std::string scopes_text(const std::vector<Scope>& scopes);  // as it stands in the footer
// Of a file, of which only the footer is read; nothing when it does not say. Throws NotFoundError,
// DeniedError, TransientError, CorruptError (no Parquet, or no such text).
std::optional<std::vector<Scope>> scopes_of(const objects::Location& file);

}  // namespace millrace::stac
