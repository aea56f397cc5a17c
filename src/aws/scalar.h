// One value of a model in text form (query parameters, headers, form fields, XML) or in JSON, to and from
// Millrace's JSON (protocol.h says how each type looks in it).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "aws/model.h"
#include "base/json.h"
#include "base/time.h"

namespace millrace::aws {

// Nothing when `text` is not of the member's type. `storage` is where a string is put.
std::optional<base::json::value> scalar_from_text(const Member& member, std::string_view text,
                                                  const base::json::storage_ptr& storage = {});

// Text for a header, query or XML. Throws InternalError when the value has another type than the member.
// `with_ms`: ISO 8601 timestamps always carry milliseconds (S3).
std::string scalar_to_text(const Member& member, const base::json::value& value, bool with_ms = false);

// Seconds since the epoch as JSON writes them (1763734705.123) to milliseconds; nothing when out of range.
std::optional<base::TimeMs> epoch_seconds_to_ms(const base::json::value& value);

// What JSON calls it, for error texts: "STRING_VALUE", "START_OBJECT".
std::string_view json_token(const base::json::value& value);
std::string_view type_name(ShapeType type);  // "Integer"

}  // namespace millrace::aws
