// SPDX-License-Identifier: BSL-1.0
// The cases in which messages go one way.
#pragma once

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>

#include "control.hpp"
#include "peer.hpp"
#include "plan.hpp"
#include "result.hpp"

namespace bench {

template <Endpoint E>
class Producer {
 public:
  Producer(E& endpoint, Plan const& plan, Control& control, unsigned index)
      : endpoint_(endpoint),
        plan_(plan),
        control_(control),
        index_(index),
        message_(E::make_message(plan.size)) {}

  /// Begins with the others.
  void send_for(std::chrono::duration<double> duration, std::uint64_t fewest) {
    auto& mine = control_.producers.at(index_);
    control_.pass_gate();
    mine.begun = Clock::now();
    auto const end = mine.begun + duration;
    auto number = mine.sent;
    do {
      for (auto batch = batch_for(plan_.size); batch > 0; --batch) {
        Stamp(index_, ++number).write(bytes_of(message_));
        endpoint_.send(message_);
      }
    } while (number - mine.sent < fewest || Clock::now() < end);
    mine.sent = number;
    control_.done.fetch_add(1);
  }

  /// For the first: waits until all has arrived, and stops the consumers. When it had arrived.
  Clock::time_point finish() {
    constexpr unsigned kLookAgain = 20;  // microseconds; far less than is measured
    while (control_.done.load() < plan_.producers) ::usleep(kLookAgain);
    while (control_.received() < control_.sent()) ::usleep(kLookAgain);
    auto const end = Clock::now();
    control_.done = 0;
    for (unsigned i = 0; i < plan_.consumers; ++i) stop_one(endpoint_, message_);
    return end;
  }

 private:
  E& endpoint_;
  Plan const& plan_;
  Control& control_;
  unsigned index_;
  typename E::Message message_;
};

template <Endpoint E>
void produce(E& endpoint, Plan const& plan, Control& control, unsigned index) {
  constexpr double kWarmUp = 0.25;
  std::chrono::duration<double> const duration(plan.options.seconds);
  Producer producer(endpoint, plan, control, index);
  producer.send_for(kWarmUp * duration,
                    2 * depth_for(plan.size));  // uses all that waits are kept in
  if (index == 0) static_cast<void>(producer.finish());
  control.pass_gate();
  auto const before = control.sent();
  producer.send_for(duration, 1);
  if (index == 0) {
    auto const end = producer.finish();
    control.result.messages_per_second =
        static_cast<double>(control.sent() - before) /
        std::chrono::duration<double>(end - control.begun(plan.producers)).count();
  }
  control.pass_gate();
}

template <Endpoint E>
void consume(E& endpoint, Plan const& plan, Control& control, unsigned index) {
  auto message = E::make_message(plan.size);
  auto& mine = control.consumers.at(index);
  std::array<std::uint64_t, kMostMembers> last{};
  std::uint64_t received = 0;
  std::uint64_t sum = 0;
  auto const receive_until_stop = [&] {
    control.pass_gate();
    for (;;) {
      endpoint.receive(message);
      auto const stamp = Stamp::read(bytes_of(message));
      if (stamp.producer() == kStop) break;
      auto& before = last.at(stamp.producer());
      bool const is_next =
          plan.consumers == 1 ? stamp.number() == before + 1 : stamp.number() > before;
      if (!is_next) throw std::runtime_error("messages of one producer are out of order");
      before = stamp.number();
      sum += stamp.number();
      mine.received.store(++received, std::memory_order_relaxed);
    }
  };
  receive_until_stop();
  control.pass_gate();
  receive_until_stop();
  mine.sum = sum;
  control.pass_gate();
}

/// Throws: std::runtime_error.
inline void require_all_arrived(Control const& control) {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  for (auto const& each : control.producers) sent += each.sent * (each.sent + 1) / 2;
  for (auto const& each : control.consumers) received += each.sum;
  if (sent != received) throw std::runtime_error("not what was sent was received");
}

}  // namespace bench
