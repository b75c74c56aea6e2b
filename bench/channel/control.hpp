// SPDX-License-Identifier: BSL-1.0
// What the processes that take part have in common.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>

#include <multiprocessing/base/cache_line.hpp>

#include "peer.hpp"
#include "plan.hpp"
#include "result.hpp"

namespace bench {

/// In memory that all members share.
struct Control {
  struct alignas(multiprocessing::base::kCacheLine) Producer {
    Clock::time_point begun;
    std::uint64_t sent = 0;  ///< the number of its last message, too
  };
  struct alignas(multiprocessing::base::kCacheLine) Consumer {
    std::atomic<std::uint64_t> received{0};
    std::uint64_t sum = 0;  ///< of the numbers of these messages
  };

  explicit Control(unsigned members) {
    pthread_barrierattr_t attributes;
    ::pthread_barrierattr_init(&attributes);
    ::pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_barrier_init(&gate, &attributes, members);
  }

  void pass_gate() { ::pthread_barrier_wait(&gate); }

  /// While nobody sends.
  std::uint64_t sent() const noexcept {
    std::uint64_t all = 0;
    for (auto const& each : producers) all += each.sent;
    return all;
  }
  std::uint64_t received() const noexcept {
    std::uint64_t all = 0;
    for (auto const& each : consumers) all += each.received.load();
    return all;
  }
  /// When the first of them began.
  Clock::time_point begun(unsigned among) const {
    auto first = producers.at(0).begun;
    for (unsigned i = 1; i < among; ++i) first = std::min(first, producers.at(i).begun);
    return first;
  }

  pthread_barrier_t gate;
  Result result{};
  std::array<Producer, kMostMembers> producers;
  std::array<Consumer, kMostMembers> consumers;
  std::atomic<unsigned> done{0};  ///< producers that have sent all
};

/// Who sent a message, and its number. In the first and in the last bytes of each.
class Stamp {
 public:
  constexpr Stamp(unsigned producer, std::uint64_t number) noexcept
      : word_(std::uint64_t{producer} << kNumberBits | number) {}
  /// Throws: std::runtime_error when first and last bytes differ.
  static Stamp read(std::span<std::byte const> message) {
    Stamp head(0, 0);
    Stamp tail(0, 0);
    std::memcpy(&head.word_, message.data(), sizeof word_);
    std::memcpy(&tail.word_, message.data() + message.size() - sizeof word_, sizeof word_);
    if (head.word_ != tail.word_) throw std::runtime_error("a message is torn");
    return head;
  }
  void write(std::span<std::byte> message) const noexcept {
    std::memcpy(message.data(), &word_, sizeof word_);
    std::memcpy(message.data() + message.size() - sizeof word_, &word_, sizeof word_);
  }
  constexpr unsigned producer() const noexcept {
    return static_cast<unsigned>(word_ >> kNumberBits);
  }
  constexpr std::uint64_t number() const noexcept {
    return word_ & ((std::uint64_t{1} << kNumberBits) - 1);
  }

 private:
  static constexpr unsigned kNumberBits = 56;
  std::uint64_t word_;
};

inline constexpr unsigned kStop = 255;  // no producer

auto bytes_of(auto& message) { return std::as_writable_bytes(std::span(message)); }

/// How often something is done between two looks at the clock.
constexpr std::uint64_t batch_for(std::size_t size) {
  return std::clamp<std::uint64_t>(65536 / size, 1, 64);
}

template <Endpoint E>
void stop_one(E& endpoint, typename E::Message& message) {
  Stamp(kStop, 0).write(bytes_of(message));
  endpoint.send(message);
}

}  // namespace bench
