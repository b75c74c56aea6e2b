// SPDX-License-Identifier: BSL-1.0
// Waiting for whichever of many tasks settles next.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/park.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/task.hpp>

namespace multiprocessing::work {

namespace any_of_detail {

/// The crews that the groups belong to, each once.
inline std::vector<Crew*> crews_of(std::span<std::shared_ptr<TaskGroup> const> groups) {
  std::vector<Crew*> crews;
  for (auto const& group : groups) crews.push_back(&group->crew());
  std::sort(crews.begin(), crews.end());
  crews.erase(std::unique(crews.begin(), crews.end()), crews.end());
  return crews;
}

/// How many tasks they have told of.
inline std::uint64_t told_by(std::span<Crew* const> crews) noexcept {
  std::uint64_t told = 0;
  for (auto* const crew : crews) told += crew->board().tasks.told.load();
  return told;
}

/// Sleeps until one of the crews tells of more than `told`, or ends; may also return without a
/// reason. False: all have ended.
inline bool sleep(std::span<Crew* const> crews, std::uint64_t told, base::Deadline deadline) {
  constexpr std::size_t kMostCrews = os::kMostFutexWords / 2;  // each with its nursery
  constexpr std::chrono::milliseconds kLookAtTheOthers{10};
  std::vector<os::FutexExpectation> news;
  std::vector<sync::Peer> nurseries;
  for (auto* const crew : crews) {
    if (crew->is_over()) continue;
    if (news.size() == kMostCrews) {
      deadline = earlier(deadline, base::Deadline::after(kLookAtTheOthers));
      break;
    }
    news.push_back(crew->board().tasks.news.arrive());
    nurseries.emplace_back(crew->board().nursery_life);
  }
  if (news.empty()) return false;
  if (told_by(crews) == told) static_cast<void>(sync::park(news, nurseries, deadline));
  return true;
}

}  // namespace any_of_detail

/// Blocks: until `ready()`, which is looked at whenever a task with kTellAll of one of the crews
/// has settled; false: the deadline has passed, or all crews have ended.
template <class Ready>
bool await_news(std::span<Crew* const> crews, Ready const& ready, base::Deadline deadline) {
  auto& spin = sync::AdaptiveSpin::of_this_thread();
  auto const patience = base::Deadline::after(Board::kPatience);
  bool is_patient = true;
  for (;;) {
    auto const told = any_of_detail::told_by(crews);
    if (ready()) return true;
    if (deadline.passed()) return false;
    if (spin([&] { return any_of_detail::told_by(crews) != told; })) continue;
    if (is_patient && patience.passed()) {
      is_patient = false;
      for (auto* const crew : crews) crew->board().lose_patience(deadline);
    }
    auto const until = is_patient ? earlier(deadline, patience) : deadline;
    if (!any_of_detail::sleep(crews, told, until)) return ready();
  }
}

/// The same, whenever one of the groups has settled.
template <class Ready>
bool await_any(std::span<std::shared_ptr<TaskGroup> const> groups, Ready const& ready,
               base::Deadline deadline) {
  for (auto const& group : groups) group->tell_all();
  return await_news(any_of_detail::crews_of(groups), ready, deadline);
}

}  // namespace multiprocessing::work
