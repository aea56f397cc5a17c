// The tags of an XML text from its front on, however damaged or cut short the rest is: header readers want a
// few attributes out of the first KiB, and a parser that needs the whole document is of no use for that.
#pragma once

#include <string>
#include <string_view>

namespace millrace::scan {

// Finds start tags one after the other; comments, processing instructions, CDATA and the document type are
// passed over. `text` must outlive it. Never throws.
class XmlTags {
 public:
  explicit XmlTags(std::string_view text) : text_(text) {}

  // Goes to the next start tag that is whole. False at the end.
  bool next();

  std::string_view name() const { return name_; }  // with its prefix: "dc:title"
  std::string_view local_name() const;             // without: "title"
  // The value with the five entities and character references resolved, at most 4096 bytes; empty when there
  // is none. `name` with its prefix.
  std::string attribute(std::string_view name) const;
  // The text up to the next tag, resolved like a value.
  std::string content() const;

 private:
  std::string_view text_;
  size_t at_ = 0;
  std::string_view name_, attributes_;
};

}  // namespace millrace::scan
