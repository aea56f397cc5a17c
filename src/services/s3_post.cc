// POST Object: uploads by HTML forms.
#include "aws/xml_writer.h"
#include "base/strings.h"
#include "base/url.h"
#include "services/multipart_form.h"
#include "services/post_policy.h"
#include "services/s3_call.h"
#include "services/s3_headers.h"
#include "services/s3_tags.h"

namespace millrace::services {
namespace {

std::string field_of(const FormFields& fields, std::string_view name) {
  for (const auto& [key, value] : fields)
    if (key == name) return value;
  return "";
}

// The tags of a <Tagging> document, in the store's form.
std::string tags_of(const std::string& document) {
  const aws::Operation* put = aws::find_operation(*aws::find_service("s3"), "PutObjectTagging");
  http::RequestHead head;
  head.method = "PUT";
  head.path = "/b/k";
  head.query = "tagging";
  base::json::object input = aws::decode(*put, head, document);
  const base::json::object* tagging = base::find_object(input, "Tagging");
  const base::json::array* set = tagging ? base::find_array(*tagging, "TagSet") : nullptr;
  if (!set) throw malformed_xml();
  Tags tags = tags_in(*set);
  check_tags(tags, kObjectTagsMax);
  return to_text(tags);
}

}  // namespace

class S3Service::PostUpload final : public http::BodySink {
 public:
  PostUpload(S3Service& service, const http::RequestHead& head, std::string bucket,
             AuthenticateForm authenticate, const base::Clock& clock)
      : service_(service),
        head_(head),
        bucket_(std::move(bucket)),
        authenticate_(std::move(authenticate)),
        clock_(clock),
        form_(
            form_boundary(head.headers.get("content-type")),
            [this](const FormFields& fields, const std::string& file_name, const std::string& type) {
              begin(fields, file_name, type);
            },
            [this](std::string_view bytes) {
              writer_->write(bytes);
              if (policy_ && writer_->size() > policy_->bytes_max()) policy_->check_size(writer_->size());
            }) {
    service.store_.bucket(bucket_);
  }

  void write(std::string_view bytes) override { form_.feed(bytes); }

  void finish(http::Respond respond) override {
    try {
      if (!form_.finish())
        throw s3_error("InvalidArgument", "POST requires exactly one file upload per request.");
      if (policy_) policy_->check_size(writer_->size());
    } catch (...) {
      return respond(failed(head_, std::current_exception(), context_.request_id));
    }
    service_.workers_.post([this, respond = std::move(respond)] { commit(respond); });
  }

 private:
  void begin(FormFields fields, const std::string& file_name, const std::string& type) {
    context_ = authenticate_(fields);
    key_ = base::replace_all(field_of(fields, "key"), "${filename}", file_name);
    if (key_.empty())
      throw s3_error("InvalidArgument",
                     "Bucket POST must contain a field named 'key'.  If it is specified, please check the "
                     "order of the fields.");
    if (context_.require) {
      context_.require("PutObject", bucket_, key_);
      if (!field_of(fields, "acl").empty()) context_.require("PutObjectAcl", bucket_, key_);
      if (!field_of(fields, "tagging").empty()) context_.require("PutObjectTagging", bucket_, key_);
    }
    // What a signed form may say, its policy says; a form without one comes from a trusted caller.
    if (std::string text = field_of(fields, "policy"); !text.empty()) {
      policy_.emplace(text);
      for (auto& [name, value] : fields)
        if (name == "key") value = key_;
      fields.emplace_back("bucket", bucket_);
      policy_->check(fields, clock_.now_ms());
    }
    // The fields that are headers elsewhere.
    http::RequestHead as_put;
    for (const auto& [name, value] : fields)
      if (name != "x-amz-signature" && name != "tagging")
        as_put.headers.add(name == "acl" ? "x-amz-acl" : name, value);
    if (!as_put.headers.has("content-type") && !type.empty()) as_put.headers.add("content-type", type);
    if (std::string tagging = field_of(fields, "tagging"); !tagging.empty())
      as_put.headers.set("x-amz-tagging", tags_of(tagging));
    objects::Integrity integrity = integrity_of(as_put);
    if (!integrity.algorithm) integrity.algorithm = objects::ChecksumAlgorithm::kCrc64nvme;
    redirect_ = field_of(fields, "success_action_redirect");
    if (auto status = base::parse_number<int>(field_of(fields, "success_action_status"));
        status == 200 || status == 201)
      status_ = *status;
    writer_ = service_.store_.put({bucket_,
                                   key_,
                                   stored_headers(as_put),
                                   std::move(integrity),
                                   {},
                                   requester_of(head_, context_),
                                   "POST Object"});
  }

  // Answers in any case, and uses nothing of this sink afterwards.
  void commit(const http::Respond& respond) {
    http::Response response;
    try {
      response = stored(writer_->finish());
    } catch (...) {
      response = failed(head_, std::current_exception(), context_.request_id);
    }
    respond(std::move(response));
  }

  http::Response stored(const objects::PutResult& result) {
    std::string location = "http://" + std::string(head_.headers.get("host")) + "/" + bucket_ + "/" +
                           base::percent_encode(key_, true);
    http::Response response;
    response.headers.add("x-amz-request-id", context_.request_id);
    response.headers.add("ETag", quoted(result.etag));
    if (!result.version_id.empty()) response.headers.add("x-amz-version-id", result.version_id);
    if (redirect_.starts_with("http://") || redirect_.starts_with("https://")) {
      response.status = 303;
      location = redirect_ + (redirect_.find('?') == std::string::npos ? "?" : "&") +
                 "bucket=" + base::percent_encode(bucket_) + "&key=" + base::percent_encode(key_) +
                 "&etag=" + base::percent_encode(quoted(result.etag));
    } else {
      response.status = status_;
    }
    if (location.find_first_of("\r\n") == std::string::npos) response.headers.add("Location", location);
    if (response.status == 201) {
      response.headers.add("Content-Type", "application/xml");
      response.body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse>";
      aws::append_xml_element(response.body, "Location", location);
      aws::append_xml_element(response.body, "Bucket", bucket_);
      aws::append_xml_element(response.body, "Key", key_);
      aws::append_xml_element(response.body, "ETag", quoted(result.etag));
      response.body += "</PostResponse>";
    }
    return response;
  }

  S3Service& service_;
  http::RequestHead head_;
  std::string bucket_, key_, redirect_;
  int status_ = 204;
  AuthenticateForm authenticate_;
  const base::Clock& clock_;
  SigningContext context_;
  std::optional<PostPolicy> policy_;
  std::unique_ptr<objects::ObjectWriter> writer_;
  MultipartForm form_;
};

std::unique_ptr<http::BodySink> S3Service::open_form(const http::RequestHead& head, const base::Clock& clock,
                                                     AuthenticateForm authenticate) {
  if (head.method != "POST" || !head.query.empty() ||
      !base::to_lower(head.headers.get("content-type")).starts_with("multipart/form-data"))
    return nullptr;
  std::string_view bucket = std::string_view(head.path).substr(1);
  if (bucket.ends_with('/')) bucket.remove_suffix(1);
  if (bucket.empty() || bucket.find('/') != std::string_view::npos) return nullptr;
  return std::make_unique<PostUpload>(*this, head, base::percent_decode(bucket), std::move(authenticate),
                                      clock);
}

}  // namespace millrace::services
