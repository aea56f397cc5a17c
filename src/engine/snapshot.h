// GetJobQueueSnapshot: the front of a queue's line, and how much of the room its shares have.
#pragma once

#include "base/json.h"
#include "engine/engine.h"

namespace millrace::engine {

json::object get_job_queue_snapshot(const json::object& input, const Engine& engine, TimeMs now);

}  // namespace millrace::engine
