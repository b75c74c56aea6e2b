// SPDX-License-Identifier: BSL-1.0
// Workers without work: as many are woken as there is work for, one after the other, and nobody is
// as long as one is awake that looks for work.
//
//   who puts work up                        worker 3, without work
//   puts it up                              searcher = 3, unless there is one; spins
//   searcher? it will find it               bit 3 up; searcher = nobody
//   takes down the bit of one that sleeps,  work? takes bit 3 down, goes on
//   changes its word, wakes it              sleeps on word 3
//
// A searcher that has claimed something gives the title up, looks once more, and wakes another one
// where there is more. All steps are seq_cst: of who puts work up and who gives the title up, at
// least one sees what the other has done. So work waits only while all workers have some.
//
// Failure   A worker that was killed may have been the searcher, or have taken a bit and told
//           nobody: the nursery calls bury() for it. One that is stopped while it is the searcher,
//           or is woken, or wakes: who waits for workers loses patience (work/board.hpp).
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/work/chunk.hpp>

namespace multiprocessing::work {

/// The worker that looks for work, if one does. A word of its own, to lie beside what is looked at.
/// Lives inside a segment. Threads and processes: all members safe.
class Searcher {
 public:
  bool exists() const noexcept { return name_.load() != kNobody; }

  /// Whether it is `me` now.
  bool become(WorkerNumber me) noexcept {
    auto name = kNobody;
    return name_.compare_exchange_strong(name, name_of(me)) || name == name_of(me);
  }
  void give_up(WorkerNumber worker) noexcept {
    auto name = name_of(worker);
    name_.compare_exchange_strong(name, kNobody);
  }
  /// Whoever it is. At worst another one looks, too.
  void forget() noexcept { name_ = kNobody; }

 private:
  static constexpr std::uint32_t kNobody = 0;
  static std::uint32_t name_of(WorkerNumber worker) noexcept { return worker + std::uint32_t{1}; }

  std::atomic<std::uint32_t> name_{kNobody};
};

/// Lives inside a segment. Threads and processes: all members safe. `searcher`: always the same.
class IdleWorkers {
 public:
  static constexpr std::size_t kMost = 1024;  // more than any machine has use for

  /// How many there may be. To be called before there are more.
  void set_size(std::size_t workers) noexcept {
    size_ = workers;
    // Where each has a processor to itself, spinning is in nobody's way.
    all_may_spin_ = workers < static_cast<std::size_t>(os::usable_processors());
  }

  std::size_t size() const noexcept { return size_.load(); }

  /// To be called when something has been put up. No system call while somebody looks for work, or
  /// nobody sleeps.
  void wake_one(Searcher const& searcher) noexcept {
    if (searcher.exists()) return;
    for (std::size_t group = 0; group < groups(); ++group) {
      for (auto bits = asleep_[group].load(); bits != 0; bits &= bits - 1) {
        if (take_down(group, bits & -bits)) return wake(group * kBits + lowest(bits));
      }
    }
  }
  /// ... and there is something for all of them.
  void wake_all() noexcept {
    for (std::size_t group = 0; group < groups(); ++group) {
      for (auto bits = asleep_[group].exchange(0); bits != 0; bits &= bits - 1) {
        wake(group * kBits + lowest(bits));
      }
    }
  }
  /// For who can not know which of them sleep: a worker is dead, or the pool ends.
  void wake_everybody() noexcept {
    for (std::size_t number = 0; number < size_.load(); ++number) wake(number);
  }

  /// On which the last one was that looked for work.
  int processor() const noexcept { return processor_.load(); }

  /// For the one that has found `worker` dead, before another has its number.
  void bury(Searcher& searcher, WorkerNumber worker) noexcept {
    searcher.give_up(worker);
    take_down(worker / kBits, bit_of(worker));
    wake_everybody();
  }

  /// Blocks: until `ready()`: there is work, or no more will come. Who returns from here calls
  /// has_found() when it has claimed something, before it does that. `processor`: of who puts work
  /// up, see AdaptiveSpin.
  template <class Ready>
  void await(Searcher& searcher, WorkerNumber me, Ready const& ready, sync::AdaptiveSpin& spin,
             int processor = sync::AdaptiveSpin::kAnywhere) {
    auto& word = words_[me];
    auto& asleep = asleep_[me / kBits];
    while (!ready()) {
      auto const here = os::this_processor();
      if (processor_.load() != here) processor_ = here;
      bool const searches = searcher.become(me);
      if ((searches || all_may_spin_.load()) && spin(ready, processor)) return;
      auto const key = word.load();
      asleep.fetch_or(bit_of(me));
      searcher.give_up(me);
      if (!ready()) static_cast<void>(os::futex_wait(word, key, base::Deadline::never()));
      asleep.fetch_and(~bit_of(me));
    }
  }
  template <class HasMore>
  void has_found(Searcher& searcher, WorkerNumber me, HasMore const& has_more) noexcept {
    searcher.give_up(me);
    if (has_more()) wake_one(searcher);
  }

 private:
  static constexpr std::size_t kBits = 64;

  static std::uint64_t bit_of(WorkerNumber worker) noexcept {
    return std::uint64_t{1} << worker % kBits;
  }
  static std::size_t lowest(std::uint64_t bits) noexcept {
    return static_cast<std::size_t>(std::countr_zero(bits));
  }
  std::size_t groups() const noexcept { return (size_.load() + kBits - 1) / kBits; }

  /// Whether it was up.
  bool take_down(std::size_t group, std::uint64_t bit) noexcept {
    return (asleep_[group].fetch_and(~bit) & bit) != 0;
  }
  void wake(std::size_t number) noexcept {
    words_[number].fetch_add(1);
    os::futex_wake(words_[number]);
  }

  // Hardly ever written.
  std::atomic<std::size_t> size_{kMost};
  std::atomic<bool> all_may_spin_{false};

  alignas(base::kCacheLine) std::atomic<std::int32_t> processor_{sync::AdaptiveSpin::kAnywhere};
  std::array<std::atomic<std::uint64_t>, kMost / kBits> asleep_{};
  std::array<os::FutexWord, kMost> words_{};  // what each sleeps on
};

}  // namespace multiprocessing::work
