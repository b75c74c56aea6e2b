// SPDX-License-Identifier: BSL-1.0
// A descriptor for a lane: readable when there is a message, or somebody is gone who could send
// one.
//
//   fd = epoll { doorbell, a pidfd for each of the others, a timer }
//
// The timer is for whom no pidfd can be had yet, for an end that is under way in a message, and for
// a kernel without barriers: then it is looked at again a little later.
//
// Arm and consume: the descriptor is made readable once, and stays so until a call that would not
// block has found nothing (try_recv, try_get, poll), which arms it again. So who is told by epoll
// receives until there is nothing, as with a socket that is edge-triggered.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <utility>

#include <multiprocessing/channel/audience.hpp>
#include <multiprocessing/channel/lane.hpp>
#include <multiprocessing/os/doorbell.hpp>
#include <multiprocessing/os/epoll.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/os/timer.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::channel {

/// This process's. Threads: external synchronization.
class Readiness {
 public:
  /// Throws: std::system_error.
  Readiness(Lane& lane, Audience const& others)
      : lane_(lane), others_(others), place_(lane.bells().hang_up(bell_.number())) {
    set_.add(bell_.fd());
    set_.add(timer_.fd());
  }
  Readiness(Readiness const&) = delete;
  Readiness& operator=(Readiness const&) = delete;
  ~Readiness() {
    if (is_of_this_process()) lane_.bells().take_down(place_);
  }

  int fd() const noexcept { return set_.fd(); }

  /// A forked child has copies of the descriptors only, which are its parent's.
  bool is_of_this_process() const noexcept { return fork_generation_ == os::fork_generation(); }

  /// From now on it becomes readable with the next message; at once when `is_ready()`.
  template <class IsReady>
  void arm(IsReady const& is_ready) {
    bell_.silence();
    timer_.stop();
    bool const are_watched = watch_others();
    bool const is_sure = lane_.items().arm_bells();
    if (is_ready()) {
      static_cast<void>(os::Doorbell::ring(bell_.number()));
    } else if (!are_watched || !is_sure) {
      timer_.start(kLookAgain);
    }
  }

 private:
  static constexpr std::chrono::milliseconds kLookAgain{10};

  /// A participant, and whose turn it is to have the number.
  using Name = std::pair<shm::Number, std::uint32_t>;

  /// False: not all, since some are being born, have just died, or will get it in a message.
  bool watch_others() {
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

  Lane& lane_;
  Audience const& others_;
  unsigned const fork_generation_ = os::fork_generation();
  os::ReadableSet set_;
  os::Doorbell bell_;
  os::Timer timer_;
  std::size_t place_;
  std::map<Name, os::Fd> watched_;  // pidfds
};

}  // namespace multiprocessing::channel
