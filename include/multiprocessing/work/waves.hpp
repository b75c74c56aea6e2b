// SPDX-License-Identifier: BSL-1.0
// Many plain items, a part at a time: so a few MiB of shared memory, which stay mapped and in the
// caches, do for any number of them.
//
//   caller    fill 0 | fill 1 | wait 0, collect 0, fill 2 | wait 1, collect 1, fill 3 | ...
//   workers            run 0          run 1                     run 2
//
// Where a wave takes long, new memory costs little beside it; but one slow item would keep all that
// follows waiting, and new workers nothing to do. Then the rest goes out at once.
//
//   Failure   When something has gone wrong in a wave, the other one is waited for, and no more
//             follow.
//   Shutdown  A pool that is closed runs all waves; one that is terminated, none: CancelledError.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <new>
#include <optional>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/work/chunk.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/job.hpp>
#include <multiprocessing/work/job_book.hpp>

namespace multiprocessing::work {

/// Of a job: enough chunks to even out tasks of different length. As in Python.
inline constexpr std::uint64_t kChunksAWorker = 4;
inline std::uint64_t fair_chunk_size(std::uint64_t items, std::uint64_t workers) noexcept {
  auto const chunks = workers * kChunksAWorker;
  return std::max<std::uint64_t>(1, (items + chunks - 1) / chunks);
}

/// What a call that goes in waves is about. Sizes are bytes.
struct WaveSizes {
  /// Of a wave, so that two fit into what keeps its pages, with 64 KiB each for record and
  /// callable.
  static constexpr std::uint64_t kMostBytes = JobBook::kWarm / 2 - (std::uint64_t{64} << 10);

  std::uint64_t items;
  std::uint64_t item_size;
  std::uint64_t result_size;
  std::uint64_t workers;
  std::optional<std::uint64_t> asked_chunk_size = std::nullopt;
  /// With a wave, before the rest goes out at once. The pages of one cost less than this, also
  /// where a fault takes 15 us.
  std::chrono::milliseconds patience{50};

  std::uint64_t bytes_an_item() const noexcept { return item_size + result_size; }

  /// Whether they are more than one wave.
  bool are_many() const noexcept {
    return bytes_an_item() != 0 && items > kMostBytes / bytes_an_item();
  }
  std::uint64_t chunk_size() const noexcept {
    if (asked_chunk_size) return *asked_chunk_size;
    return fair_chunk_size(kMostBytes / bytes_an_item(), workers);
  }
  /// Never so few that a worker has nothing to do.
  std::uint64_t items_a_wave() const noexcept {
    auto const size = std::min(chunk_size(), items);
    auto const chunks = kMostBytes / (size * bytes_an_item() + sizeof(ChunkResult));
    return std::min(items / size + 1, std::max(chunks, workers)) * size;
  }
};

/// A call whose items go out in waves.
/// Threads: one.
class Waves {
 public:
  /// Throws: as Crew::require_open().
  Waves(Crew& crew, char const* call, WaveSizes const& sizes, wire::CodePlace run_chunk,
        wire::Bytes const& callable)
      : crew_(crew),
        call_(call),
        sizes_(sizes),
        run_chunk_(run_chunk),
        callable_(callable),
        kept_open_(crew, call) {}

  /// `fill(job, first item, items)` writes the input of a wave, `collect(job, items)` takes its
  /// results; both in order. Blocks, throws: as Job::run(), and what these do.
  template <class Fill, class Collect>
  void run(Fill const& fill, Collect const& collect) {
    try {
      for (auto left = sizes_.items; left != 0;) {
        while (begun_ - done_ < kMostAtOnce && next_item_ < sizes_.items && begin(fill)) {
        }
        auto& oldest = wave(done_);
        if (next_item_ < sizes_.items &&
            !oldest->await_end(base::Deadline::after(sizes_.patience))) {
          begin_rest(fill);
        }
        oldest->wait();
        collect(*oldest, oldest->items());
        left -= oldest->items();
        oldest.reset();
        ++done_;
      }
    } catch (...) {
      for (; done_ < begun_; ++done_) wave(done_)->await_end(base::Deadline::never());
      throw;
    }
  }

 private:
  static constexpr std::uint64_t kMostAtOnce = 2;
  /// False: it can not be published now, because other calls have all slots. Only who has none
  /// itself waits for one: it is the collector of its own.
  template <class Fill>
  bool begin(Fill const& fill) {
    auto& next = wave(begun_);
    if (!next) {
      auto const items = std::min(items_a_wave_, sizes_.items - next_item_);
      next.emplace(crew_, call_, job_sizes(items, sizes_.chunk_size()), run_chunk_, callable_);
      fill(*next, next_item_, items);
    }
    using WhenFull = Crew::WhenFull;
    auto const when_full = begun_ == done_ ? WhenFull::wait : WhenFull::return_null;
    if (!next->publish(kept_open_, when_full)) return false;
    next_item_ += next->items();
    ++begun_;
    return true;
  }

  /// The same of all items that are left, if that can be now.
  template <class Fill>
  void begin_rest(Fill const& fill) {
    auto const items = sizes_.items - next_item_;
    auto const workers = static_cast<std::uint64_t>(crew_.workers());
    auto const chunk_size = sizes_.asked_chunk_size.value_or(fair_chunk_size(items, workers));
    auto& rest = wave(begun_);
    try {
      rest.emplace(crew_, call_, job_sizes(items, chunk_size), run_chunk_, callable_);
    } catch (std::bad_alloc const&) {
      return;
    }
    fill(*rest, next_item_, items);
    if (rest->publish(kept_open_, Crew::WhenFull::return_null)) {
      next_item_ += items;
      ++begun_;
    } else {
      rest.reset();
    }
  }

  JobSizes job_sizes(std::uint64_t items, std::uint64_t chunk_size) const noexcept {
    JobSizes sizes;
    sizes.items = items;
    sizes.chunk_size = std::min(chunk_size, items);
    sizes.input_bytes = items * sizes_.item_size;
    sizes.result_bytes = items * sizes_.result_size;
    sizes.first_item = next_item_;
    sizes.items_of_call = sizes_.items;
    return sizes;
  }

  std::optional<Job>& wave(std::uint64_t number) { return waves_[number % waves_.size()]; }

  // constant
  Crew& crew_;
  char const* call_;
  WaveSizes const sizes_;
  wire::CodePlace const run_chunk_;
  wire::Bytes const& callable_;
  std::uint64_t const items_a_wave_ = sizes_.items_a_wave();
  Crew::KeptOpen const kept_open_;

  std::array<std::optional<Job>, kMostAtOnce + 1> waves_;  // one more: the rest
  std::uint64_t next_item_ = 0;                            // of those not begun
  std::uint64_t begun_ = 0;                                // waves
  std::uint64_t done_ = 0;                                 // waves
};

}  // namespace multiprocessing::work
