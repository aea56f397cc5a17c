// One small whole file of each image format that came after those in media_samples.h, built by hand from the
// formats' specifications.
#pragma once

#include <zlib.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/workloads/scan/media_samples.h"

namespace millrace::scan::testing {

inline std::string be_float(float f) { return be(std::bit_cast<uint32_t>(f), 4); }
inline std::string padded(std::string text, size_t size) {
  text.resize(size, '\0');
  return text;
}

inline std::string hdr_sample(const std::string& size = "-Y 2 +X 9") {
  return "#?RADIANCE\n# by hand\nFORMAT=32-bit_rle_rgbe\nSOFTWARE=gen 1\nEXPOSURE=1\n"
         "PRIMARIES=0.640 0.330 0.300 0.600 0.150 0.060 0.3127 0.3290\n\n" +
         size + "\n" + "\x02\x02\0\x09"s + zeros(40);
}

// 16-bit wide and high, with an identification, an extension area and a footer.
inline std::string tga_sample() {
  std::string head = "\x04\0\x0A"s + zeros(9) + le(6, 2) + le(5, 2) + "\x20\x08"s;
  std::string body = head + "note" + std::string(5, '\x85') + zeros(64);
  std::string extension = le(495, 2) + padded("An Artist", 41) + padded("A remark", 324) + le(2, 2) +
                          le(29, 2) + le(2024, 2) + le(23, 2) + le(59, 2) + le(58, 2) + padded("", 41 + 6) +
                          padded("Painter", 41) + le(215, 2) + "b"s + zeros(4) + le(2, 2) + le(1, 2) +
                          le(22, 2) + le(10, 2) + zeros(12) + "\x03"s;
  return body + extension + le(body.size(), 4) + zeros(4) + "TRUEVISION-XFILE."s + zeros(1);
}
inline std::string tga_plain_sample() {  // 8-bit palette of two colours
  return "\0\x01\x01"s + le(0, 2) + le(2, 2) + "\x18"s + zeros(4) + le(3, 2) + le(2, 2) + "\x08\x20"s +
         zeros(6) + zeros(6);
}

// Writes at an offset of a header that begins as 0xFF, which is how an empty field looks.
inline void put(std::string& file, size_t at, const std::string& bytes) {
  file.replace(at, bytes.size(), bytes);
}

inline std::string dpx_sample(bool big = true) {
  auto n = [&](uint64_t value, int bytes) { return big ? be(value, bytes) : le(value, bytes); };
  auto real = [&](float f) { return big ? be_float(f) : le_float(f); };
  std::string head(2048, '\xFF');
  put(head, 0, (big ? "SDPX"s : "XPDS"s) + n(2048, 4) + padded("V2.0", 8));
  put(head, 136, padded("2024:02:29:23:59:58UTC", 24) + padded("grader 3", 100));
  put(head, 768, n(0, 2) + n(1, 2) + n(4, 4) + n(3, 4));
  put(head, 780 + 20, "\x32\x03\x01\x0A"s + n(1, 2) + n(0, 2) + n(2048, 4));
  put(head, 1408, n(10, 4) + n(20, 4));
  put(head, 1424, n(100, 4) + n(80, 4));
  put(head, 1556, padded("ARRISCAN", 32));
  put(head, 1628, n(2, 4) + n(1, 4));
  put(head, 1724, real(23.976F));
  put(head, 1920, n(0x01020304, 4));
  return head + zeros(4 * 3 * 4);
}
inline std::string cineon_sample() {
  std::string head(1024, '\xFF');
  put(head, 0, "\x80\x2A\x5F\xD7"s + be(1024, 4));
  put(head, 132, padded("2024:02:29", 12) + padded("23:59:58", 12));
  put(head, 192, "\0\x03"s);
  put(head, 196, zeros(2) + "\x0A\0"s + be(4, 4) + be(3, 4));
  put(head, 452, padded("scan of reel 7", 200));
  put(head, 680, "\0\x05\0\0"s);
  put(head, 844, padded("Genesis", 64));
  return head + zeros(4 * 3 * 4);
}

// 20 x 10 in tiles of 8, three components of 12 bits, reversible, two decompositions.
inline std::string j2k_sample(int capabilities = 0) {
  auto segment = [](int marker, const std::string& data) {
    return be(marker, 2) + be(data.size() + 2, 2) + data;
  };
  std::string component = "\x0B\x01\x01"s;
  std::string siz = be(capabilities, 2) + be(22, 4) + be(11, 4) + be(2, 4) + be(1, 4) + be(8, 4) + be(8, 4) +
                    be(0, 4) + be(0, 4) + be(3, 2) + component + component + component;
  std::string cod = "\0\0\0\x01\x01\x02\x04\x04\0\x01"s;
  return "\xFF\x4F"s + segment(0xFF51, siz) + segment(0xFF52, cod) + segment(0xFF64, be(1, 2) + "made here") +
         segment(0xFF90, be(0, 2) + be(0, 4) + "\0\x01"s) + "\xFF\x93"s + zeros(8) + "\xFF\xD9"s;
}
inline std::string jp2_sample() {
  std::string resolution =
      be(30000, 2) + be(254, 2) + be(30000, 2) + be(254, 2) + "\x02\x02"s;  // 11811 a metre
  std::string header = box("ihdr", be(10, 4) + be(20, 4) + be(3, 2) + "\x0B\x07\0\0"s) +
                       box("colr", "\x01\0\0"s + be(16, 4)) + box("res ", box("resc", resolution));
  std::string xmp = "\xBE\x7A\xCF\xCB\x97\xA9\x42\xE8\x9C\x71\x99\x94\x91\xE3\xAF\xAC"s +
                    "<rdf:Description xmp:CreatorTool=\"Kakadu\"/>";
  return box("jP  ", "\r\n\x87\n") + box("ftyp", "jp2 "s + zeros(4) + "jp2 ") + box("jp2h", header) +
         box("uuid", xmp) + box("jp2c", j2k_sample());
}

inline std::string full_box(const std::string& type, int version, int flags, const std::string& content) {
  return box(type, be(version, 1) + be(flags, 3) + content);
}
// A grid of tiles turned by a quarter, with an alpha plane and EXIF.
inline std::string heif_sample(const std::string& brand = "heic") {
  bool av1 = brand.starts_with("av");
  std::string codec = av1 ? "av01" : "hvc1";
  auto item = [](int id, const std::string& type) {
    return full_box("infe", 2, 0, be(id, 2) + zeros(2) + type + zeros(1));
  };
  std::string exif = be(0, 4) + exif_sample();
  std::string config =
      av1 ? box("av1C", "\x81\x04\x4C\0"s) : box("hvcC", "\x01\x01"s + zeros(14) + "\x01\x02"s + zeros(5));
  std::string properties =
      full_box("ispe", 0, 0, be(4032, 4) + be(3024, 4)) +                                  // 1
      full_box("ispe", 0, 0, be(512, 4) + be(512, 4)) +                                    // 2
      config +                                                                             // 3
      box("colr", "nclx"s + be(12, 2) + be(13, 2) + be(6, 2) + "\x80"s) +                  // 4
      box("irot", "\x03"s) +                                                               // 5
      full_box("auxC", 0, 0, "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"s + zeros(1)) +  // 6
      full_box("pixi", 0, 0, "\x03\x0A\x0A\x0A"s);                                         // 7
  std::string associations = full_box("ipma", 0, 0,
                                      be(3, 4) + be(1, 2) + "\x04\x81\x04\x85\x07"s + be(2, 2) +
                                          "\x02\x82\x83"s + be(3, 2) + "\x02\x81\x86"s);
  std::string references =
      full_box("iref", 0, 0,
               box("dimg", be(1, 2) + be(1, 2) + be(2, 2)) + box("auxl", be(3, 2) + be(1, 2) + be(1, 2)) +
                   box("cdsc", be(4, 2) + be(1, 2) + be(1, 2)));
  auto meta = [&](uint64_t data_at) {
    std::string locations =
        full_box("iloc", 0, 0,
                 be(0x4400, 2) + be(2, 2) + be(2, 2) + be(0, 2) + be(1, 2) + be(data_at, 4) + be(16, 4) +
                     be(4, 2) + be(0, 2) + be(1, 2) + be(data_at + 16, 4) + be(exif.size(), 4));
    return full_box(
        "meta", 0, 0,
        full_box("hdlr", 0, 0, zeros(4) + "pict" + zeros(13)) + full_box("pitm", 0, 0, be(1, 2)) +
            full_box("iinf", 0, 0,
                     be(4, 2) + item(1, "grid") + item(2, codec) + item(3, codec) + item(4, "Exif")) +
            box("iprp", box("ipco", properties) + associations) + references + locations);
  };
  std::string head = box("ftyp", brand + zeros(4) + "mif1" + brand);
  return head + meta(head.size() + meta(0).size() + 8) + box("mdat", zeros(16) + exif);
}

// Bits from the least significant of each byte on.
class BitWriter {
 public:
  BitWriter& put(uint64_t value, int bits) {
    for (int i = 0; i < bits; ++i, ++count_) {
      if (count_ % 8 == 0) bytes_ += '\0';
      if (value >> i & 1) bytes_.back() = static_cast<char>(bytes_.back() | 1 << count_ % 8);
    }
    return *this;
  }
  std::string bytes() const { return bytes_; }

 private:
  std::string bytes_;
  int count_ = 0;
};
// 1920 x 1080 by ratio, orientation 6, half floats with alpha, linear P3.
inline std::string jxl_sample() {
  BitWriter bits;
  bits.put(0, 1).put(1, 2).put(1079, 13).put(5, 3);                  // height, 16:9
  bits.put(0, 1).put(1, 1).put(5, 3).put(0, 1).put(0, 1).put(0, 1);  // extra fields: orientation alone
  bits.put(1, 1).put(1, 2).put(4, 4);                                // float of 16 bits
  bits.put(0, 1).put(1, 2).put(1, 1);                                // one extra channel, all default: alpha
  bits.put(0, 1);                                                    // not XYB
  bits.put(0, 1).put(0, 1).put(0, 2);                                // colour: no ICC, RGB
  bits.put(1, 2).put(2, 2).put(9, 4).put(0, 1).put(2, 2).put(6, 4);  // D65, P3, no gamma, linear
  return "\xFF\x0A"s + bits.bytes() + zeros(16);
}
inline std::string jxl_container_sample() {
  return box("JXL ", "\r\n\x87\n") + box("ftyp", "jxl "s + zeros(4) + "jxl ") +
         box("jxlp", be(0, 4) + jxl_sample()) + box("Exif", be(0, 4) + exif_sample());
}

inline std::string dds_sample() {  // BC1 with three mip levels: 32 + 8 + 8 bytes
  std::string head = "DDS "s + le(124, 4) + le(0x21007, 4) + le(8, 4) + le(8, 4) + le(32, 4) + le(0, 4) +
                     le(3, 4) + zeros(44) + le(32, 4) + le(4, 4) + "DXT1" + zeros(20) + le(0x401008, 4) +
                     zeros(16);
  return head + zeros(32 + 8 + 8);
}
inline std::string dds_dx10_sample() {  // a cube of 4 x 4 half floats
  std::string head = "DDS "s + le(124, 4) + le(0x1007, 4) + le(4, 4) + le(4, 4) + zeros(8) + le(1, 4) +
                     zeros(44) + le(32, 4) + le(4, 4) + "DX10" + zeros(20) + le(0x1000, 4) + le(0xFE00, 4) +
                     zeros(12);
  return head + le(10, 4) + le(3, 4) + le(4, 4) + le(1, 4) + le(0, 4) + zeros(6 * 16 * 8);
}

inline std::string sgi_sample() {  // run-coded: 2 rows of 4 channels
  std::string head = be(0x01DA, 2) + "\x01\x01"s + be(3, 2) + be(5, 2) + be(2, 2) + be(4, 2) + be(0, 4) +
                     be(255, 4) + zeros(4) + padded("a name", 80) + zeros(408);
  std::string starts, lengths;
  for (uint64_t i = 0; i < 8; ++i) {
    starts += be(512 + 64 + 3 * i, 4);
    lengths += be(3, 4);
  }
  return head + starts + lengths + zeros(24);
}

inline std::string ppm_sample() { return "P6\n# by hand\n3 2\n65535\n" + zeros(36); }
inline std::string pam_sample() {
  return "P7\nWIDTH 3\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + zeros(24);
}
inline std::string pfm_sample() { return "PF\n3 2\n-1.0\n" + zeros(72); }
inline std::string pbm_sample() { return "P4 9 2\n" + zeros(4); }

inline std::string ico_sample() {  // a small bitmap and a PNG of 256
  std::string png = "\x89PNG\r\n\x1A\n"s + png_ihdr(256, 256, 8, 6) + png_chunk("IEND", "");
  std::string bitmap = le(40, 4) + le(16, 4) + le(32, 4) + le(1, 2) + le(32, 2) + zeros(24 + 16);
  return "\0\0\x01\0"s + le(2, 2) + "\x10\x10\0\0"s + le(1, 2) + le(32, 2) + le(bitmap.size(), 4) +
         le(38, 4) + "\0\0\0\0"s + le(1, 2) + le(32, 2) + le(png.size(), 4) + le(38 + bitmap.size(), 4) +
         bitmap + png;
}

inline std::string svg_sample() {
  return "\xEF\xBB\xBF<?xml version=\"1.0\"?>\n<!-- <svg width='1'> -->\n<!DOCTYPE svg [<!ENTITY a "
         "\"<svg>\">]>\n"
         "<svg:svg xmlns:svg=\"http://www.w3.org/2000/svg\" width=\"210mm\" viewBox=\"0 0 21,29.7\">"
         "<svg:title>Logo &amp; more</svg:title></svg:svg>\n";
}

// RFC 1951 inside a gzip or zip frame.
inline std::string deflated(const std::string& text) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
inline std::string svgz_sample() {
  std::string svg = "<svg width=\"4cm\" height=\"2in\"></svg>";
  return "\x1F\x8B\x08\0"s + zeros(6) + deflated(svg) + zeros(4) + le(svg.size(), 4);
}

// The members, the first stored, and the directory; `packed` of the others.
inline std::string zip_of(const std::vector<std::pair<std::string, std::string>>& members,
                          bool packed = true) {
  std::string file, directory;
  bool first = true;
  for (const auto& [name, content] : members) {
    bool deflate_it = packed && !first;
    first = false;
    std::string data = deflate_it ? deflated(content) : content;
    std::string fields = le(20, 2) + le(0, 2) + le(deflate_it ? 8 : 0, 2) + zeros(8) + le(data.size(), 4) +
                         le(content.size(), 4) + le(name.size(), 2) + le(0, 2);
    directory += "PK\x01\x02"s + le(20, 2) + fields + zeros(2 + 2 + 2 + 4) + le(file.size(), 4) + name;
    file += "PK\x03\x04"s + fields + name + data;
  }
  return file + directory + "PK\x05\x06"s + zeros(4) + le(members.size(), 2) + le(members.size(), 2) +
         le(directory.size(), 4) + le(file.size(), 4) + le(0, 2);
}
inline std::string kra_sample() {
  return zip_of(
      {{"mimetype", "application/x-krita"},
       {"maindoc.xml",
        "<?xml version=\"1.0\"?><DOC editor=\"Krita\" kritaVersion=\"5.2.2\"><IMAGE width=\"1200\" "
        "height=\"800\" "
        "colorspacename=\"RGBAF16\" profile=\"sRGB-elle-V2-g10.icc\" x-res=\"300\" y-res=\"300\" name=\"a\">"
        "<layers><layer name=\"1\"/><layer name=\"2\"/></layers><animation><framerate "
        "value=\"24\"/></animation>"
        "</IMAGE></DOC>"},
       {"preview.png", "x"}});
}
inline std::string ora_sample() {
  return zip_of({{"mimetype", "image/openraster"},
                 {"stack.xml",
                  "<image version=\"0.0.3\" w=\"640\" h=\"360\" xres=\"72\" "
                  "yres=\"72\"><stack><layer/></stack></image>"},
                 {"Thumbnails/thumbnail.png", "x"}});
}
inline std::string odg_sample() {
  return zip_of({{"mimetype", "application/vnd.oasis.opendocument.graphics"},
                 {"content.xml",
                  "<office:drawing><draw:page draw:name=\"1\" "
                  "draw:master-page-name=\"M2\"/><draw:page/></office:drawing>"},
                 {"styles.xml",
                  "<style:page-layout style:name=\"PM1\"><style:page-layout-properties "
                  "fo:page-width=\"10cm\" fo:page-height=\"10cm\"/>"
                  "</style:page-layout><style:page-layout style:name=\"PM2\"><style:page-layout-properties "
                  "fo:page-width=\"25.4cm\" "
                  "fo:page-height=\"5in\"/></style:page-layout><style:master-page style:name=\"M1\" "
                  "style:page-layout-name=\"PM1\"/>"
                  "<style:master-page style:name=\"M2\" style:page-layout-name=\"PM2\"/>"},
                 {"meta.xml", "<meta:generator>LibreOffice/7.4</meta:generator><dc:title>Plan</dc:title>"}});
}

inline std::vector<std::pair<std::string, std::string>> more_image_samples() {
  return {{"a.hdr", hdr_sample()},         {"b.tga", tga_sample()},      {"c.tga", tga_plain_sample()},
          {"d.dpx", dpx_sample()},         {"e.dpx", dpx_sample(false)}, {"f.cin", cineon_sample()},
          {"g.j2k", j2k_sample()},         {"h.jp2", jp2_sample()},      {"i.heic", heif_sample()},
          {"j.avif", heif_sample("avif")}, {"k.jxl", jxl_sample()},      {"l.jxl", jxl_container_sample()},
          {"m.dds", dds_sample()},         {"n.dds", dds_dx10_sample()}, {"o.sgi", sgi_sample()},
          {"p.ppm", ppm_sample()},         {"q.pam", pam_sample()},      {"r.pfm", pfm_sample()},
          {"s.pbm", pbm_sample()},         {"t.ico", ico_sample()},      {"u.svg", svg_sample()},
          {"v.svgz", svgz_sample()},       {"w.kra", kra_sample()},      {"x.ora", ora_sample()},
          {"y.odg", odg_sample()}};
}

}  // namespace millrace::scan::testing
