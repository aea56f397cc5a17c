#pragma once

#include <span>

#include "workloads/ingest/language.h"

namespace millrace::ingest {

std::span<const Language> languages();  // each name once

}  // namespace millrace::ingest
