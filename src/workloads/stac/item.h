// One STAC item (STAC 1.0 and 1.1, GeoJSON Feature) read, checked and made a line of the spool.
#pragma once

#include <memory>
#include <string_view>

#include "workloads/stac/item_store.h"

namespace millrace::stac {

// What is required, and what is wrong where it is not so (the code of the CorruptError):
//   BrokenJson   the whole text is one JSON object, in UTF-8
//   BadNumber    no number is larger than any double; integers of any length are fine
//   TwiceMember  members that the job looks at are there once
//   WrongType    `type` is "Feature"; properties is an object, links an array of objects, assets an object of
//                objects, stac_extensions an array of texts, bbox four or six numbers; texts are texts
//   NoId         `id` is a text that is not empty, and no longer than 65,535 bytes
//   NoCollection `collection` is a text, or the caller knows it
//                (WrongType: more than 200 bytes, or control characters in it)
//
//   NoGeometry   `geometry` is there and has at least one position
//
//   BadGeometry  its type is one of GeoJSON's and its coordinates nest as that type says (RFC 7946, 3.1)
//
//   BadBox       the south of `bbox` is not north of its north
//
//   NoTime       `properties.datetime`, or else start_datetime, is there
//
//   BadTime      these, end_datetime, created and updated are RFC 3339 times
//
// All else is left as it is. Not thread-safe; keeps its buffers from item to item.
class ItemChecker {
 public:
  ItemChecker();
  ~ItemChecker();
  ItemChecker(ItemChecker&&) noexcept;

  // `collection`: what items without one belong to; empty: they must have one. The result lives until the
  // next call. Throws CorruptError, whose text says where.
  const CheckedItem& check(std::string_view text, std::string_view collection = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::stac
