// A key in the middle of a range of a bucket: where a listing is cut in two.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace millrace::copy {

// The first key behind `start_after` (relative); nothing when there is none.
using NextKey = std::function<std::optional<std::string>(const std::string& start_after)>;

// A key behind `behind` and before `until` (empty: no bound), with keys on both sides of it; nothing when
// none is found in `probes_max` questions. Finds the first place where later keys differ from `behind`, and
// there the character in the middle: of "shots/017/…" with folders up to "shots/099" one at "shots/058/…".
std::optional<std::string> split_key(const std::string& behind, const std::string& until,
                                     const NextKey& next_key, int probes_max);

}  // namespace millrace::copy
