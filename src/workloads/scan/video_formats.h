// The reader of each container. They fill `facts` as they go and throw CorruptError where the bytes stop
// making sense, so that what was read until then is kept; read_video() turns the error into status and
// problem.
#pragma once

#include "workloads/scan/media_bytes.h"
#include "workloads/scan/video_facts.h"

namespace millrace::scan {

void read_mp4(MediaBytes& bytes, VideoFacts& facts);       // ISO 14496-12, 14496-14, QuickTime File Format
void read_matroska(MediaBytes& bytes, VideoFacts& facts);  // RFC 8794 (EBML), RFC 9559 (Matroska), WebM

}  // namespace millrace::scan
