// SPDX-License-Identifier: BSL-1.0
// The thread of a rank that uses MPI; no other one ever does. It sleeps when there is nothing to
// do.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/mpi/dispatcher.hpp>
#include <multiprocessing/mpi/post.hpp>
#include <multiprocessing/mpi/record.hpp>
#include <multiprocessing/mpi/remote_staff.hpp>
#include <multiprocessing/mpi/rest.hpp>
#include <multiprocessing/mpi/station.hpp>
#include <multiprocessing/mpi/world.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/os/signals.hpp>
#include <multiprocessing/os/stdio.hpp>

namespace multiprocessing::mpi {

/// One a process. Threads: safe, but for its making and its end.
class Engine {
 public:
  /// Blocks: until all ranks have come. `spawn`: see World. Throws: as World; std::system_error.
  explicit Engine(int spawn) {
    os::SignalBlock const block;  // user handlers run in user threads
    thread_ = std::thread([this, spawn] { live(spawn); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return has_met_; });
    if (error_ == nullptr) return;
    lock.unlock();
    thread_.join();
    std::rethrow_exception(error_);
  }
  Engine(Engine const&) = delete;
  Engine& operator=(Engine const&) = delete;
  ~Engine() {
    current() = nullptr;
    if (thread_.joinable()) end();
  }

  /// Where executors find it; null: outside of run().
  static std::atomic<Engine*>& current() noexcept {
    static constinit std::atomic<Engine*> engine{nullptr};
    return engine;
  }

  /// False in a forked child, which has no thread of it.
  bool is_of_this_process() const noexcept { return owner_ == launch::this_incarnation(); }

  int rank() const noexcept { return rank_; }
  int size() const noexcept { return static_cast<int>(ranks_.size()); }
  /// By rank.
  std::vector<Hello> const& ranks() const noexcept { return ranks_; }
  std::vector<std::uint32_t> const& slots() const noexcept { return slots_; }
  /// Why nothing can be done; empty: it can.
  std::string const& why_not() const noexcept { return why_not_; }
  std::shared_ptr<Orders> const& orders() const noexcept { return orders_; }

  /// Blocks: until the first rank has ended the job.
  void await_end() { thread_.join(); }
  /// Ends the job, if this is the first rank. Blocks: until that has been ended, and MPI with it.
  void end() {
    is_ending_ = true;
    orders_->ring();
    thread_.join();
  }

 private:
  void live(int spawn) {
    try {
      World world(spawn);
      meet(world);
      if (!why_not_.empty()) return;
      try {
        if (rank_ == 0) {
          lead(world);
        } else {
          serve(world);
        }
      } catch (std::exception const& error) {
        os::write_to_stderr(world.name() + ": " + base::text_of(error) + "\n");
        MPI_Abort(world.comm(), EXIT_FAILURE);
      }
    } catch (...) {
      tell_met(std::current_exception());
    }
  }

  void meet(World const& world) {
    rank_ = world.rank();
    ranks_ = world.ranks();
    slots_ = slots_of(ranks_);
    why_not_ = mpi::why_not(ranks_);
    tell_met(nullptr);
  }
  void tell_met(std::exception_ptr error) {
    std::lock_guard const lock(mutex_);
    error_ = std::move(error);
    has_met_ = true;
    changed_.notify_all();
  }

  void lead(World const& world) {
    Post post(world.comm());
    Dispatcher dispatcher(*orders_, {slots_.begin() + 1, slots_.end()});
    Rest rest;
    while (!is_ending_.load()) {
      auto const rings = orders_->rings();
      bool progress = post.receive(
          [&](int rank, std::span<std::byte const> packet) { dispatcher.take(rank, packet); });
      progress = dispatcher.step(post) || progress;
      progress = post.flush() || progress;
      if (progress || is_ending_.load()) {
        rest.reset();
      } else if (dispatcher.is_quiet() && post.is_quiet()) {
        auto rested = base::Deadline::never();
        if (post.has_spares()) rested = base::Deadline::after(Rest::kLong);
        orders_->wait(rings, earlier(rested, dispatcher.next()));
        if (rested.passed()) post.rest();
        rest.reset();
      } else {
        sleep(rest, [&](base::Deadline deadline) {
          orders_->wait(rings, earlier(deadline, dispatcher.next()));
        });
      }
    }
    dispatcher.abandon();
    dismiss(post);
  }

  /// Has the others leave, and hears them out: MPI may not end while messages are on their way.
  /// Throws: Error when nothing is heard of one that has not left.
  void dismiss(Post& post) {
    std::set<int> present;
    for (int rank = 1; rank < size(); ++rank) {
      present.insert(rank);
      write_record(post.to(rank), {.kind = RecordHead::Kind::quit});
    }
    Rest rest;
    Rest::Duration silence{};
    while (!present.empty() || !post.has_sent_all()) {
      bool const received = post.receive([&](int rank, std::span<std::byte const> packet) {
        for_each_record(packet, [&](RecordHead const& head, auto) {
          if (head.kind == RecordHead::Kind::left) present.erase(rank);
        });
      });
      if (post.flush() || received) {
        rest.reset();
        silence = silence.zero();
      } else if (silence < kLongestSilence) {
        silence += sleep(rest, [](base::Deadline deadline) { os::poll_until({}, deadline); });
      } else {
        throw_silent(present);
      }
    }
  }

  // Of all ranks at the end, where each has only to kill its workers. Counted in what is slept, so
  // a job that was stopped as a whole and goes on is not silent.
  static constexpr std::chrono::seconds kLongestSilence{30};

  [[noreturn]] void throw_silent(std::set<int> const& present) const {
    std::string names;
    for (int const rank : present) {
      if (!names.empty()) names += ", ";
      names += name_of_rank(rank, ranks_[static_cast<std::size_t>(rank)].host_name());
    }
    throw Error("mpi::run: the job is aborted: nothing was heard for " +
                std::to_string(kLongestSilence.count()) + " s of " + names);
  }

  void serve(World const& world) {
    Post post(world.comm());
    {
      Station station(world.name(), static_cast<int>(slots_[static_cast<std::size_t>(rank_)]));
      Rest rest;
      while (!station.has_quit()) {
        bool progress = post.receive(
            [&](int, std::span<std::byte const> packet) { station.take(packet, post.to(0)); });
        progress = station.harvest(post.to(0)) || progress;
        progress = post.flush() || progress;
        if (progress) {
          rest.reset();
        } else {
          if (rest.is_long()) post.rest();
          sleep(rest, [&](base::Deadline deadline) { station.wait(deadline); });
        }
      }
    }
    write_record(post.to(0), {.kind = RecordHead::Kind::left});
    Rest rest;
    while (!post.has_sent_all()) {
      if (post.flush()) continue;
      sleep(rest, [](base::Deadline deadline) { os::poll_until({}, deadline); });
    }
  }

  /// How long it wanted to sleep.
  template <class Wait>
  static Rest::Duration sleep(Rest& rest, Wait const& wait) {
    auto const duration = rest.next();
    if (duration == duration.zero()) {
      os::yield_processor();
    } else {
      wait(base::Deadline::after(duration));
    }
    return duration;
  }

  launch::Incarnation const owner_ = launch::this_incarnation();
  std::shared_ptr<Orders> const orders_ = std::make_shared<Orders>();
  std::atomic<bool> is_ending_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  // guarded by mutex_
  bool has_met_ = false;
  std::exception_ptr error_;
  // constant once all have met
  int rank_ = 0;
  std::vector<Hello> ranks_;
  std::vector<std::uint32_t> slots_;
  std::string why_not_;
  std::thread thread_;
};

}  // namespace multiprocessing::mpi
