// Items in the bytes of a file: plain or compressed; one Item, a FeatureCollection, an array of items, or
// lines of them (NDJSON, also with the record separators of RFC 8142).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace millrace::stac {

enum class Compression { kNone, kGzip, kZstd };

struct NamedAs {
  bool items = false;  // .json .geojson .ndjson .jsonl .geojsonl .geojsons
  Compression compression = Compression::kNone;
};
// By the name: "a/b.ndjson.gz".
NamedAs named_as(std::string_view key);

// Fed piece by piece. Memory: lines need room for the longest of them; a collection that is one document is
// held whole, at most kDocumentMax.
class ItemText {
 public:
  static constexpr size_t kDocumentMax = 1u << 30;
  // `visit` gets each item as it stands (not checked; WHERE for messages: "line 3", "feature 17"), and may
  // throw to stop.
  using Visit = std::function<void(std::string_view item, const std::string& where)>;
  ItemText(Compression compression, Visit visit);
  ~ItemText();
  // Throws CorruptError (BrokenArchive, TooLarge, BrokenJson) and what `visit` throws.
  void feed(std::string_view bytes);
  void finish();
  // Documents that say of themselves that they are no items: Catalog and Collection.
  uint64_t others() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::stac
