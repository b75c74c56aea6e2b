// SPDX-License-Identifier: BSL-1.0
// The bodies of readiness.hpp.
#pragma once

#include <map>
#include <utility>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/audience.hpp>
#include <multiprocessing/channel/lane.hpp>
#include <multiprocessing/channel/readiness.hpp>
#include <multiprocessing/os/doorbell.hpp>
#include <multiprocessing/os/epoll.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::channel {

MULTIPROCESSING_INLINE Readiness::Readiness(Lane& lane, Audience const& others)
    : lane_(lane), others_(others), place_(lane.bells().hang_up(bell_.number())) {
  set_.add(bell_.fd());
  set_.add(timer_.fd());
}

MULTIPROCESSING_INLINE Readiness::~Readiness() {
  if (is_of_this_process()) lane_.bells().take_down(place_);
}

MULTIPROCESSING_INLINE bool Readiness::watch_others() {
  bool are_all = true;
  std::map<Name, os::Fd> watched;
  auto& heap = shm::Heap::instance();
  if (heap.arena().exists(others_.block())) {
    if (heap.arena().is_referenced(shm::Arena::block_of(others_.block()))) are_all = false;
    heap.arena().for_each_holder(shm::Arena::block_of(others_.block()), [&](shm::Number who) {
      if (who == heap.me()) return;
      auto& participant = heap.arena().participant(who);
      Name const name{who, participant.generation()};
      if (auto const known = watched_.find(name); known != watched_.end()) {
        watched.insert(watched_.extract(known));
        return;
      }
      pid_t const pid = participant.pid();
      os::Fd pidfd = pid == 0 ? os::Fd() : os::try_open_pidfd(pid);
      if (!pidfd) {
        are_all = false;
        return;
      }
      set_.add(pidfd.get());
      watched.emplace(name, std::move(pidfd));
    });
  }
  for (auto const& [name, pidfd] : watched_) set_.remove(pidfd.get());
  watched_ = std::move(watched);
  return are_all;
}

}  // namespace multiprocessing::channel
