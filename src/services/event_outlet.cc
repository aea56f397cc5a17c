#include "services/event_outlet.h"

#include <fmt/format.h>

#include "aws/api_error.h"
#include "aws/input_check.h"
#include "base/error.h"
#include "base/strings.h"
#include "services/events_operations.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using events::DeliveryResult;

constexpr int kUnauthorized = 401;

DeliveryResult delivered(std::string outcome) { return {true, std::move(outcome), "", false, 0}; }
DeliveryResult failed(std::string why, std::string code, bool permanent, base::TimeMs wait_ms = 0) {
  return {false, std::move(why), std::move(code), permanent, wait_ms};
}

const char* code_of(int status) {
  switch (status) {
    case 401:
    case 403:
      return "NO_PERMISSIONS";
    case 404:
      return "NO_RESOURCE";
    case 429:
      return "THROTTLING";
    default:
      return status >= 500 ? "INTERNAL_ERROR" : "SDK_CLIENT_ERROR";
  }
}

// What a target's answer means (EventBridge user guide, "API destinations": 409, 429 and 5xx are tried
// again).
DeliveryResult result_of(const http::ClientResponse& response) {
  if (response.status >= 200 && response.status < 300)
    return delivered(fmt::format("HTTP {}", response.status));
  const bool again = response.status == 409 || response.status == 429 || response.status >= 500;
  base::TimeMs wait = 0;
  if (auto seconds = base::parse_number<int64_t>(response.headers.get("retry-after"))) wait = *seconds * 1000;
  return failed(fmt::format("HTTP {}", response.status), code_of(response.status), !again, wait);
}

}  // namespace

EventOutlet::EventOutlet(engine::Driver& driver, logs::LogStore& logs, objects::DirectoryStore& objects,
                         const base::Clock& clock)
    : driver_(driver), logs_(logs), objects_(objects), clock_(clock) {}

void EventOutlet::send(const events::Delivery& delivery, const std::string& token, bool expired, Done done) {
  const std::string to = text_of(delivery.request, "to");
  if (to == "batch")
    return submit(delivery.request.at("submit").as_object(), token, expired, std::move(done));
  if (expired) return done(failed("its time was over before it could be delivered", "TIMEOUT", true));
  if (to == "http") return call_http(delivery.request.at("call").as_object(), std::move(done));
  workers_.post([this, to, request = delivery.request, done = std::move(done)] {
    DeliveryResult result;
    try {
      result = to == "logs" ? write_log(request) : write_object(request);
    } catch (const base::Error& error) {
      const bool again = error.kind() == base::ErrorKind::kTransient;
      result =
          failed(error.what(),
                 error.kind() == base::ErrorKind::kNotFound ? "NO_RESOURCE" : "SDK_CLIENT_ERROR", !again);
    } catch (const std::exception& error) {
      result = failed(error.what(), "INTERNAL_ERROR", false);
    }
    done(std::move(result));
  });
}

void EventOutlet::submit(const json::object& given, const std::string& token, bool expired, Done done) {
  auto shared = std::make_shared<Done>(std::move(done));
  auto reply = [shared](std::variant<json::object, engine::Refusal> answer) {
    if (auto* refusal = std::get_if<engine::Refusal>(&answer)) {
      const bool again = refusal->status >= 500 || refusal->status == 429;
      const bool missing = refusal->message.find("not found") != std::string::npos ||
                           refusal->message.find("does not exist") != std::string::npos;
      return (*shared)(failed(fmt::format("{}: {}", refusal->code, refusal->message),
                              missing ? "NO_RESOURCE" : code_of(refusal->status), !again));
    }
    (*shared)(delivered("job " + text_of(std::get<json::object>(answer), "jobId")));
  };
  if (expired) {
    return driver_.read(
        [token, shared](const engine::Engine& engine, engine::Store& store) {
          try {
            if (auto seq = store.job_of_token(token))
              if (auto job = store.load_job(*seq, engine))
                return (*shared)(delivered("job " + engine.job_id(*job)));
          } catch (const base::Error& error) {
            return (*shared)(failed(error.what(), "INTERNAL_ERROR", false));
          }
          (*shared)(failed("its time was over before it could be delivered", "TIMEOUT", true));
        },
        [reply](engine::Refusal refusal) { reply(std::move(refusal)); });
  }
  static const aws::ServiceModel& batch = *aws::find_service("batch");
  static const aws::Operation& operation = *aws::find_operation(batch, "SubmitJob");
  json::object input = given;
  try {
    aws::check_input(batch, *operation.input, input, aws::InputForm::kWireJson);
  } catch (const aws::ApiError& error) {
    return (*shared)(failed(fmt::format("{}: {}", error.code(), error.what()), "SDK_CLIENT_ERROR", true));
  }
  driver_.post({engine::ApiOperation::kSubmitJob, std::move(input), "", token}, std::move(reply));
}

DeliveryResult EventOutlet::write_log(const json::object& request) {
  const std::string group = text_of(request, "group"), stream = text_of(request, "stream");
  std::string message = text_of(request, "text");
  base::TimeMs time = clock_.now_ms();
  // The form that a log group's input transformer may make.
  try {
    json::value parsed = base::parse_json(message);
    const json::object* object = parsed.if_object();
    if (object && object->size() == 2 && base::find_int(*object, "timestamp") &&
        base::find_string(*object, "message")) {
      time = *base::find_int(*object, "timestamp");
      message = text_of(*object, "message");
    }
  } catch (const base::CorruptError&) {
  }
  if (stream == "dead-letters") logs_.ensure_group(group);
  try {
    logs_.create_stream(group, stream);
  } catch (const base::ConflictError&) {
  }
  logs_.put_events(group, stream, {{time, message}});
  return delivered(fmt::format("log {}:{}", group, stream));
}

DeliveryResult EventOutlet::write_object(const json::object& request) {
  objects::PutSpec spec;
  spec.bucket = text_of(request, "bucket");
  spec.key = text_of(request, "key");
  auto writer = objects_.put(spec);
  writer->write(text_of(request, "text"));
  writer->finish();
  return delivered(fmt::format("s3://{}/{}", spec.bucket, spec.key));
}

void EventOutlet::call_http(const json::object& call, Done done) {
  const json::object* oauth = base::find_object(call, "oauth");
  if (!oauth)
    return send_http(http_request_of(call),
                     [done = std::move(done)](DeliveryResult result, int) { done(result); });
  tokens_.get(
      *oauth, [this, call, done = std::move(done)](const std::string& token, const DeliveryResult& failure) {
        if (token.empty()) return done(failure);
        http::ClientRequest request = http_request_of(call);
        request.headers.set("Authorization", "Bearer " + token);
        send_http(std::move(request), [this, call, token, done](DeliveryResult result, int status) {
          if (status == kUnauthorized) {  // taken back before its time: the next attempt has a new one
            tokens_.forget(call.at("oauth").as_object(), token);
            result.permanent = false;
          }
          done(std::move(result));
        });
      });
}

// `done` also gets the status of the answer, 0 without one.
void EventOutlet::send_http(http::ClientRequest request, std::function<void(DeliveryResult, int)> done) {
  http_.send(std::move(request),
             [done = std::move(done)](const http::ClientResponse& response, std::exception_ptr error) {
               if (!error) return done(result_of(response), response.status);
               try {
                 std::rethrow_exception(error);
               } catch (const std::exception& e) {
                 done(failed(e.what(), "TIMEOUT", false), 0);
               }
             });
}

}  // namespace millrace::services
