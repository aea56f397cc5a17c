#include "aws/credentials.h"

#include <cstdlib>

#include "base/error.h"

namespace millrace::aws {
namespace {

constexpr base::TimeMs kAdvisoryMs = 15 * 60 * 1000;
constexpr base::TimeMs kMandatoryMs = 10 * 60 * 1000;
constexpr base::TimeMs kAdvisoryPauseMs = 60 * 1000;  // between attempts while the old ones are still good

}  // namespace

CredentialsChain::CredentialsChain(std::vector<CredentialsSource> sources, const base::Clock& clock)
    : sources_(std::move(sources)), clock_(clock) {}

std::optional<Credentials> CredentialsChain::load() {
  if (chosen_) return sources_[*chosen_].load();
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (auto credentials = sources_[i].load()) {
      chosen_ = i;
      return credentials;
    }
  }
  return std::nullopt;
}

Credentials CredentialsChain::get() {
  std::lock_guard lock(mutex_);
  base::TimeMs now = clock_.now_ms();
  if (current_) {
    if (!current_->expires_at) return *current_;
    base::TimeMs left = *current_->expires_at - now;
    if (left > kAdvisoryMs) return *current_;
    if (left > kMandatoryMs) {
      if (now < next_advisory_try_) return *current_;
      next_advisory_try_ = now + kAdvisoryPauseMs;
      try {
        if (auto fresh = load()) current_ = std::move(fresh);
      } catch (const base::Error&) {
        // The old ones are still good; the next attempt is due in a minute.
      }
      return *current_;
    }
  }
  auto fresh = load();
  if (!fresh) {
    std::string asked;
    for (const CredentialsSource& source : sources_) asked += (asked.empty() ? "" : ", ") + source.name;
    throw base::DeniedError("no AWS credentials found (looked in: " + asked +
                            "); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE");
  }
  if (fresh->expires_at && *fresh->expires_at <= now)
    throw base::TransientError("the AWS credentials from the " + sources_[*chosen_].name + " have expired");
  current_ = std::move(fresh);
  return *current_;
}

void CredentialsChain::invalidate(const Credentials& refused) {
  std::lock_guard lock(mutex_);
  if (current_ && current_->access_key_id == refused.access_key_id &&
      current_->session_token == refused.session_token)
    current_.reset();
}

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
}

}  // namespace millrace::aws
