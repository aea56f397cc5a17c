#include "aws/xml_writer.h"

#include "aws/scalar.h"
#include "base/error.h"

namespace millrace::aws {

namespace json = base::json;

namespace {

json::string_view boost_view(std::string_view text) { return {text.data(), text.size()}; }

class XmlWriter {
 public:
  XmlWriter(std::string& out, bool with_ms) : out_(out), with_ms_(with_ms) {}

  void members(const Shape& shape, const json::object& object) {
    for (const Member& member : shape.members) {
      if (member.location != Location::kBody || member.xml_attribute) continue;
      const json::value* value = object.if_contains(boost_view(member.name));
      if (!value || value->is_null()) continue;
      if (member.flattened && member.shape->type == ShapeType::kList)
        for (const json::value& item : array_of(member, *value))
          element(member.shape->members[0], member.wire, item);
      else if (member.flattened && member.shape->type == ShapeType::kMap)
        for (const auto& entry : object_of(member, *value)) map_entry(*member.shape, member.wire, entry);
      else
        element(member, member.wire, *value);
    }
  }

 private:
  void element(const Member& member, std::string_view name, const json::value& value) {
    const Shape& shape = *member.shape;
    if (value.is_null()) return;
    switch (shape.type) {
      case ShapeType::kStructure: {
        const json::object& object = object_of(member, value);
        open(name, attributes(shape, object));
        members(shape, object);
        break;
      }
      case ShapeType::kList:
        open(name, "");
        for (const json::value& item : array_of(member, value))
          element(shape.members[0], shape.members[0].wire, item);
        break;
      case ShapeType::kMap:
        open(name, "");
        for (const auto& entry : object_of(member, value)) map_entry(shape, "entry", entry);
        break;
      default:
        append_xml_element(out_, name, scalar_to_text(member, value, with_ms_));
        return;
    }
    close(name);
  }

  void map_entry(const Shape& map, std::string_view name, const json::key_value_pair& entry) {
    open(name, "");
    append_xml_element(out_, map.members[0].wire, {entry.key().data(), entry.key().size()});
    element(map.members[1], map.members[1].wire, entry.value());
    close(name);
  }

  std::string attributes(const Shape& shape, const json::object& object) {
    std::string text;
    for (const Member& member : shape.members) {
      if (!member.xml_attribute) continue;
      const json::value* value = object.if_contains(boost_view(member.name));
      if (!value || value->is_null()) continue;
      if (member.wire.starts_with("xsi:")) text += " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
      text += " " + std::string(member.wire) + "=\"";
      append_xml_text(text, scalar_to_text(member, *value));
      text += '"';
    }
    return text;
  }

  void open(std::string_view name, const std::string& attributes) {
    out_ += '<';
    out_ += name;
    out_ += attributes;
    out_ += '>';
  }
  void close(std::string_view name) {
    out_ += "</";
    out_ += name;
    out_ += '>';
  }

  static const json::array& array_of(const Member& member, const json::value& value) {
    if (!value.is_array()) wrong(member, value);
    return value.get_array();
  }
  static const json::object& object_of(const Member& member, const json::value& value) {
    if (!value.is_object()) wrong(member, value);
    return value.get_object();
  }
  [[noreturn]] static void wrong(const Member& member, const json::value& value) {
    throw base::InternalError("reply member " + std::string(member.name) + " has " +
                              std::string(json_token(value)) + " where the model has " +
                              std::string(type_name(member.shape->type)));
  }

  std::string& out_;
  const bool with_ms_;
};

}  // namespace

void append_xml_text(std::string& out, std::string_view text) {
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // XML readers turn a bare CR into LF; most take other control characters only as references.
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
          out += "&#" + std::to_string(static_cast<int>(c)) + ";";
        } else {
          out += c;
        }
    }
  }
}

void append_xml_element(std::string& out, std::string_view name, std::string_view text) {
  out += '<';
  out += name;
  out += '>';
  append_xml_text(out, text);
  out += "</";
  out += name;
  out += '>';
}

void append_xml_members(std::string& out, const Shape& structure, const json::object& object, bool with_ms) {
  XmlWriter(out, with_ms).members(structure, object);
}

}  // namespace millrace::aws
