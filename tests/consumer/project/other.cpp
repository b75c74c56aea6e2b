// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/event.hpp>
#include <multiprocessing/lock.hpp>

bool is_locked_there(multiprocessing::Lock const& lock);

bool is_locked_there(multiprocessing::Lock const& lock) {
  multiprocessing::Event const event;
  return lock.locked() && !event.is_set();
}
