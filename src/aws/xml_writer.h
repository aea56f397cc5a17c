// Millrace's JSON written as XML by shape: replies of Query and REST-XML.
#pragma once

#include <string>
#include <string_view>

#include "aws/model.h"
#include "base/json.h"

namespace millrace::aws {

// Appends text with XML's special characters, quotes, and the control characters that survive (as references)
// escaped.
void append_xml_text(std::string& out, std::string_view text);
void append_xml_element(std::string& out, std::string_view name, std::string_view text);

// Appends the members of `object` that travel in the body, in the order of the shape. `with_ms`: timestamps
// always carry milliseconds. Throws InternalError when a value has another type than the model says.
void append_xml_members(std::string& out, const Shape& structure, const base::json::object& object,
                        bool with_ms);

}  // namespace millrace::aws
