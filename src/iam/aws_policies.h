// The policies that AWS itself keeps for every account ("arn:aws:iam::aws:policy/…").
#pragma once

#include <string_view>
#include <vector>

#include "iam/entity.h"

namespace millrace::iam {

// Those that jobs and their set-ups use, with their documents as far as they speak of services that are here.
// Any other name below "arn:aws:iam::aws:policy/" is accepted too, so that set-ups written for AWS go
// through: it allows nothing (its statement denies an action that no service has) and
// is_known_aws_policy() says so. Null when `arn` is not of that form.
const ManagedPolicy* aws_policy(std::string_view arn);
bool is_known_aws_policy(std::string_view arn);
// Stands in the place of a policy that is gone: what it allowed, nothing allows.
std::shared_ptr<const Policy> allows_nothing();
std::vector<const ManagedPolicy*> aws_policies();  // the known ones, by ARN

}  // namespace millrace::iam
