// Patterns of policy elements: '*', '?', and variables such as ${aws:username}.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::iam {

// The single value of a context key (given in lower case), nothing when the request has none.
using Variables = std::function<std::optional<std::string>(std::string_view key)>;

// True when the whole of `text` matches `pattern`: '*' any run of bytes, '?' one byte. What variables stand
// for counts literally; a variable without a value and without a default ("${key, 'default'}") matches
// nothing. ${*}, ${?} and ${$} are those characters. Without `variables` "${" is text, as in policies of
// version 2008-10-17. O(pattern * text) at worst.
bool wildcard_match(std::string_view pattern, std::string_view text, const Variables* variables,
                    bool ignore_case = false);

// The text with its variables replaced; nothing when one has no value.
std::optional<std::string> expand(std::string_view text, const Variables& variables);

}  // namespace millrace::iam
