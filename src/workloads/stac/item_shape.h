// Which members items have and of which types: gathered from item to item, then made a schema.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "workloads/stac/item_schema.h"
#include "workloads/stac/json_tokens.h"

namespace millrace::stac {

// What was seen at one place of the items. Bounded: names beyond some thousands are not kept, and the place
// is JSON then.
class Shape {
 public:
  // Takes the value that comes next.
  void add(JsonTokens& tokens, int depth);
  void add_all_of(const Shape& other);
  // Makes it when it is not there.
  Shape& member(std::string_view name);
  // The same for any order of adding. A place with more than `members_max` members is JSON.
  Column column(std::string name, size_t members_max) const;

 private:
  friend class ItemShape;
  enum Seen : uint8_t {
    kBool = 1,
    kInt = 2,
    kFloat = 4,
    kText = 8,
    kArray = 16,
    kObject = 32,
    kOther = 64,     // a number beyond 64 bits, a text that is no Unicode, too deep: only JSON can say it
    kWideInt = 128,  // beyond 2^53: no double
  };
  struct Member {
    std::string name;
    std::unique_ptr<Shape> shape;
    uint32_t follower = 0;  // the member that came behind it the last time
  };

  void add_number(std::string_view text);
  // Null where there are too many. `last`: where the member that comes next is guessed; moves on.
  Shape* member_after(uint32_t*& last, std::string_view raw_name);
  std::vector<const Member*> sorted_members() const;

  uint8_t seen_ = 0;
  bool crowded_ = false;
  std::deque<Member> members_;  // does not move names: the map's keys are views of them
  std::unordered_map<std::string_view, uint32_t> by_name_;
  uint32_t first_ = 0;  // the member that came first the last time
  std::unique_ptr<Shape> element_;
};

// The shape of whole items, with what is special about geometries, boxes and times. Not thread-safe: one a
// thread, then add_all_of().
class ItemShape {
 public:
  // Has what every file has: the core members, texts of links, properties.datetime.
  ItemShape();
  // A checked item, from its begin.
  void add(JsonTokens& tokens);
  void add_example(std::string_view item);
  void add_all_of(const ItemShape& other);
  // Core members and times first, then the others by name; the same for any order of adding.
  ItemSchema schema() const;

 private:
  void add_geometry(JsonTokens& tokens);
  void add_properties(JsonTokens& tokens);
  ItemSchema schema(size_t members_max) const;

  Shape top_, properties_;
  bool rest_ = false, box_z_ = false;
  std::string scratch_;
};

// The shape of HLS items (HLSL30 and HLSS30, version 2.0): the same columns in every month, also where
// an optional one has no value.
ItemShape hls_shape();
bool is_hls(const std::vector<std::string>& collections);

// A box of four or six numbers, as it comes next; false, and it is passed over, when it is something else.
bool read_box(JsonTokens& tokens, std::array<double, 6>& numbers, size_t& count);

}  // namespace millrace::stac
