#include "aws/xml_reader.h"

#include <pugixml.hpp>
#include <string>

#include "aws/scalar.h"

namespace millrace::aws {

namespace json = base::json;

namespace {

constexpr int kDepthMax = 32;
constexpr size_t kXmlBytesMax = 16u << 20;  // DeleteObjects with 1,000 long keys, escaped, stays below

struct WrongType {};

std::string_view local_name(const char* name) {
  std::string_view text(name);
  size_t colon = text.find(':');
  return colon == std::string_view::npos ? text : text.substr(colon + 1);
}

json::string_view boost_view(std::string_view text) { return {text.data(), text.size()}; }

// All text of an element: an entity or a CDATA section does not end it.
std::string text_of(pugi::xml_node node) {
  std::string text;
  for (pugi::xml_node child : node.children())
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) text += child.value();
  return text;
}

pugi::xml_node child_named(pugi::xml_node node, std::string_view name) {
  for (pugi::xml_node child : node.children())
    if (child.type() == pugi::node_element && local_name(child.name()) == name) return child;
  return {};
}

json::value read_value(const Member& member, pugi::xml_node node, int depth);

json::object read_structure(const Shape& shape, pugi::xml_node node, int depth) {
  if (depth > kDepthMax) throw WrongType();
  json::object object;
  for (const Member& member : shape.members) {
    if (member.location != Location::kBody) continue;
    json::string_view name = boost_view(member.name);
    if (member.xml_attribute) {
      for (pugi::xml_attribute attribute : node.attributes())
        if (local_name(attribute.name()) == local_name(std::string(member.wire).c_str()))
          object[name] = json::string_view(attribute.value());
      continue;
    }
    if (member.flattened && member.shape->type == ShapeType::kList) {
      json::array array;
      for (pugi::xml_node child : node.children())
        if (child.type() == pugi::node_element && local_name(child.name()) == member.wire)
          array.push_back(read_value(member.shape->members[0], child, depth + 1));
      if (!array.empty()) object[name] = std::move(array);
      continue;
    }
    if (pugi::xml_node child = child_named(node, member.wire))
      object[name] = read_value(member, child, depth + 1);
  }
  return object;
}

json::value read_value(const Member& member, pugi::xml_node node, int depth) {
  const Shape& shape = *member.shape;
  if (depth > kDepthMax) throw WrongType();
  switch (shape.type) {
    case ShapeType::kStructure:
      return read_structure(shape, node, depth);
    case ShapeType::kList: {
      json::array array;
      for (pugi::xml_node child : node.children())
        if (child.type() == pugi::node_element && local_name(child.name()) == shape.members[0].wire)
          array.push_back(read_value(shape.members[0], child, depth + 1));
      return array;
    }
    case ShapeType::kMap: {
      json::object object;
      for (pugi::xml_node entry : node.children()) {
        if (entry.type() != pugi::node_element) continue;
        pugi::xml_node value = child_named(entry, shape.members[1].wire);
        if (!value) throw WrongType();
        object[text_of(child_named(entry, shape.members[0].wire))] =
            read_value(shape.members[1], value, depth + 1);
      }
      return object;
    }
    default: {
      auto value = scalar_from_text(member, text_of(node));
      if (!value) throw WrongType();
      return std::move(*value);
    }
  }
}

}  // namespace

std::optional<json::object> read_xml(const Shape& structure, std::string_view root, std::string_view xml) {
  if (xml.size() > kXmlBytesMax) return std::nullopt;
  pugi::xml_document document;
  // A key may be nothing but blanks: such text is kept where it is all an element has.
  auto options = pugi::parse_default | pugi::parse_ws_pcdata_single;
  if (!document.load_buffer(xml.data(), xml.size(), options, pugi::encoding_utf8)) return std::nullopt;
  pugi::xml_node element = document.document_element();
  if (local_name(element.name()) != root) return std::nullopt;
  try {
    return read_structure(structure, element, 0);
  } catch (const WrongType&) {
    return std::nullopt;
  }
}

}  // namespace millrace::aws
