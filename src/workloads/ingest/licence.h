// Which licence a file is under, as SPDX says it, from a tag in its head or from the text of a licence.
#pragma once

#include <string>
#include <string_view>

namespace millrace::ingest {

// LICENSE, COPYING.md, licenses/MIT.txt, UNLICENSE … : a file that may hold the text of a licence.
bool may_hold_licence(std::string_view path);

// The SPDX identifiers of the licences whose text this is, in alphabetical order and with " AND " between
// them; empty: none that is known. A text of the GNU licences does not say whether later versions are meant:
// it is "GPL-3.0" and not "GPL-3.0-only". Any bytes; looks at the first 512 KiB.
std::string licence_of_text(std::string_view text);

// The expression behind the first "SPDX-License-Identifier:" of the first 8 KiB; empty when there is none or
// it is none. At most 200 bytes.
std::string licence_tag(std::string_view head);

// True for what can be an SPDX licence expression, such as "(MIT OR Apache-2.0)".
bool is_licence_expression(std::string_view text);

}  // namespace millrace::ingest
