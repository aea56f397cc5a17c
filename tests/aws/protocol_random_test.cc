// Random requests: whatever comes, route() and decode() answer or refuse with an ApiError of status 4xx.
#include <gtest/gtest.h>

#include <random>

#include "aws/protocol.h"

namespace millrace::aws {
namespace {

namespace json = base::json;

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

  std::string bytes(size_t max) {
    std::string text(below(max + 1), ' ');
    for (char& c : text) c = below(3) ? "/?&=.%<>{}[]\":,1aA-"[below(19)] : static_cast<char>(below(256));
    return text;
  }

  // A value that mostly has the member's type, so that the walk goes deep.
  json::value value(const Shape& shape, int depth) {
    if (depth > 6 || below(12) == 0) return odd();
    switch (shape.type) {
      case ShapeType::kStructure: {
        json::object object;
        for (const Member& member : shape.members)
          if (member.required || below(3) == 0)
            object[json::string_view(member.wire.data(), member.wire.size())] =
                value(*member.shape, depth + 1);
        return object;
      }
      case ShapeType::kList: {
        json::array array;
        for (size_t n = below(4); n > 0; --n) array.push_back(value(*shape.members[0].shape, depth + 1));
        return array;
      }
      case ShapeType::kMap: {
        json::object object;
        for (size_t n = below(4); n > 0; --n)
          object[bytes_of_text()] = value(*shape.members[1].shape, depth + 1);
        return object;
      }
      case ShapeType::kBoolean:
        return below(2) == 0;
      case ShapeType::kInteger:
      case ShapeType::kLong:
        return static_cast<int64_t>(random_());
      case ShapeType::kFloat:
      case ShapeType::kDouble:
      case ShapeType::kTimestamp:
        return static_cast<double>(random_()) / 7;
      default:
        return json::value(bytes_of_text());
    }
  }

  std::string bytes_of_text() {
    std::string text(below(20), 'x');
    for (char& c : text) c = static_cast<char>('!' + below(90));
    return text;
  }

 private:
  json::value odd() {
    switch (below(6)) {
      case 0:
        return nullptr;
      case 1:
        return json::array{1, nullptr, "x"};
      case 2:
        return json::object{{"x", nullptr}};
      case 3:
        return 1e308;
      case 4:
        return static_cast<uint64_t>(-1);
      default:
        return "text";
    }
  }

  std::mt19937 random_;
};

void decode_or_refuse(const ServiceModel& service, const http::RequestHead& head, const std::string& body) {
  const Operation* operation = route(service, head, body);
  try {
    if (!operation) throw unknown_operation(service, head, body);
    decode(*operation, head, body);
  } catch (const ApiError& error) {
    EXPECT_GE(error.status, 400);
    EXPECT_LT(error.status, 500);
    EXPECT_FALSE(error.code().empty());
    encode_error(&service, error, "r");
  }
}

TEST(RandomRequests, BytesNeverCrash) {
  // Without this one malformed request can take the engine down.
  for (unsigned seed = 0; seed < 4000; ++seed) {
    SCOPED_TRACE(seed);
    Generator make(seed);
    const ServiceModel& service = *all_services()[make.below(all_services().size())];
    http::RequestHead head;
    head.method = std::vector<std::string>{"GET", "PUT", "POST", "DELETE", "HEAD"}[make.below(5)];
    head.path = "/" + make.bytes(30);
    head.query = make.bytes(40);
    if (!service.target_prefix.empty())
      head.headers.add("x-amz-target",
                       std::string(service.target_prefix) + "." +
                           std::string(service.operations[make.below(service.operations.size())].name));
    if (make.below(2)) head.headers.add("x-amz-copy-source", make.bytes(10));
    std::string body = make.bytes(200);
    if (service.protocol == Protocol::kQuery)
      body = "Action=" + std::string(service.operations[make.below(service.operations.size())].name) + "&" +
             body;
    decode_or_refuse(service, head, body);
  }
}

TEST(RandomRequests, JsonOfTheRightShapeNeverCrashes) {
  // Without this a value of an odd type deep in a request can take the engine down.
  for (const ServiceModel* service : all_services()) {
    if (service->protocol == Protocol::kQuery || service->protocol == Protocol::kRestXml) continue;
    for (const Operation& operation : service->operations) {
      for (unsigned seed = 0; seed < 8; ++seed) {
        SCOPED_TRACE(std::string(operation.name) + " " + std::to_string(seed));
        Generator make(seed);
        http::RequestHead head;
        head.path = "/";
        std::string body = json::serialize(make.value(*operation.input, 0));
        if (make.below(4) == 0) body[make.below(body.size())] = static_cast<char>(make.below(256));
        try {
          json::object input = decode(operation, head, body);
        } catch (const ApiError& error) {
          EXPECT_EQ(error.status, 400);
        }
      }
    }
  }
}

TEST(RandomRequests, DeepFormsAndXmlAreBounded) {
  // Without this nesting in a request can exhaust the stack.
  http::RequestHead head;
  head.method = "POST";
  head.path = "/b";
  head.query = "delete";
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  EXPECT_THROW(decode(*find_operation(*find_service("s3"), "DeleteObjects"), head, deep), ApiError);
  std::string brackets(200'000, '[');
  EXPECT_THROW(decode(*find_operation(*find_service("batch"), "SubmitJob"), head, brackets), ApiError);
  std::string form = "Action=SimulateCustomPolicy&";
  for (int i = 0; i < 100'000; ++i) form += "ContextEntries.member.1.";
  head.query.clear();
  decode_or_refuse(*find_service("iam"), head, form + "=1");
}

}  // namespace
}  // namespace millrace::aws
