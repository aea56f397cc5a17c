// The reader of each container. They fill `facts` as they go and throw CorruptError where the bytes stop
// making sense, so that what was read until then is kept; read_video() turns the error into status and
// problem.
#pragma once

#include "workloads/scan/media_bytes.h"
#include "workloads/scan/video_facts.h"

namespace millrace::scan {

// Runs `conclude` after `walk`, also when that breaks off: what was read until then is worth keeping.
template <typename Walk, typename Conclude>
void conclude_after(const Walk& walk, const Conclude& conclude) {
  try {
    walk();
  } catch (...) {
    conclude();
    throw;
  }
  conclude();
}

void read_mp4(MediaBytes& bytes, VideoFacts& facts);       // ISO 14496-12, 14496-14, QuickTime File Format
void read_matroska(MediaBytes& bytes, VideoFacts& facts);  // RFC 8794 (EBML), RFC 9559 (Matroska), WebM

void read_avi(MediaBytes& bytes, VideoFacts& facts);      // with OpenDML (Matrox 1996)
void read_mxf(MediaBytes& bytes, VideoFacts& facts);      // SMPTE ST 377-1
void read_mpeg_ts(MediaBytes& bytes, VideoFacts& facts);  // ISO 13818-1; M2TS too
void read_ogg(MediaBytes& bytes, VideoFacts& facts);      // RFC 3533: Vorbis, Opus, FLAC, Speex, Theora
void read_flv(MediaBytes& bytes, VideoFacts& facts);      // Adobe FLV 10.1
void read_asf(MediaBytes& bytes, VideoFacts& facts);      // Microsoft ASF 1.20: WMV, WMA
void read_wav(MediaBytes& bytes, VideoFacts& facts);
void read_aiff(MediaBytes& bytes, VideoFacts& facts);
void read_mp3(MediaBytes& bytes,
              VideoFacts& facts);  // all layers of MPEG audio; FLAC and AAC behind an ID3 tag
void read_aac(MediaBytes& bytes, VideoFacts& facts);                   // ADTS
void read_flac(MediaBytes& bytes, uint64_t start, VideoFacts& facts);  // `start`: of "fLaC", behind tags

// STREAMINFO of FLAC, RFC 9639 section 8.2, also found in Ogg.
void read_flac_info(std::string_view info, AudioStream& stream, std::optional<int64_t>& samples);

}  // namespace millrace::scan
