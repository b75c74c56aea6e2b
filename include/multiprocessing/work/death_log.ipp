// SPDX-License-Identifier: BSL-1.0
// The bodies of death_log.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/code_name.hpp>
#include <multiprocessing/os/crash_handler.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/work/death_log.hpp>
#include <multiprocessing/work/idle_workers.hpp>
#include <multiprocessing/work/worker_death.hpp>

namespace multiprocessing::work {

MULTIPROCESSING_INLINE void DeathLog::expect(shm::Segment const& segment,
                                             std::size_t worker) noexcept {
  os::prepare_crash_handler();
  auto const ready = crashes_ready_.load();
  if (worker >= ready) {
    try {
      auto const more = worker + 1 - ready;
      segment.commit({place + ready * sizeof(Crash), more * sizeof(Crash)});
    } catch (std::exception const&) {
      return;
    }
    crashes_ready_ = static_cast<std::uint32_t>(worker + 1);
  }
  crash(segment, worker).clear();
}

MULTIPROCESSING_INLINE void DeathLog::watch(shm::Segment const& segment,
                                            std::size_t worker) const noexcept {
  if (worker < crashes_ready_.load()) os::install_crash_handler(crash(segment, worker));
}

MULTIPROCESSING_INLINE std::uint32_t DeathLog::add(shm::Segment const& segment, std::size_t worker,
                                                   WorkerDeath death) noexcept {
  std::string text;
  try {
    if (worker < crashes_ready_.load()) read_crash(crash(segment, worker), death, text);
  } catch (std::exception const&) {  // no memory: what is there has to do
  }
  auto number = last_.load() + 1;
  if (number == 0) ++number;  // after 2^32 deaths
  auto const index = number % kKept;
  auto& entry = this->entry(segment, index);
  if ((entries_ready_.load() >> index & 1U) == 0) {
    try {
      segment.commit({offset_of_entry(index), sizeof(Entry)});
    } catch (std::exception const&) {
      return 0;
    }
    entries_ready_ = entries_ready_.load() | std::uint64_t{1} << index;
  }
  entry.write(number, death, text);
  last_ = number;
  return number;
}

MULTIPROCESSING_INLINE std::optional<WorkerDeath> DeathLog::find(shm::Segment const& segment,
                                                                 std::uint32_t number) const {
  auto const index = number % kKept;
  if (number == 0 || (entries_ready_.load() >> index & 1U) == 0) return std::nullopt;
  return entry(segment, index).read(number);
}

MULTIPROCESSING_INLINE std::vector<std::string> DeathLog::last_lines(shm::Segment const& segment,
                                                                     std::uint32_t count) const {
  std::vector<std::string> lines;
  auto const last = last_.load();
  for (auto back = std::min({count, kKept, last}); back != 0; --back) {
    if (auto const death = find(segment, last - back + 1)) lines.push_back(death->line());
  }
  return lines;
}

MULTIPROCESSING_INLINE os::CrashRecord& DeathLog::crash(shm::Segment const& segment,
                                                        std::size_t worker) const noexcept {
  return segment.at<Crash>(place)[worker];
}

MULTIPROCESSING_INLINE shm::Offset DeathLog::offset_of_entry(std::uint32_t index) const noexcept {
  return place + kEntries + index * sizeof(Entry);
}

MULTIPROCESSING_INLINE DeathLog::Entry& DeathLog::entry(shm::Segment const& segment,
                                                        std::uint32_t index) const noexcept {
  return *segment.at<Entry>(offset_of_entry(index));
}

MULTIPROCESSING_INLINE void DeathLog::read_crash(os::CrashRecord const& crash, WorkerDeath& death,
                                                 std::string& text) {
  auto const signal = crash.signal.load();
  if (signal == 0 || death.status().signal() != signal) return;
  death.crashed_by = signal;
  if (crash.has_address.load()) death.details.fault_address = crash.address.load();
  auto const count = std::min<std::size_t>(crash.frame_count.load(), os::CrashRecord::kMostFrames);
  for (std::size_t i = 0; i < count; ++i) {
    auto frame = os::code_name(crash.frames[i].load());
    if (frame.size() > kLongestFrame) {  // the end says where it is
      constexpr std::size_t kEnd = 60;
      frame.replace(kLongestFrame - kEnd, frame.size() - kLongestFrame, "...");
    }
    text += (i == 0 ? "" : "\n") + frame;
  }
}

}  // namespace multiprocessing::work
