#include "engine/line.h"

#include <algorithm>
#include <cmath>

#include "engine/job.h"

namespace millrace::engine {
namespace {

constexpr double kHalvings = 4;      // of usage in one window
constexpr double kRebase = 256;      // halvings after which numbers are brought down again
constexpr TimeMs kForgetMs = 1'000;  // between looks for shares that are no longer active
constexpr double kLn2 = 0.693147180559945309;

}  // namespace

void Line::follow(const SchedulingPolicy* policy) {
  // What scale() says of a time depends on the window, so usage is brought to where it is 1 whatever the
  // window.
  const TimeMs now = own_time(latest_);
  const double at = policy_ ? scale(now) : 1;
  for (auto& share : shares_) {
    share->spent /= at;
    share->begun = 0;
  }
  base_ = now;
  policy_ = policy;
  window_ms_ = policy ? policy->window_ms() : 0;
  weights_ = policy ? policy->weights() : std::vector<ShareWeight>();
  covered_.assign(weights_.size(), 0);
  for (auto& share : shares_) set_weight(*share);
}

void Line::set_weight(Share& share) {
  share.weight = 1;
  share.entry = -1;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (!weights_[i].covers(share.identifier)) continue;
    share.weight = weights_[i].weight;
    if (!weights_[i].prefix) return;
    share.entry = static_cast<int>(i);
    ++covered_[i];
    return;
  }
}

Share& Line::share(std::string_view identifier) {
  auto it = by_identifier_.find(identifier);
  if (it != by_identifier_.end()) return *it->second;
  shares_.push_back(std::make_unique<Share>());
  Share& made = *shares_.back();
  made.identifier = identifier;
  set_weight(made);
  by_identifier_[made.identifier] = &made;
  return made;
}

bool Line::has_room_for(std::string_view identifier, TimeMs now) {
  if (by_identifier_.contains(identifier) || shares_.size() < kActiveSharesMax) return true;
  forget_idle(own_time(now));
  return shares_.size() < kActiveSharesMax;
}

TimeMs Line::pass_time(TimeMs now) {
  if (now < latest_) shift_ms_ += latest_ - now;
  latest_ = now;
  return now + shift_ms_;
}

// `now` is own time, as in all that follows and is private.
bool Line::is_active(const Share& share, TimeMs now) const {
  return share.live > 0 || share.running_milli > 0 || (share.used_at > 0 && now < share.used_at + window_ms_);
}

void Line::forget_idle(TimeMs now) {
  std::erase_if(shares_, [&](const std::unique_ptr<Share>& share) {
    if (is_active(*share, now)) return false;
    if (share->entry >= 0) --covered_[static_cast<size_t>(share->entry)];
    by_identifier_.erase(share->identifier);
    return true;
  });
}

double Line::weight(const Share& share) const {
  if (share.entry < 0) return share.weight;
  return share.weight * static_cast<double>(covered_[static_cast<size_t>(share.entry)]);
}

Share* Line::next(TimeMs now, double mean_s) {
  if (!policy_) {
    Share* only = shares_.empty() ? nullptr : shares_.front().get();
    return only && !only->waiting.empty() ? only : nullptr;
  }
  now = pass_time(now);
  if (now >= forget_at_) {
    forget_idle(now);
    forget_at_ = now + kForgetMs;
  }
  rebase(now);
  // One scale for all of them, so it does not change who is lowest.
  const double at = scale(now), length = seconds(now) + mean_s * at;
  Share* lowest = nullptr;
  double lowest_usage = 0;
  for (const auto& share : shares_) {
    if (share->waiting.empty()) continue;
    double running = static_cast<double>(share->running_milli) / 1000;
    double usage = (share->spent + running * length - share->begun) * weight(*share);
    bool earlier =
        lowest && usage == lowest_usage && share->waiting.begin()->first < lowest->waiting.begin()->first;
    if (!lowest || usage < lowest_usage || earlier) {
      lowest = share.get();
      lowest_usage = usage;
    }
  }
  return lowest;
}

// What a second of usage at `now` counts beside one at base_: later ones count more, which is the same as
// earlier ones fading.
double Line::scale(TimeMs now) const {
  return std::exp2(static_cast<double>(now - base_) * kHalvings / static_cast<double>(window_ms_));
}

// The integral of scale(), in seconds, up to `now`.
double Line::seconds(TimeMs now) const {
  return scale(now) * static_cast<double>(window_ms_) / 1000 / kHalvings / kLn2;
}

void Line::rebase(TimeMs now) {
  double halvings = static_cast<double>(now - base_) * kHalvings / static_cast<double>(window_ms_);
  if (std::abs(halvings) < kRebase) return;
  // The first time there is nothing yet to bring down.
  double factor = std::exp2(-std::clamp(halvings, -kRebase, 4 * kRebase));
  for (auto& share : shares_) {
    share->spent *= factor;
    share->begun *= factor;
  }
  base_ = now;
}

TimeMs Line::attempt_began(Share& share, int64_t vcpus_milli, TimeMs at) {
  latest_ = std::max(latest_, at);
  at += shift_ms_;
  share.running_milli += vcpus_milli;
  share.used_at = std::max(share.used_at, at);
  if (!policy_) return at;
  rebase(at);
  share.begun += static_cast<double>(vcpus_milli) / 1000 * seconds(at);
  return at;
}

void Line::began_before(Share& share, int64_t vcpus_milli, TimeMs began) {
  if (policy_) share.begun += static_cast<double>(vcpus_milli) / 1000 * seconds(began);
}

void Line::attempt_ended(Share& share, int64_t vcpus_milli, TimeMs began, TimeMs now) {
  now = pass_time(now);
  share.running_milli -= vcpus_milli;
  share.used_at = std::max(share.used_at, now);
  if (!policy_) return;
  rebase(now);
  double vcpus = static_cast<double>(vcpus_milli) / 1000;
  share.spent += vcpus * std::max(0.0, seconds(now) - seconds(began));
  share.begun = share.running_milli == 0 ? 0 : share.begun - vcpus * seconds(began);
}

double Line::usage(const Share& share, TimeMs now) const {
  if (!policy_) return 0;
  double running = static_cast<double>(share.running_milli) / 1000;
  // seconds() / scale() is the same at all times; scale() may be past all numbers.
  double for_ever = static_cast<double>(window_ms_) / 1000 / kHalvings / kLn2;
  return (share.spent - share.begun) / scale(own_time(now)) + running * for_ever;
}

double Line::past_usage(const Share& share, TimeMs now) const {
  return policy_ ? share.spent / scale(own_time(now)) : 0;
}

void Line::restore_usage(Share& share, double usage, TimeMs at) {
  latest_ = std::max(latest_, at);
  at += shift_ms_;
  share.used_at = std::max(share.used_at, at);
  if (!policy_) return;
  rebase(at);
  share.spent += usage * scale(at);
}

int64_t Line::active_shares(TimeMs now) const {
  return std::count_if(shares_.begin(), shares_.end(),
                       [&](const std::unique_ptr<Share>& share) { return is_active(*share, own_time(now)); });
}

double Line::reserved(TimeMs now) const {
  if (!policy_ || policy_->reservation() == 0) return 0;
  return std::pow(static_cast<double>(policy_->reservation()) / 100, static_cast<double>(active_shares(now)));
}

LineWalk::LineWalk(const Line& line, TimeMs now, double mean_s) : mean_s_(mean_s) {
  for (const auto& share : line.shares()) {
    if (share->waiting.empty()) continue;
    double expected = line.usage(*share, now) + static_cast<double>(share->running_milli) / 1000 * mean_s;
    stands_.push_back({share->waiting.begin(), share->waiting.end(), expected, line.weight(*share)});
  }
}

Job* LineWalk::next() {
  auto first = std::min_element(stands_.begin(), stands_.end(), [](const Stand& a, const Stand& b) {
    double left = a.usage * a.weight, right = b.usage * b.weight;
    return left != right ? left < right : a.at->first < b.at->first;
  });
  if (first == stands_.end()) return nullptr;
  Job* job = first->at->second;
  first->usage += static_cast<double>(job->vcpus_milli) / 1000 * mean_s_;
  if (++first->at == first->end) stands_.erase(first);
  return job;
}

}  // namespace millrace::engine
