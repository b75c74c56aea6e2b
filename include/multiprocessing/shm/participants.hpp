// SPDX-License-Identifier: BSL-1.0
// Who is attached to an arena, and is it alive: a table of processes inside the segment.
//
//   Free --- claimed for a child that is about to be forked ---> Claimed
//   Claimed --- the child itself, before anything else ---> Entered
//   Claimed, Entered --- dead: whoever needs a place, or what it held ---> Free
//
// Alive means that the robust lock that the process holds for life is held. Where that lock says
// otherwise the process may still run (the thread that entered has ended), so pid and time of entry
// decide: never the pid alone, which could be a zombie's or a stranger's by now.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/shm/life_lock.hpp>

namespace multiprocessing::shm {

/// One process. Lives inside a segment. The state changes under the arena's guard, except for the
/// step from Claimed to Entered, which is the process's own.
class alignas(base::kCacheLine) Participant {
 public:
  bool is_free() const noexcept { return state() == State::Free; }

  /// Grows by one when the place is freed: number and generation name one process for good.
  std::uint32_t generation() const noexcept { return word_.load() / kStates; }

  /// For a process that is about to be made. REQUIRES: is_free().
  void claim() noexcept {
    pid_ = 0;
    seen_at_ = os::ticks_since_boot();
    word_ = word(generation(), State::Claimed);
  }

  /// Told by the parent, so that a child that is killed before it enters is known.
  void set_pid(pid_t pid, std::uint32_t generation) noexcept {
    if (word_.load() != word(generation, State::Claimed)) return;
    seen_at_ = os::ticks_since_boot();
    pid_t unknown = 0;  // else the child has come, or another has the place by now
    pid_.compare_exchange_strong(unknown, pid);
  }

  /// This process takes the place that was claimed for it in this generation. False when it has
  /// been taken away.
  bool enter(std::uint32_t generation) {
    auto claimed = word(generation, State::Claimed);
    if (word_.load() != claimed) return false;
    seen_at_ = os::ticks_since_boot();  // before the pid, which is judged by it
    pid_ = os::this_pid();
    if (!word_.compare_exchange_strong(claimed, word(generation, State::Entered))) return false;
    life_.hold();
    return true;
  }

  /// REQUIRES: !is_free().
  bool is_dead() {
    if (state() == State::Entered && life_.is_held()) return false;
    pid_t const pid = pid_.load();
    if (pid == 0) return os::ticks_since_boot() > seen_at_.load() + kLongestBirth;
    return !os::is_running(pid, seen_at_.load());
  }

  /// REQUIRES: is_dead(). May be repeated by another process when this one is killed meanwhile.
  void free() {
    life_.clear();
    word_ = word(generation() + 1, State::Free);
  }

  pid_t pid() const noexcept { return pid_.load(); }

  /// To sleep until it dies.
  LifeLock& life() noexcept { return life_; }

  /// Pages that back this participant's row of holds; they stay when the place is freed.
  std::uint32_t row_pages() const noexcept { return row_pages_.load(); }
  void add_row_page() noexcept { ++row_pages_; }

 private:
  enum class State : std::uint32_t { Free, Claimed, Entered };
  static constexpr std::uint32_t kStates = 4;

  static constexpr std::uint32_t word(std::uint32_t generation, State state) noexcept {
    return generation * kStates + static_cast<std::uint32_t>(state);
  }
  State state() const noexcept { return static_cast<State>(word_.load() % kStates); }

  // Between a fork that this library did not make and the child's first step lie microseconds; a
  // child that nobody has seen after this many ticks (a minute) does not exist.
  static constexpr std::uint64_t kLongestBirth = 6000;

  LifeLock life_;
  std::atomic<std::uint32_t> word_{word(0, State::Free)};
  std::atomic<pid_t> pid_{0};                // 0: not known yet
  std::atomic<std::uint32_t> row_pages_{0};  // changed under the arena's guard
  std::atomic<std::uint64_t> seen_at_{0};
};
// One line; two where a mutex of pthread's has 48 bytes, as on aarch64.
static_assert(sizeof(Participant) == (sizeof(LifeLock) > 40 ? 2 : 1) * base::kCacheLine);

}  // namespace multiprocessing::shm
