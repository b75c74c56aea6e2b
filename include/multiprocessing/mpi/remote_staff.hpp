// SPDX-License-Identifier: BSL-1.0
// The staff of a crew whose tasks are done on other ranks: tells the thread that speaks with them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/mpi/record.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/event_count.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/staff.hpp>

namespace multiprocessing::mpi {

class RemoteStaff;

/// What other threads have the dispatcher's do. Threads: safe.
class Orders {
 public:
  enum class Kind { open, cancel, stop, kill };
  struct Order {
    Kind kind;
    std::uint32_t session;
    work::TaskId task = {};        ///< of cancel, and stop
    RemoteStaff* staff = nullptr;  ///< of open, as the following
    SessionTerms terms = {};
    wire::Bytes initializer = {};
  };

  /// False: nobody takes orders any more. Throws: std::bad_alloc.
  bool give(Order order) {
    {
      std::lock_guard const lock(mutex_);
      if (is_closed_) return false;
      orders_.push_back(std::move(order));
      has_orders_ = true;
    }
    ring();
    return true;
  }
  std::vector<Order> take() {
    if (!has_orders_.load()) return {};
    std::lock_guard const lock(mutex_);
    has_orders_ = false;
    return std::exchange(orders_, {});
  }

  /// None from now on.
  void close() {
    std::lock_guard const lock(mutex_);
    is_closed_ = true;
  }

  /// There is something on a board.
  void ring() noexcept {
    rings_.fetch_add(1);
    rung_.notify_all();
  }
  std::uint64_t rings() const noexcept { return rings_.load(); }
  /// Blocks: until somebody has rung since there were `rings`, or the deadline passes.
  void wait(std::uint64_t rings, base::Deadline deadline) {
    static_cast<void>(
        rung_.await([&] { return rings_.load() != rings; }, deadline, spin_, nullptr));
  }

  std::uint32_t new_session() noexcept { return last_session_.fetch_add(1) + 1; }

 private:
  std::atomic<std::uint64_t> rings_{0};
  sync::EventCount rung_;
  sync::AdaptiveSpin spin_;  // of who waits
  std::atomic<std::uint32_t> last_session_{0};
  std::atomic<bool> has_orders_{false};
  std::mutex mutex_;
  // guarded by mutex_
  std::vector<Order> orders_;
  bool is_closed_ = false;
};

/// Threads: safe. Fork: in a child it does nothing.
class RemoteStaff final : public work::Staff {
 public:
  /// Blocks: until the dispatcher knows the crew. Throws: std::logic_error when there is none any
  /// more; std::bad_alloc.
  RemoteStaff(std::shared_ptr<Orders> orders, work::Crew& crew, SessionTerms const& terms,
              wire::Bytes initializer)
      : orders_(std::move(orders)), crew_(crew) {
    bool const is_given = orders_->give({.kind = Orders::Kind::open,
                                         .session = session_,
                                         .staff = this,
                                         .terms = terms,
                                         .initializer = std::move(initializer)});
    if (!is_given) throw std::logic_error("mpi.PoolExecutor: mpi::run() has ended");
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return has_begun_; });
  }
  ~RemoteStaff() override {
    if (owner_ != launch::this_incarnation()) return;
    kill();
    wait_until(base::Deadline::never());
  }

  work::Crew& crew() const noexcept { return crew_; }

  bool is_elsewhere() const noexcept override { return true; }
  void wake() noexcept override { orders_->ring(); }
  void take_away(work::TaskId task) noexcept override { order(Orders::Kind::cancel, task); }
  void ask_to_stop(work::TaskId task) noexcept override { order(Orders::Kind::stop, task); }

  bool wait_until(base::Deadline deadline) override {
    std::unique_lock lock(mutex_);
    auto const has_ended = [this] { return has_ended_; };
    if (!deadline.is_never()) return changed_.wait_until(lock, deadline.time(), has_ended);
    changed_.wait(lock, has_ended);
    return true;
  }
  void kill() noexcept override { order(Orders::Kind::kill, {}); }
  std::string how_it_ended() override { return "its ranks have left"; }

  // By the dispatcher.
  void tell_begun() {
    std::lock_guard const lock(mutex_);
    has_begun_ = true;
    changed_.notify_all();
  }
  /// The last thing that it does with this, and with the crew.
  void tell_ended() {
    std::lock_guard const lock(mutex_);
    has_begun_ = true;
    has_ended_ = true;
    changed_.notify_all();
  }

 private:
  void order(Orders::Kind kind, work::TaskId task) noexcept {
    try {
      orders_->give({.kind = kind, .session = session_, .task = task});
    } catch (std::bad_alloc const&) {  // it runs to its end
    }
  }

  std::shared_ptr<Orders> const orders_;
  work::Crew& crew_;
  std::uint32_t const session_ = orders_->new_session();
  launch::Incarnation const owner_ = launch::this_incarnation();
  std::mutex mutex_;
  std::condition_variable changed_;
  // guarded by mutex_
  bool has_begun_ = false;
  bool has_ended_ = false;
};

}  // namespace multiprocessing::mpi
