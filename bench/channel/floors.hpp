// SPDX-License-Identifier: BSL-1.0
// The least that a hand-over takes: one writes a line of the cache, the other spins on it, or
// sleeps.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/os/processors.hpp>

#include "peer.hpp"
#include "shared.hpp"

namespace bench {

struct Spin {
  static void wait(multiprocessing::os::FutexWord const& word, std::uint32_t expected) {
    while (word.load(std::memory_order_acquire) == expected) {
      multiprocessing::os::relax_processor();
    }
  }
  static void wake(multiprocessing::os::FutexWord const&) {}
};

struct Sleep {
  static void wait(multiprocessing::os::FutexWord const& word, std::uint32_t expected) {
    auto const never = multiprocessing::base::Deadline::never();
    while (word.load(std::memory_order_acquire) == expected) {
      static_cast<void>(multiprocessing::os::futex_wait(word, expected, never));
    }
  }
  static void wake(multiprocessing::os::FutexWord const& word) {
    multiprocessing::os::futex_wake(word, 1);
  }
};

/// Only in turn: who sends twice overwrites.
template <class Wait>
class Line {
  // A message and the word that tells of it are in one line, if it has 56 bytes.
  struct alignas(multiprocessing::base::kCacheLine) Lane {
    multiprocessing::os::FutexWord count{0};
    std::array<std::byte, kSmall> data;
  };
  using Lanes = std::array<Lane, 2>;

 public:
  static bool carries(Plan const& plan) {
    return plan.size == kSmall && plan.what != Case::Stream && plan.what != Case::Many;
  }
  explicit Line(Plan const&) {}

  class End : public Buffered {
   public:
    End(std::shared_ptr<Lanes> lanes, unsigned side)
        : lanes_(std::move(lanes)), out_((*lanes_)[side]), in_((*lanes_)[1 - side]) {}

    void send(Message const& message) {
      std::memcpy(out_.data.data(), message.data(), kSmall);
      out_.count.store(++sent_, std::memory_order_release);
      Wait::wake(out_.count);
    }
    void receive(Message& message) {
      Wait::wait(in_.count, received_);
      ++received_;
      std::memcpy(message.data(), in_.data.data(), kSmall);
    }

   private:
    std::shared_ptr<Lanes> lanes_;
    Lane& out_;
    Lane& in_;
    std::uint32_t sent_ = 0;
    std::uint32_t received_ = 0;
  };

  End open(Role role) const { return End(lanes_, role.side()); }

 private:
  std::shared_ptr<Lanes> lanes_ = make_shared_memory<Lanes>();
};

}  // namespace bench
