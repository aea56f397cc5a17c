// XML request bodies (REST-XML), read by shape into Millrace's JSON.
#pragma once

#include <optional>
#include <string_view>

#include "aws/model.h"
#include "base/json.h"

namespace millrace::aws {

// The content of the root element, which must be called `root`, as a value of `structure`. Only members bound
// to the body are read; unknown elements are skipped; name-space prefixes do not matter. Nothing when `xml`
// is not well-formed, has another root, or a value has the wrong type. No entity but XML's own five is ever
// expanded.
std::optional<base::json::object> read_xml(const Shape& structure, std::string_view root,
                                           std::string_view xml);

}  // namespace millrace::aws
