// Reads multipart/form-data bodies (RFC 7578) piece by piece: small fields, then one file of any size.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::services {

using FormFields = std::vector<std::pair<std::string, std::string>>;  // names in lower case, in their order

// The boundary that a Content-Type names; empty when it is not multipart/form-data or names none.
std::string form_boundary(std::string_view content_type);

// Fed piece by piece, cut anywhere. The field called "file" ends the fields: what comes behind it is read
// over, as S3 does. Throws ApiError MalformedPOSTRequest, MaxPostPreDataLengthExceeded, and whatever the
// functions throw.
class MultipartForm {
 public:
  static constexpr size_t kFieldBytesMax = 20 * 1024;  // all fields and their heads together (S3's limit)

  // `begin_file` is told the fields before the file, its file name and its own Content-Type; then `file_data`
  // gets its bytes.
  using BeginFile =
      std::function<void(const FormFields&, const std::string& file_name, const std::string& content_type)>;
  MultipartForm(std::string_view boundary, BeginFile begin_file,
                std::function<void(std::string_view)> file_data);
  void feed(std::string_view bytes);
  // Throws when the body was not complete. True when there was a file.
  bool finish();

 private:
  enum class At { kPreamble, kHead, kField, kFile, kRest };
  bool step();
  void read_head(std::string_view head);

  std::string delimiter_;  // CR LF "--" boundary
  BeginFile begin_file_;
  std::function<void(std::string_view)> file_data_;
  At at_ = At::kPreamble;
  std::string buffer_;  // not yet consumed
  size_t field_bytes_ = 0;
  FormFields fields_;
  std::string name_, file_name_, type_;  // of the part under way
  bool had_file_ = false;
};

}  // namespace millrace::services
