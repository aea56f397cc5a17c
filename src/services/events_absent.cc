// Sources of partners and global endpoints: an account that has none of them is what lives here, so they can
// be listed and looked for, and not made.
#include "services/events_operations.h"

namespace millrace::services {
namespace {

namespace json = base::json;

[[noreturn]] void absent(const char* what, const std::string& name) {
  events_error("ResourceNotFoundException", fmt::format("{} {} does not exist.", what, name));
}
[[noreturn]] json::object no_event_source(EventsRead& call) {
  absent("Event source", text_of(call.input, "Name"));
}
[[noreturn]] json::object no_endpoint(EventsRead& call) { absent("Endpoint", text_of(call.input, "Name")); }

template <const char* kMember>
json::object empty_list(EventsRead&) {
  return {{kMember, json::array()}};
}
constexpr char kEndpoints[] = "Endpoints", kEventSources[] = "EventSources",
               kPartnerEventSources[] = "PartnerEventSources",
               kPartnerEventSourceAccounts[] = "PartnerEventSourceAccounts";

constexpr EventsReadOperation kReads[] = {
    {"ListEndpoints", empty_list<kEndpoints>},
    {"ListEventSources", empty_list<kEventSources>},
    {"ListPartnerEventSources", empty_list<kPartnerEventSources>},
    {"ListPartnerEventSourceAccounts", empty_list<kPartnerEventSourceAccounts>},
    {"DescribeEndpoint", no_endpoint},
    {"DeleteEndpoint", no_endpoint},
    {"UpdateEndpoint", no_endpoint},
    {"DescribeEventSource", no_event_source},
    {"DescribePartnerEventSource", no_event_source},
    {"ActivateEventSource", no_event_source},
    {"DeactivateEventSource", no_event_source},
};

}  // namespace

OperationList<EventsReadOperation> absent_reads() { return {kReads, std::size(kReads)}; }

}  // namespace millrace::services
