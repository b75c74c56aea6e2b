// SPDX-License-Identifier: BSL-1.0
// A queue as one process holds it: a lane, and who else has it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/audience.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/lane.hpp>
#include <multiprocessing/channel/pollable.hpp>
#include <multiprocessing/channel/wait.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/quiet_flag.hpp>
#include <multiprocessing/sync/seats.hpp>

namespace multiprocessing::channel {

/// Lives in a block of the heap.
struct QueueState {
  QueueState(std::uint64_t home, Lane::Limits limits) : lane(home, 0, limits) {}

  static shm::Shared<QueueState> make(Lane::Limits limits) {
    auto lease = std::make_shared<shm::Lease const>(sizeof(QueueState));
    new (lease->data()) QueueState(lease->id(), limits);
    return shm::Shared<QueueState>::at(std::move(lease), 0);
  }

  Lane lane;
  std::atomic<std::uint64_t> done{0};  ///< items that task_done() was called for
  sync::QuietFlag all_done;
};

/// Threads: all members safe.
class QueueEnd {
  /// Nobody is left who could end a wait without an end: no other process, and no other thread.
  static auto is_over(base::Deadline deadline) noexcept {
    return [deadline](Audience::Others const& others) {
      return others.is_empty && deadline.is_never() && os::thread_count() == 1;
    };
  }
  auto is_stopped() const noexcept {
    return [this] { return closed_.load(); };
  }
  auto is_readable() noexcept {
    return [this] {
      return lane().has_message(sync::this_thread_seated()) || lane().is_closed() || is_closed();
    };
  }

 public:
  explicit QueueEnd(shm::Shared<QueueState> const& queue) : queue_(queue), others_(queue.id()) {}

  Lane& lane() const noexcept { return queue_->lane; }
  shm::Shared<QueueState> const& state() const noexcept { return queue_; }

  /// See PipeEnd::send(). Throws: ShutDown; BrokenPipeError when it is full and nobody is left to
  /// get; std::invalid_argument when this process has closed it.
  template <class Attempt>
  bool send(Call call, std::uint64_t weight, Attempt const& attempt, base::Deadline deadline) {
    require_open(call);
    auto const put = [&](base::Deadline until) { return attempt(lane(), until); };
    switch (put_until(lane(), others_, weight, put, is_over(deadline), is_stopped(), deadline)) {
      case Passed::Done:
        return true;
      case Passed::TimedOut:
        return false;
      case Passed::NobodyThere:
        throw BrokenPipeError(call.text() +
                              ": it is full, and nobody is left who could get an item");
      default:
        require_open(call);
        throw_shut_down(call);
    }
  }

  /// See PipeEnd::receive(). Throws: ShutDown when it is shut down and nothing is left; EOFError
  /// when it is empty and nobody is left to put; std::invalid_argument as above.
  template <class Take>
  Passed receive(Call call, Take const& take, base::Deadline deadline) {
    require_open(call);
    auto const passed = get_until(lane(), others_, take, is_over(deadline), is_stopped(), deadline);
    if (passed == Passed::NobodyThere) {
      throw EOFError(call.text() + ": it is empty, and nobody is left who could put an item");
    }
    if (passed == Passed::Closed) {
      require_open(call);
      throw_shut_down(call);
    }
    if (passed == Passed::TimedOut) pollable_.arm(is_readable());
    return passed;
  }

  /// Whether receive() would not block.
  bool is_ready() noexcept { return is_readable()(); }
  /// The same, and when it is not so, the descriptor is armed.
  bool poll() {
    if (is_ready()) return true;
    pollable_.arm(is_readable());
    return false;
  }
  /// See Readiness.
  int fileno(Call call) {
    require_open(call);
    return pollable_.fileno(lane(), others_, is_readable());
  }

  /// Nothing is put any more; what is there may still be got.
  void shut_down() noexcept { lane().close(); }
  /// The same, and what is there is dropped.
  void shut_down_now() {
    lane().close();
    auto const& me = sync::this_thread_seated();
    auto const drop = [](Incoming const&) { return true; };
    while (lane().get(me, drop, base::Deadline::never()) == Lane::Outcome::Done) count_done();
  }

  /// This process does without it.
  void close() noexcept {
    closed_ = true;
    pollable_.close();
    lane().tell_all();
  }
  bool is_closed() const noexcept { return closed_.load(); }

  /// One item less that join() waits for. False: there was none.
  bool count_done() noexcept {
    auto done = queue_->done.load();
    do {
      if (messages_between(done, lane().puts()) == 0) return false;
    } while (!queue_->done.compare_exchange_weak(done, (done + 1) & (Progress::kCounts - 1)));
    queue_->all_done.tell();
    return true;
  }
  bool is_all_done() const noexcept {
    return messages_between(queue_->done.load(), lane().puts()) == 0;
  }
  /// Blocks: until is_all_done(). False: the deadline has passed. Throws: EOFError when nobody is
  /// left who could call count_done().
  bool join(Call call, base::Deadline deadline) {
    auto const is_ready = [this] { return is_all_done(); };
    lane().settle(sync::this_thread_seated());  // an item of a dead producer counts, too
    switch (wait_at(lane(), queue_->all_done, others_, is_ready, is_over(deadline), deadline)) {
      case sync::Waited::Ready:
        return true;
      case sync::Waited::TimedOut:
        return false;
      case sync::Waited::PeerDied:
        break;
    }
    throw EOFError(call.text() +
                   ": items are not done, and nobody is left who could call task_done()");
  }

 private:
  void require_open(Call call) const {
    if (is_closed()) throw std::invalid_argument(call.text() + ": the queue is closed");
  }
  [[noreturn]] static void throw_shut_down(Call call) {
    throw ShutDown(call.text() + ": the queue has been shut down");
  }

  shm::Shared<QueueState> const queue_;
  Audience const others_;
  std::atomic<bool> closed_{false};
  Pollable pollable_;
};

}  // namespace multiprocessing::channel
