// SPDX-License-Identifier: BSL-1.0
// How the latest workers of a pool died, for whoever wants to tell.
//
//   worker 3                  shared segment                       owner, any thread
//
//   watch(): handler
//   crashes ----------------> CrashRecord 3
//                                  | add(), by the nursery
//                                  v
//                             Entry 41 % kKept: number 41, text    find(41) --> WorkerDeath
//   Failure   The nursery dies while it writes an entry: that has no number, so nobody finds it.
//   Too late  kKept deaths later the entry is another one's: who looks for it finds nothing.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/os/crash_handler.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/work/idle_workers.hpp>
#include <multiprocessing/work/worker_death.hpp>

namespace multiprocessing::work {

/// The shared part. Threads and processes: safe, but for the members that only the nursery calls.
class DeathLog {
 public:
  static constexpr std::uint32_t kKept = 64;  // more than a text has use for; 256 KiB at most

  /// Addresses that begin at `place` and are nobody else's; memory comes as it is used.
  static constexpr shm::Offset size() noexcept { return kEntries + kKept * sizeof(Entry); }

  // constant, written by the owner
  shm::Offset place = 0;

  /// The nursery is about to start this worker. Without memory it can not watch().
  void expect(shm::Segment const& segment, std::size_t worker) noexcept;

  /// In a worker: has it write down how it crashes.
  void watch(shm::Segment const& segment, std::size_t worker) const noexcept;

  /// By the nursery: of a worker that has been reaped. Returns the number by which find() knows it,
  /// or 0 when there is no memory.
  std::uint32_t add(shm::Segment const& segment, std::size_t worker, WorkerDeath death) noexcept;

  /// Nothing when there was none of this number, or it is too long ago. Throws: std::bad_alloc.
  std::optional<WorkerDeath> find(shm::Segment const& segment, std::uint32_t number) const;

  /// The last deaths, at most `count` and kKept, the latest last: a line each, see
  /// WorkerDeath::line(). Throws: std::bad_alloc.
  std::vector<std::string> last_lines(shm::Segment const& segment, std::uint32_t count) const;

 private:
  struct alignas(base::kCacheLine) Crash : os::CrashRecord {};

  /// Changes while it is read, so that all of it is atomic; `number` is 0 meanwhile.
  class alignas(base::kCacheLine) Entry {
   public:
    void write(std::uint32_t number, WorkerDeath const& death, std::string_view text) noexcept {
      Head head{};
      head.pid = death.pid;
      head.end_code = death.end_code;
      head.end_status = death.end_status;
      head.crashed_by = death.crashed_by;
      head.peak_memory = death.peak_memory;
      head.has_address = death.details.fault_address.has_value() ? 1 : 0;
      head.address = death.details.fault_address.value_or(0);
      head.text_size = static_cast<std::uint32_t>(std::min(text.size(), kText));
      number_ = 0;
      store(0, &head, sizeof head);
      store(kHeadWords, text.data(), head.text_size);
      number_ = number;
    }

    std::optional<WorkerDeath> read(std::uint32_t number) const {
      if (number_.load() != number) return std::nullopt;
      Head head;
      load(0, &head, sizeof head);
      std::string text(std::min<std::size_t>(head.text_size, kText), '\0');
      load(kHeadWords, text.data(), text.size());
      if (number_.load() != number) return std::nullopt;
      WorkerDeath death{head.pid, head.end_code, head.end_status, head.peak_memory,
                        head.crashed_by};
      if (head.has_address != 0) death.details.fault_address = head.address;
      for (std::size_t begin = 0; begin < text.size();) {
        auto const end = std::min(text.find('\n', begin), text.size());
        death.details.backtrace.push_back(text.substr(begin, end - begin));
        begin = end + 1;
      }
      return death;
    }

   private:
    struct Head {
      std::int32_t pid;
      std::int32_t end_code;
      std::int32_t end_status;
      std::int32_t crashed_by;
      std::uint64_t peak_memory;
      std::uint64_t address;
      std::uint32_t has_address;
      std::uint32_t text_size;
    };
    static constexpr std::size_t kSize = 4096;  // two dozen frames with C++'s names
    static constexpr std::size_t kHeadWords = sizeof(Head) / sizeof(std::uint64_t);
    static constexpr std::size_t kWords = kSize / sizeof(std::uint64_t) - 1;
    static constexpr std::size_t kText = (kWords - kHeadWords) * sizeof(std::uint64_t);
    static_assert(sizeof(Head) % sizeof(std::uint64_t) == 0);

    void store(std::size_t first, void const* from, std::size_t size) noexcept {
      auto const* bytes = static_cast<std::byte const*>(from);
      for (auto* word = &words_[first]; size != 0; ++word) {
        std::uint64_t value = 0;
        auto const part = std::min(size, sizeof value);
        std::memcpy(&value, bytes, part);
        // Release, after the number's 0; pairs with the acquire in load().
        word->store(value, std::memory_order_release);
        bytes += part;
        size -= part;
      }
    }
    void load(std::size_t first, void* to, std::size_t size) const noexcept {
      auto* bytes = static_cast<std::byte*>(to);
      for (auto const* word = &words_[first]; size != 0; ++word) {
        // Acquire, before the second look: who sees a word of another death sees that it began.
        std::uint64_t const value = word->load(std::memory_order_acquire);
        auto const part = std::min(size, sizeof value);
        std::memcpy(bytes, &value, part);
        bytes += part;
        size -= part;
      }
    }

    std::atomic<std::uint32_t> number_{0};
    std::array<std::atomic<std::uint64_t>, kWords> words_{};  // a Head, and a line for each frame
  };

  // From `place` on: a Crash for each worker, then the entries.
  static constexpr shm::Offset kEntries = IdleWorkers::kMost * sizeof(Crash);
  static constexpr std::size_t kLongestFrame = 300;  // of a name that templates made

  os::CrashRecord& crash(shm::Segment const& segment, std::size_t worker) const noexcept;
  shm::Offset offset_of_entry(std::uint32_t index) const noexcept;
  Entry& entry(shm::Segment const& segment, std::uint32_t index) const noexcept;

  /// What the worker's handler has written, if that signal was its end.
  static void read_crash(os::CrashRecord const& crash, WorkerDeath& death, std::string& text);

  // written by the nursery
  std::atomic<std::uint32_t> crashes_ready_{0};  // of so many workers
  std::atomic<std::uint64_t> entries_ready_{0};  // a bit for each that has memory
  std::atomic<std::uint32_t> last_{0};           // number

  static_assert(kKept == 64, "a bit for each");
};

}  // namespace multiprocessing::work

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/work/death_log.ipp>
#endif
