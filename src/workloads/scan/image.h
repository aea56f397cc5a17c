// Reads the facts of an image from its header.
#pragma once

#include "workloads/scan/image_facts.h"
#include "workloads/scan/media_type.h"
#include "workloads/scan/source.h"

namespace millrace::scan {

// Bad bytes never throw: the facts read so far come back with `status` and `problem` (also when the source's
// budget ran out). A format without a reader gives kUnsupported. Errors of the store (transient, denied, not
// found, conflict) pass through. Reads the first 64 KiB, seldom more, plus a few bytes at the end of larger
// files to notice truncation.
ImageFacts read_image(Source& source, const MediaType& type);

}  // namespace millrace::scan
