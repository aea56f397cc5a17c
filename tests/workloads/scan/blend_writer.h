// Writes .blend files for tests: any header form, pointer size and byte order, with a catalogue of the
// structures the test defines. Its idea of the layout is its own, so that it checks the reader's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::scan {

struct BlendForm {
  int version = 306;
  int header_format = 0;  // 1: 17 bytes and large block heads
  int pointer_size = 8;
  bool big_endian = false;
};

class BlendWriter {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;  // type, name as in the catalogue:
                                                                    // "*next", "name[66]"

  explicit BlendWriter(BlendForm form);

  // Types used must be primitive or defined before (behind a pointer: anything).
  void define(const std::string& name, const Fields& fields);

  // One structure, all zero at first. Paths as in the reader: "r.sfra".
  class Instance {
   public:
    Instance& integer(const std::string& path, int64_t value);
    Instance& real(const std::string& path, double value);
    Instance& text(const std::string& path, std::string_view value);
    Instance& pointer(const std::string& path, uint64_t address);
    const std::string& bytes() const { return bytes_; }
    const std::string& type() const { return type_; }

   private:
    friend class BlendWriter;
    const BlendWriter* writer_ = nullptr;
    std::string type_;
    std::string bytes_;
  };
  Instance make(const std::string& type) const;

  void add(std::string_view code, uint64_t address, const Instance& instance);
  void add_bytes(std::string_view code, uint64_t address, std::string_view bytes, uint32_t sdna = 0,
                 int64_t count = 1);
  // The whole file: header, blocks so far, catalogue, end.
  std::string finish() const;
  std::string catalogue() const;
  // A number in the file's byte order.
  std::string number(uint64_t value, int size) const;
  uint32_t sdna(const std::string& type) const;

 private:
  struct Field {
    std::string type, declared, name;
    size_t offset, size;
    bool pointer;
  };
  struct Struct {
    std::vector<Field> fields;
    size_t size = 0;
    uint32_t index = 0;
  };
  Field locate(const std::string& type, const std::string& path) const;
  std::string head(std::string_view code, uint64_t length, uint64_t address, uint32_t sdna,
                   int64_t count) const;

  BlendForm form_;
  std::map<std::string, Struct> structs_;
  std::vector<std::string> order_;
  std::string blocks_;
};

std::string gzip(std::string_view bytes);
std::string zstd(std::string_view bytes);
// As Blender 3.0 on: frames of `frame_bytes` each, then the seek table.
std::string zstd_seekable(std::string_view bytes, size_t frame_bytes, bool checksums = false);

}  // namespace millrace::scan
