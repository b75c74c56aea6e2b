// SPDX-License-Identifier: BSL-1.0
// What a pool's processes note down of what happens, while somebody wants to know.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/os/clock.hpp>
#include <multiprocessing/work/chunk.hpp>
#include <multiprocessing/work/code_table.hpp>

namespace multiprocessing::work {

/// Something that a worker has done, or that has happened to it.
struct TraceEvent {
  enum class Kind : std::uint32_t { None, Task, Chunk, Start, End };
  static constexpr CodeNumber kUnknown = UINT32_MAX;

  std::atomic<Kind> kind{Kind::None};  ///< written last: the rest is there
  std::int32_t pid = 0;
  std::int64_t begin = 0;
  std::atomic<std::int64_t> end{0};  ///< 0: it has not ended, or its worker has before
  WorkerNumber worker = 0;
  std::uint16_t run = 0;  ///< Task: how many of its runs have failed before
  /// Task: the index of its entry. Chunk: its number. End: the status, see TaskDeath.
  std::uint32_t number = 0;
  CodeNumber code = 0;  ///< Task: a RunTask. End: the code of its end.
  std::atomic<CodeNumber> function{
      kUnknown};  ///< Task: what it has called, where that has a number
};

/// Lives in a segment. Threads and processes: all may add. Peer death: what was not finished is not
/// seen.
struct TraceLog {
  std::uint64_t capacity = 0;  // constant
  alignas(base::kCacheLine) std::atomic<std::uint64_t> taken{0};

  static constexpr std::size_t bytes_for(std::uint64_t capacity) noexcept {
    return sizeof(TraceLog) + capacity * sizeof(TraceEvent);
  }
  TraceEvent* events() noexcept { return reinterpret_cast<TraceEvent*>(this + 1); }
  TraceEvent const* events() const noexcept {
    return reinterpret_cast<TraceEvent const*>(this + 1);
  }
  std::uint64_t size() const noexcept { return std::min(taken.load(), capacity); }
  /// For which there was no room.
  std::uint64_t dropped() const noexcept { return taken.load() - size(); }

  /// A new event, which begins now; null when there is no room. To be ended by publish().
  TraceEvent* take(WorkerNumber worker, std::int32_t pid) noexcept {
    auto const index = taken.fetch_add(1);
    if (index >= capacity) return nullptr;
    auto& event = *new (events() + index) TraceEvent;
    event.worker = worker;
    event.pid = pid;
    event.begin = os::monotonic_time();
    return &event;
  }
  // Pairs with the acquire of who reads.
  static void publish(TraceEvent& event, TraceEvent::Kind kind) noexcept {
    event.kind.store(kind, std::memory_order_release);
  }
};

}  // namespace multiprocessing::work
