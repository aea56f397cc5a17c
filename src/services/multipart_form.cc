#include "services/multipart_form.h"

#include "base/strings.h"
#include "services/s3_errors.h"

namespace millrace::services {
namespace {

aws::ApiError malformed() {
  return s3_error("MalformedPOSTRequest",
                  "The body of your POST request is not well-formed multipart/form-data.");
}

// The value of `name` among the parameters of a header such as `form-data; name="a"; filename="b"`.
std::string parameter(std::string_view header, std::string_view name) {
  size_t at = header.find(';');
  while (at != std::string_view::npos) {
    std::string_view rest = base::trim(header.substr(at + 1));
    size_t equals = rest.find('=');
    if (equals == std::string_view::npos) return "";
    bool wanted = base::equals_ignore_case(base::trim(rest.substr(0, equals)), name);
    rest = rest.substr(equals + 1);
    std::string value;
    size_t end = 0;
    if (rest.starts_with('"')) {
      for (end = 1; end < rest.size() && rest[end] != '"'; ++end) {
        if (rest[end] == '\\' && end + 1 < rest.size()) ++end;
        value += rest[end];
      }
      ++end;
    } else {
      end = std::min(rest.find(';'), rest.size());
      value = base::trim(rest.substr(0, end));
    }
    if (wanted) return value;
    size_t next = end < rest.size() ? rest.find(';', end) : std::string_view::npos;
    header = rest;
    at = next;
  }
  return "";
}

}  // namespace

std::string form_boundary(std::string_view content_type) {
  std::string_view type = base::trim(content_type.substr(0, content_type.find(';')));
  if (!base::equals_ignore_case(type, "multipart/form-data")) return "";
  return parameter(content_type, "boundary");
}

MultipartForm::MultipartForm(std::string_view boundary, BeginFile begin_file,
                             std::function<void(std::string_view)> file_data)
    : delimiter_("\r\n--" + std::string(boundary)),
      begin_file_(std::move(begin_file)),
      file_data_(std::move(file_data)),
      buffer_("\r\n") {  // the first delimiter has no line before it
  if (boundary.empty() || boundary.size() > 70) throw malformed();
}

void MultipartForm::feed(std::string_view bytes) {
  if (at_ == At::kRest) return;
  buffer_ += bytes;
  while (step()) {
  }
}

// Consumes what it can; false when more bytes are needed.
bool MultipartForm::step() {
  switch (at_) {
    case At::kPreamble: {
      size_t found = buffer_.find(delimiter_);
      if (found == std::string::npos) {
        if (buffer_.size() > kFieldBytesMax) throw malformed();
        return false;
      }
      buffer_.erase(0, found + delimiter_.size());
      at_ = At::kHead;
      return true;
    }
    case At::kHead: {
      // Behind a delimiter: "--" ends the body, else white space, a line break, header lines, an empty line.
      if (buffer_.size() < 2) return false;
      if (buffer_.starts_with("--")) {
        at_ = At::kRest;
        buffer_.clear();
        return false;
      }
      size_t end = buffer_.find("\r\n\r\n");
      if (end == std::string::npos) {
        if (buffer_.size() > kFieldBytesMax) throw malformed();
        return false;
      }
      field_bytes_ += end;
      std::string head = buffer_.substr(0, end);
      buffer_.erase(0, end + 4);
      read_head(head);
      return true;
    }
    case At::kField: {
      size_t found = buffer_.find(delimiter_);
      if (field_bytes_ + std::min(found, buffer_.size()) > kFieldBytesMax)
        throw s3_error("MaxPostPreDataLengthExceededError",
                       "Your POST request fields preceding the upload file were too large.");
      if (found == std::string::npos) return false;
      std::string value = buffer_.substr(0, found);
      field_bytes_ += value.size();
      fields_.emplace_back(base::to_lower(name_), std::move(value));
      buffer_.erase(0, found + delimiter_.size());
      at_ = At::kHead;
      return true;
    }
    case At::kFile: {
      size_t found = buffer_.find(delimiter_);
      // All but what may be the beginning of the delimiter is content.
      size_t sure = found != std::string::npos           ? found
                    : buffer_.size() > delimiter_.size() ? buffer_.size() - delimiter_.size()
                                                         : 0;
      if (sure > 0) file_data_(std::string_view(buffer_).substr(0, sure));
      if (found == std::string::npos) {
        buffer_.erase(0, sure);
        return false;
      }
      at_ = At::kRest;
      buffer_.clear();
      return false;
    }
    case At::kRest:
      buffer_.clear();
      return false;
  }
  return false;
}

void MultipartForm::read_head(std::string_view head) {
  name_.clear();
  file_name_.clear();
  type_.clear();
  for (std::string_view line : base::split(head, '\n')) {
    line = base::trim(line);
    size_t colon = line.find(':');
    if (line.empty()) continue;
    if (colon == std::string_view::npos) throw malformed();
    std::string_view header = base::trim(line.substr(0, colon)), value = base::trim(line.substr(colon + 1));
    if (base::equals_ignore_case(header, "content-disposition")) {
      name_ = parameter(value, "name");
      file_name_ = parameter(value, "filename");
    } else if (base::equals_ignore_case(header, "content-type")) {
      type_ = value;
    }
  }
  if (name_.empty()) throw malformed();
  if (!base::equals_ignore_case(name_, "file")) {
    at_ = At::kField;
    return;
  }
  // Browsers send whole paths or names; only the name counts.
  file_name_ = file_name_.substr(file_name_.find_last_of("/\\") + 1);
  had_file_ = true;
  at_ = At::kFile;
  begin_file_(fields_, file_name_, type_);
}

bool MultipartForm::finish() {
  if (at_ != At::kRest) throw malformed();
  return had_file_;
}

}  // namespace millrace::services
