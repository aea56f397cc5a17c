#include "services/live_tail.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "aws/api_error.h"
#include "aws/event_stream.h"
#include "base/strings.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using Clock = std::chrono::steady_clock;

constexpr size_t kWaitingUpdatesMax = 10;
constexpr char kContentType[] = "application/x-amz-json-1.1";

std::string event_frame(std::string_view type, const json::object& payload) {
  return aws::encode_event_stream(aws::event_stream_event(type, kContentType, json::serialize(payload)));
}

std::string exception_frame(std::string_view type, const std::string& message) {
  return aws::encode_event_stream(
      aws::event_stream_exception(type, kContentType, json::serialize(json::object{{"message", message}})));
}

}  // namespace

struct LiveTails::Session {
  LiveTailRequest request;
  logs::TailPosition position;
  Clock::time_point next_update, end;
  std::shared_ptr<http::LiveBody> body = std::make_shared<http::LiveBody>(kWaitingUpdatesMax);
};

LiveTails::LiveTails(logs::LogStore& store, LiveTailOptions options)
    : store_(store), options_(options), thread_([this] { run(); }) {}

LiveTails::~LiveTails() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  for (const auto& session : sessions_) session->body->end();
}

std::shared_ptr<http::LiveBody> LiveTails::start(LiveTailRequest request) {
  auto session = std::make_unique<Session>();
  session->position = store_.tail_from_now();
  session->request = std::move(request);
  session->next_update = Clock::now() + options_.update_every;
  session->end = Clock::now() + options_.session_time_max;
  // JSON protocols begin with what the answer would hold beside the stream: nothing.
  session->body->write(event_frame("initial-response", {}));
  session->body->write(event_frame("sessionStart", session->request.start));
  std::shared_ptr<http::LiveBody> body = session->body;
  {
    std::scoped_lock lock(mutex_);
    if (sessions_.size() >= options_.sessions_max)
      throw aws::ApiError(400, "LimitExceededException",
                          "There are " + std::to_string(options_.sessions_max) +
                              " Live Tail sessions already; end one of them first.");
    sessions_.push_back(std::move(session));
  }
  wake_.notify_all();
  return body;
}

void LiveTails::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    auto first = std::min_element(sessions_.begin(), sessions_.end(), [](const auto& a, const auto& b) {
      return a->next_update < b->next_update;
    });
    if (first == sessions_.end()) {
      wake_.wait(lock);
      continue;
    }
    if (const Clock::time_point due = (*first)->next_update; Clock::now() < due) {
      wake_.wait_until(lock, due);
      continue;
    }
    // Only this thread takes sessions away; others may add some meanwhile.
    Session* session = first->get();
    lock.unlock();
    const bool goes_on = update(*session);
    lock.lock();
    if (!goes_on) std::erase_if(sessions_, [&](const auto& each) { return each.get() == session; });
  }
}

bool LiveTails::update(Session& session) {
  http::LiveBody& body = *session.body;
  const Clock::time_point now = Clock::now();
  // Late by more than a whole period: those updates are left out.
  session.next_update = std::max(session.next_update, now - options_.update_every) + options_.update_every;
  if (now >= session.end) {
    body.write(exception_frame("SessionTimeoutException", "The Live Tail session has timed out."));
    body.end();
    return false;
  }
  try {
    const logs::TailQuery& query = session.request.query;
    logs::TailPage page = store_.tail(query, session.position);
    json::array results;
    results.reserve(page.events.size());
    for (const logs::TailEvent& each : page.events) {
      const auto group = std::find(query.groups.begin(), query.groups.end(), each.group);
      const auto place = static_cast<size_t>(group - query.groups.begin());
      results.push_back(json::object{{"logStreamName", *each.event.stream},
                                     {"logGroupIdentifier", session.request.group_identifiers.at(place)},
                                     {"message", base::to_utf8(each.event.message)},
                                     {"timestamp", each.event.key.timestamp},
                                     {"ingestionTime", each.event.key.ingestion}});
    }
    return body.write(event_frame("sessionUpdate", {{"sessionMetadata", {{"sampled", page.sampled}}},
                                                    {"sessionResults", std::move(results)}}));
  } catch (const std::exception& error) {
    spdlog::error("live tail: {}", error.what());
    body.write(exception_frame("SessionStreamingException", error.what()));
    body.end();
    return false;
  }
}

}  // namespace millrace::services
