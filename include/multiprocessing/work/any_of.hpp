// SPDX-License-Identifier: BSL-1.0
// Waiting for whichever of many tasks settles next.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/park.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/task.hpp>

namespace multiprocessing::work {

namespace any_of_detail {

template <class Ready>
bool await_one_crew(Crew& crew, Ready const& ready, base::Deadline deadline) {
  auto& board = crew.board();
  for (;;) {
    auto const told = board.tasks.told.load();
    if (ready()) return true;
    auto const outcome =
        board.tasks.news.await([&] { return board.tasks.told.load() != told; }, deadline,
                               sync::AdaptiveSpin::of_this_thread(), &board.nursery_life);
    if (outcome == sync::Waited::TimedOut) return ready();
  }
}

/// What rings when a task of any crew has settled.
struct Bell {
  std::mutex mutex;
  std::condition_variable rings;
  std::size_t count = 0;  // guarded by mutex

  void ring() {
    {
      std::lock_guard const lock(mutex);
      ++count;
    }
    rings.notify_all();
  }
};

template <class Ready>
bool await_crews(std::span<std::shared_ptr<TaskGroup> const> groups, Ready const& ready,
                 base::Deadline deadline) {
  auto const bell = std::make_shared<Bell>();
  for (auto const& group : groups) {
    if (group->settled()) continue;
    group->crew().callbacks().add([group] { return group->settled(); }, [bell] { bell->ring(); });
  }
  std::unique_lock lock(bell->mutex);
  for (std::size_t seen = 0;;) {
    lock.unlock();
    if (ready()) return true;
    lock.lock();
    auto const is_news = [&] { return bell->count != seen; };
    if (deadline.is_never()) {
      bell->rings.wait(lock, is_news);
    } else if (!bell->rings.wait_until(lock, deadline.time(), is_news)) {
      lock.unlock();
      return ready();
    }
    seen = bell->count;
  }
}

}  // namespace any_of_detail

/// Blocks: until `ready()`, which is looked at whenever one of the groups has settled; false: the
/// deadline has passed. REQUIRES: ready() once all have. Of tasks of several crews each crew's
/// thread for callbacks tells. Throws: std::system_error when there is none to be had.
template <class Ready>
bool await_any(std::span<std::shared_ptr<TaskGroup> const> groups, Ready const& ready,
               base::Deadline deadline) {
  if (groups.empty()) return ready();
  for (auto const& group : groups) group->tell_all();
  auto& crew = groups.front()->crew();
  bool const is_one = std::all_of(groups.begin(), groups.end(),
                                  [&](auto const& group) { return &group->crew() == &crew; });
  return is_one ? any_of_detail::await_one_crew(crew, ready, deadline)
                : any_of_detail::await_crews(groups, ready, deadline);
}

}  // namespace multiprocessing::work
