// PutObject and UploadPart: bodies of any size in constant memory.
#include "base/hash.h"
#include "services/s3_call.h"
#include "services/s3_headers.h"

namespace millrace::services {

namespace json = base::json;

// One body on its way into the store: de-framed, hashed as signed, verified, acknowledged when durable.
class S3Service::Upload final : public http::BodySink {
 public:
  Upload(S3Service& service, const aws::Operation& operation, const http::RequestHead& head,
         SigningContext context)
      : service_(service), operation_(operation), head_(head), context_(std::move(context)) {
    base::json::object input = aws::decode(operation, head, "");
    // Without authentication nobody has read this header yet; it also says how the body is framed.
    if (context_.claim.payload_hash.empty())
      context_.claim.payload_hash = std::string(head.headers.get("x-amz-content-sha256"));
    if (auto options = aws::chunked_options(context_.claim, head, context_.key ? &*context_.key : nullptr))
      decoder_.emplace(std::move(*options), [this](std::string_view bytes) { writer_->write(bytes); });
    else if (context_.claim.payload_hash.size() == 64)
      sha256_.emplace(base::Digest::Algorithm::kSha256);
    auto text = [&](std::string_view name) {
      return std::string(base::find_string(input, name).value_or(""));
    };
    service.check_owner(head);
    integrity_ = integrity_of(head);
    if (operation.name == "PutObject") {
      // What S3 computes for those who do not say.
      if (!integrity_.algorithm) integrity_.algorithm = objects::ChecksumAlgorithm::kCrc64nvme;
      writer_ = service.store_.put({text("Bucket"), text("Key"), stored_headers(head), integrity_,
                                    write_conditions(head), requester_of(head, context_)});
    } else {
      writer_ = service.store_.put_part({text("Bucket"), text("Key"), text("UploadId"),
                                         static_cast<int>(base::find_int(input, "PartNumber").value_or(0)),
                                         integrity_});
    }
  }

  void write(std::string_view bytes) override {
    if (sha256_) sha256_->update(bytes);
    if (decoder_)
      decoder_->feed(bytes);
    else
      writer_->write(bytes);
  }

  void finish(http::Respond respond) override {
    try {
      if (decoder_) {
        decoder_->finish();
        take_trailers();
      }
      if (sha256_) aws::check_payload(context_.claim, base::hex(sha256_->finish()));
    } catch (...) {
      return respond(failed(head_, std::current_exception(), context_.request_id));
    }
    // A small object only waits for the commit; a large one syncs its file first, which blocks.
    if (writer_->is_small()) return commit(respond);
    service_.workers_.post([this, respond = std::move(respond)] { commit(respond); });
  }

 private:
  void take_trailers() {
    for (const auto& [name, value] : decoder_->trailers()) {
      if (!name.starts_with("x-amz-checksum-")) continue;
      std::optional<std::string> raw = base::unbase64(value);
      if (!integrity_.algorithm || name != objects::checksum_header(*integrity_.algorithm) || !raw ||
          raw->size() != objects::checksum_size(*integrity_.algorithm))
        throw s3_error("InvalidRequest", "Value for " + name + " trailing header is invalid.");
      writer_->expect_checksum(*raw);
    }
  }

  // Answers in any case. The answer may destroy this sink: nothing of it is used afterwards.
  void commit(const http::Respond& respond) {
    try {
      writer_->finish([&operation = operation_, head = head_, id = context_.request_id, respond](
                          objects::PutResult result, std::exception_ptr error) {
        http::Response response;
        try {
          if (error) std::rethrow_exception(error);
          base::json::object output{{"ETag", quoted(result.etag)}};
          add_checksum(output, result.checksum, operation.name == "PutObject");
          add_version(output, result.version_id);
          for (const char* member : {"ServerSideEncryption", "SSEKMSKeyId"})
            if (const aws::Member* told = aws::find_member(*operation.output, member))
              if (std::string_view value = head.headers.get(told->wire); !value.empty())
                output[member] = json::string(value);
          response = aws::encode(operation, std::move(output), id);
        } catch (...) {
          response = failed(head, std::current_exception(), id);
        }
        respond(std::move(response));
      });
    } catch (...) {
      respond(failed(head_, std::current_exception(), context_.request_id));
    }
  }

  S3Service& service_;
  const aws::Operation& operation_;
  http::RequestHead head_;
  SigningContext context_;
  objects::Integrity integrity_;
  std::unique_ptr<objects::ObjectWriter> writer_;
  std::optional<aws::ChunkedDecoder> decoder_;
  std::optional<base::Digest> sha256_;
};

std::unique_ptr<http::BodySink> S3Service::open(const aws::Operation& operation,
                                                const http::RequestHead& head,
                                                const SigningContext& context) {
  if (!is_streamed(operation)) return nullptr;
  return std::make_unique<Upload>(*this, operation, head, context);
}

}  // namespace millrace::services
