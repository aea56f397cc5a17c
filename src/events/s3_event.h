// The two events that AWS makes of a change in a bucket.
#pragma once

#include "events/event.h"
#include "objects/events.h"

namespace millrace::events {

// "Object Created" and "Object Deleted", as S3 sends them (S3 user guide, "EventBridge event message
// structure").
Event native_s3_event(const objects::ObjectEvent& change, const Place& place);

// "AWS API Call via CloudTrail", a data event of a trail.
Event trail_s3_event(const objects::ObjectEvent& change, const Place& place);

}  // namespace millrace::events
