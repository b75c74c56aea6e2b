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
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include <multiprocessing/channel/audience.hpp>
#include <multiprocessing/channel/lane.hpp>
#include <multiprocessing/os/doorbell.hpp>
#include <multiprocessing/os/epoll.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/os/timer.hpp>

namespace multiprocessing::channel {

/// This process's. Threads: external synchronization.
class Readiness {
 public:
  /// Throws: std::system_error.
  Readiness(Lane& lane, Audience const& others);
  Readiness(Readiness const&) = delete;
  Readiness& operator=(Readiness const&) = delete;
  ~Readiness();

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
  bool watch_others();

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

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/channel/readiness.ipp>
#endif
