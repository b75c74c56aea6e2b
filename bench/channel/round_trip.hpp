// SPDX-License-Identifier: BSL-1.0
// The cases in which a driver sends, and another process answers.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>

#include <multiprocessing/os/processors.hpp>

#include "control.hpp"
#include "peer.hpp"
#include "plan.hpp"
#include "quiet.hpp"
#include "result.hpp"

namespace bench {

template <Endpoint E>
class Driver {
 public:
  Driver(E& endpoint, Plan const& plan)
      : endpoint_(endpoint), out_(E::make_message(plan.size)), in_(E::make_message(plan.size)) {}

  void go_there_and_back() {
    Stamp(0, ++number_).write(bytes_of(out_));
    endpoint_.send(out_);
    endpoint_.receive(in_);
    if (Stamp::read(bytes_of(in_)).number() != number_) {
      throw std::runtime_error("another message came back");
    }
  }
  void stop() { stop_one(endpoint_, out_); }

 private:
  E& endpoint_;
  typename E::Message out_;
  typename E::Message in_;
  std::uint64_t number_ = 0;
};

/// Lets who answers fall asleep, if the case is about that.
inline void pause(Plan const& plan) {
  if (plan.what == Case::ParkedIdle) std::this_thread::sleep_for(plan.options.pause);
  if (plan.what != Case::Parked) return;
  auto const end = Clock::now() + plan.options.pause;
  while (Clock::now() < end) multiprocessing::os::relax_processor();
}

void drive(auto& endpoint, Plan const& plan, Result& result) {
  constexpr double kFewest = 5;  // of the largest messages
  constexpr double kWarmUp = 0.25;
  bool const is_parked = plan.what != Case::RoundTrip;
  // So often where there are pauses, and so long where there are none.
  auto const round_trips = [&](double share, auto const& round_trip) {
    double const fewest = is_parked ? share * plan.options.parked : kFewest;
    std::chrono::duration<double> const duration(is_parked ? 0 : share * plan.options.seconds);
    auto const end = Clock::now() + duration;
    for (std::uint64_t done = 0; static_cast<double>(done) < fewest || Clock::now() < end;) {
      for (auto batch = batch_for(plan.size); batch > 0; --batch, ++done) {
        pause(plan);
        round_trip();
      }
    }
  };
  Driver driver(endpoint, plan);
  Samples samples;
  round_trips(kWarmUp, [&] { driver.go_there_and_back(); });
  round_trips(1, [&] {
    auto const before = ticks();
    driver.go_there_and_back();
    samples.add(ticks() - before);
  });
  samples.write_to(result);
  driver.stop();
}

template <Endpoint E>
void echo(E& endpoint, Plan const& plan) {
  auto message = E::make_message(plan.size);
  for (;;) {
    endpoint.receive(message);
    if (Stamp::read(bytes_of(message)).producer() == kStop) return;
    endpoint.send(message);
  }
}

void drive_idle(auto& endpoint, Plan const& plan) {
  Driver driver(endpoint, plan);
  driver.go_there_and_back();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  driver.go_there_and_back();
}

template <Endpoint E>
void idle(E& endpoint, Plan const& plan, Result& result) {
  auto message = E::make_message(plan.size);
  endpoint.receive(message);
  endpoint.send(message);
  auto const begun = Clock::now();
  auto const used = processor_seconds();
  endpoint.receive(message);
  auto const elapsed = std::chrono::duration<double>(Clock::now() - begun).count();
  result.processor_share = (processor_seconds() - used) / elapsed;
  endpoint.send(message);
}

}  // namespace bench
