#include "objects/s3_xml.h"

#include <cstring>
#include <pugixml.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "base/url.h"

namespace millrace::objects {
namespace {
constexpr char kNamespace[] = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
}

S3Error error_in(const std::string& body) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size())) return {};
  pugi::xml_node error = document.child("Error");
  return {error.child_value("Code"), error.child_value("Message"), error.child_value("Region")};
}

std::string escaped_xml(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\r')
      out += "&#13;";
    else if (c == '\n')
      out += "&#10;";
    else if (c == '\t')
      out += "&#9;";
    else
      out += c;
  }
  return out;
}

bool fits_xml(std::string_view text) {
  for (char c : text)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') return false;
  return base::is_utf8(text);
}

std::string without_etag_quotes(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

std::string child_of_root(const std::string& body, const char* name) {
  pugi::xml_document document;
  document.load_buffer(body.data(), body.size());
  return document.document_element().child_value(name);
}

std::string complete_document(const std::vector<std::string>& etags) {
  std::string body = std::string("<CompleteMultipartUpload") + kNamespace;
  for (size_t i = 0; i < etags.size(); ++i)
    body += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>&quot;" +
            escaped_xml(etags[i]) + "&quot;</ETag></Part>";
  return body + "</CompleteMultipartUpload>";
}

std::string delete_document(const std::vector<std::string>& keys) {
  std::string body = std::string("<Delete") + kNamespace + "<Quiet>true</Quiet>";
  for (const std::string& key : keys) body += "<Object><Key>" + escaped_xml(key) + "</Key></Object>";
  return body + "</Delete>";
}

std::vector<DeleteError> delete_errors(const std::string& body) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size(), pugi::parse_default | pugi::parse_ws_pcdata_single))
    throw base::CorruptError("the answer to a deletion of many objects is not XML");
  pugi::xml_node result = document.child("DeleteResult");
  if (!result) throw base::CorruptError("the answer to a deletion of many objects is no DeleteResult");
  std::vector<DeleteError> errors;
  for (pugi::xml_node error : result.children("Error"))
    errors.push_back({error.child_value("Key"), error.child_value("Code"), error.child_value("Message")});
  return errors;
}

PartsPage parts_page(const std::string& body) {
  pugi::xml_document document;
  document.load_buffer(body.data(), body.size());
  pugi::xml_node result = document.child("ListPartsResult");
  if (!result) throw base::CorruptError("the answer to a listing of parts is no ListPartsResult");
  PartsPage page;
  for (pugi::xml_node part : result.children("Part"))
    page.parts.push_back({base::parse_number<int>(part.child_value("PartNumber")).value_or(0),
                          base::parse_number<uint64_t>(part.child_value("Size")).value_or(0),
                          without_etag_quotes(part.child_value("ETag")), part.child_value("ChecksumCRC32")});
  page.truncated = std::strcmp(result.child_value("IsTruncated"), "true") == 0;
  page.next = result.child_value("NextPartNumberMarker");
  return page;
}

UploadsPage uploads_page(const std::string& body) {
  pugi::xml_document document;
  document.load_buffer(body.data(), body.size(), pugi::parse_default | pugi::parse_ws_pcdata_single);
  pugi::xml_node result = document.child("ListMultipartUploadsResult");
  if (!result)
    throw base::CorruptError("the answer to a listing of uploads is no ListMultipartUploadsResult");
  bool encoded = std::strcmp(result.child_value("EncodingType"), "url") == 0;
  auto decoded = [&](const char* text) {
    return encoded ? base::percent_decode(text, true) : std::string(text);
  };
  UploadsPage page;
  for (pugi::xml_node upload : result.children("Upload"))
    page.uploads.push_back({decoded(upload.child_value("Key")), upload.child_value("UploadId"),
                            base::parse_iso8601(upload.child_value("Initiated")).value_or(0)});
  page.truncated = std::strcmp(result.child_value("IsTruncated"), "true") == 0;
  page.next_key = decoded(result.child_value("NextKeyMarker"));
  page.next_id = result.child_value("NextUploadIdMarker");
  return page;
}

}  // namespace millrace::objects
