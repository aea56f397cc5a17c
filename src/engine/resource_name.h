// Names of resources in requests, where AWS takes a name or an ARN.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace millrace::engine {

// The name of the resource of `kind` ("job-queue") in `name_or_arn`; a revision that follows it stays there
// ("job-definition/d:3" gives "d:3"). Throws Reject with AWS's sentence for an ARN of another kind, and for
// what no name can be. That such a resource is there is not known yet.
std::string_view resource_name(std::string_view name_or_arn, std::string_view kind);

// The name and revision of a definition, "d:3" or its ARN. Throws Reject when there is no revision, or none
// that is a number.
std::pair<std::string_view, int64_t> definition_revision(std::string_view name_or_arn);

}  // namespace millrace::engine
