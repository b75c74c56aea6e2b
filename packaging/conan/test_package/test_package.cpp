// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/event.hpp>

int main() {
  multiprocessing::Event const event;
  event.set();
  return event.is_set() ? 0 : 1;
}
