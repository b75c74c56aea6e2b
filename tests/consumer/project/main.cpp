// SPDX-License-Identifier: BSL-1.0
// Two headers that cost little: how the library is found is what is tested here.
#include <multiprocessing/event.hpp>
#include <multiprocessing/lock.hpp>

bool is_locked_there(multiprocessing::Lock const& lock);  // in the other translation unit

int main() {
  multiprocessing::Event const event;
  multiprocessing::Lock const lock;
  lock.acquire();
  if (is_locked_there(lock)) event.set();
  lock.release();
  return event.is_set() ? 0 : 1;
}
