// Operations on buckets.
#include "aws/xml_writer.h"
#include "objects/store_errors.h"
#include "services/s3_call.h"
#include "services/s3_headers.h"
#include "services/s3_tags.h"

namespace millrace::services {

namespace json = base::json;

namespace {

// The document that PutBucketTagging would have brought. Throws as check_tags().
std::string tagging_document(const json::array& set) {
  Tags tags = tags_in(set);
  check_tags(tags, kBucketTagsMax);
  std::string document = "<Tagging xmlns=\"" + std::string(kXmlNamespace) + "\"><TagSet>";
  for (const auto& [key, value] : tags) {
    document += "<Tag>";
    aws::append_xml_element(document, "Key", key);
    aws::append_xml_element(document, "Value", value);
    document += "</Tag>";
  }
  return document + "</TagSet></Tagging>";
}

}  // namespace

http::Response S3Service::list_buckets(Call& call) {
  size_t limit = call.count("MaxBuckets", 10'000);
  std::string prefix = call.text("Prefix"), after = call.text("ContinuationToken");
  json::array buckets;
  json::object output;
  for (const objects::BucketRecord& bucket : store_.buckets(after)) {
    if (!bucket.name.starts_with(prefix)) continue;
    if (buckets.size() == limit) {
      output["ContinuationToken"] = buckets.back().as_object()["Name"];
      break;
    }
    buckets.push_back(
        {{"Name", bucket.name}, {"CreationDate", bucket.created}, {"BucketRegion", bucket.region}});
  }
  output["Buckets"] = std::move(buckets);
  output["Owner"] = owner();
  if (!prefix.empty()) output["Prefix"] = prefix;
  return call.answer(std::move(output));
}

http::Response S3Service::create_bucket(Call& call) {
  check_acl_headers(call.head);
  if (base::find_bool(call.input, "ObjectLockEnabledForBucket").value_or(false)) throw not_implemented();
  std::string region = options_.region;
  if (const json::object* configuration = base::find_object(call.input, "CreateBucketConfiguration")) {
    if (auto wanted = base::find_string(*configuration, "LocationConstraint"); wanted && !wanted->empty()) {
      if (*wanted != options_.region || *wanted == "us-east-1")
        throw s3_error(
            *wanted == "us-east-1" ? "InvalidLocationConstraint" : "IllegalLocationConstraintException",
            *wanted == "us-east-1"
                ? "The specified location-constraint is not valid"
                : "The " + std::string(*wanted) +
                      " location constraint is incompatible for the region specific endpoint this request "
                      "was sent to.");
      region = *wanted;
    }
  }
  std::string tagging;
  if (const json::object* configuration = base::find_object(call.input, "CreateBucketConfiguration"))
    if (const json::array* set = base::find_array(*configuration, "Tags"); set && !set->empty())
      tagging = tagging_document(*set);
  bool created = store_.create_bucket(call.bucket(), region);
  if (created && !tagging.empty()) store_.put_setting(call.bucket(), "tagging", tagging);
  // Only us-east-1 lets an owner create a bucket twice (S3 API reference, CreateBucket).
  if (!created && options_.region != "us-east-1") throw objects::bucket_already_owned();
  return call.answer({{"Location", "/" + call.bucket()}});
}

http::Response S3Service::head_bucket(Call& call) {
  objects::BucketRecord bucket = store_.bucket(call.bucket());
  http::Response response = call.answer({{"BucketRegion", bucket.region}, {"AccessPointAlias", false}});
  response.content_length_of_head = 0;
  return response;
}

http::Response S3Service::delete_bucket(Call& call) {
  store_.delete_bucket(call.bucket());
  return call.answer();
}

http::Response S3Service::get_bucket_location(Call& call) {
  objects::BucketRecord bucket = store_.bucket(call.bucket());
  // The one document of S3 that its model does not describe: the text stands in the root element itself.
  std::string root = "<LocationConstraint xmlns=\"" + std::string(kXmlNamespace) + "\"";
  return call.answer_document(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + root +
      (bucket.region == "us-east-1" ? "/>" : ">" + bucket.region + "</LocationConstraint>"));
}

}  // namespace millrace::services
