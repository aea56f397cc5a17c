// The ParameterFilters of DescribeParameters and GetParametersByPath (Systems Manager API reference,
// "ParameterStringFilter").
#pragma once

#include <functional>

#include "base/json.h"
#include "secrets/parameter_store.h"

namespace millrace::services {

// Whether a parameter passes all of `filters`. `tags` gives the tags of one. Throws ApiError for a filter
// that makes no sense; `of_path` says that it is GetParametersByPath's, which knows fewer keys.
std::function<bool(const secrets::Parameter&)> parameter_filter(
    const base::json::array& filters, bool of_path,
    std::function<base::json::array(const secrets::Parameter&)> tags);

}  // namespace millrace::services
