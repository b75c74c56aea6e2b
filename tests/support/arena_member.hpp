// SPDX-License-Identifier: BSL-1.0
// A participant of an arena that a test speaks for. The test's own process must not enter: its life
// lock would outlive the arena.
#pragma once

#include <unistd.h>

#include <multiprocessing/shm/arena.hpp>

#include "helpers.hpp"

namespace support {

/// Lives as long as this object. That it does, others see in a few steps.
class ArenaMember {
 public:
  using Number = multiprocessing::shm::Number;

  explicit ArenaMember(multiprocessing::shm::Arena& arena)
      : number_(arena.claim(multiprocessing::shm::Arena::kNobody)), process_([&] {
          if (arena.enter(number_, arena.participant(number_).generation())) entered_.tell();
          for (;;) ::pause();
        }) {
    entered_.hear();
  }

  Number number() const { return number_; }

 private:
  Number number_;
  Pipe entered_;
  RawChild process_;
};

}  // namespace support
