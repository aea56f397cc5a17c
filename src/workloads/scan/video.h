// Reads the facts of a video or audio container from its headers.
#pragma once

#include "workloads/scan/media_type.h"
#include "workloads/scan/source.h"
#include "workloads/scan/video_facts.h"

namespace millrace::scan {

// Bad bytes never throw: the facts read so far come back with `status` and `problem` (also when the source's
// budget ran out). A format without a reader gives kUnsupported. Errors of the store (transient, denied, not
// found, conflict) pass through. Media data are never read: a 10 GB file with its index at the end costs a
// handful of ranges.
VideoFacts read_video(Source& source, const MediaType& type);

}  // namespace millrace::scan
