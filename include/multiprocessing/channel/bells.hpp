// SPDX-License-Identifier: BSL-1.0
// Doorbells of those who wait for a lane in poll or epoll, and have it ring when there is
// something.
#pragma once

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <multiprocessing/os/doorbell.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::channel {

/// Lives inside a segment. Threads and processes: all members safe. What a dead process has hung up
/// is another's place when it is needed.
class Bells {
 public:
  // All are looked at when one is rung; who needs more shares one descriptor.
  static constexpr std::size_t kMost = 8;

  /// Returns its place. Throws: std::system_error (EUSERS) when there are kMost.
  std::size_t hang_up(std::uint32_t number) {
    auto& heap = shm::Heap::instance();
    auto const me = heap.me();
    if (me == shm::Arena::kNobody) os::throw_error(EUSERS, "fileno", "too many processes");
    auto const generation = heap.arena().participant(me).generation();
    for (std::size_t place = 0; place < kMost; ++place) {
      auto bell = bells_[place].load();
      if (bell != 0 && !is_of_the_dead(bell)) continue;
      if (bells_[place].compare_exchange_strong(bell, word(number, me, generation))) return place;
    }
    os::throw_error(EUSERS, "fileno", "it has given eight descriptors already");
  }
  void take_down(std::size_t place) noexcept { bells_[place] = 0; }

  /// False: not all could be rung.
  [[nodiscard]] bool ring() const noexcept {
    bool all = true;
    for (auto const& each : bells_) {
      if (auto const bell = each.load(); bell != 0) {
        all = os::Doorbell::ring(static_cast<std::uint32_t>(bell >> kNumberShift)) && all;
      }
    }
    return all;
  }

 private:
  // number << 32 | participant << 20 | generation: of that the low bits, enough to tell the dead.
  static constexpr unsigned kNumberShift = 32;
  static constexpr unsigned kParticipantShift = 20;
  static constexpr std::uint32_t kGenerations = 1U << kParticipantShift;
  static_assert(shm::Arena::kParticipants <= 1U << (kNumberShift - kParticipantShift));

  static std::uint64_t word(std::uint32_t number, shm::Number participant,
                            std::uint32_t generation) noexcept {
    return std::uint64_t{number} << kNumberShift | std::uint64_t{participant} << kParticipantShift |
           generation % kGenerations;
  }
  static bool is_of_the_dead(std::uint64_t bell) {
    auto const number = static_cast<shm::Number>(bell >> kParticipantShift) %
                        (1U << (kNumberShift - kParticipantShift));
    auto& participant = shm::Heap::instance().arena().participant(number);
    return participant.generation() % kGenerations != bell % kGenerations ||
           participant.is_free() || participant.is_dead();
  }

  std::array<std::atomic<std::uint64_t>, kMost> bells_{};
};

}  // namespace multiprocessing::channel
