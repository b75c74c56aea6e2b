// SPDX-License-Identifier: BSL-1.0
// Two processes change a value and an array, 500 times each; a lock keeps both in step.
#include <iostream>
#include <mutex>

#include <multiprocessing/array.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/value.hpp>

namespace mp = multiprocessing;

// All three are handles: the copies that a process is given are the same objects.
void add(mp::Lock const& lock, mp::RawValue<int> const& total, mp::RawArray<double> const& levels) {
  for (int round = 0; round < 500; ++round) {
    std::scoped_lock const guard(lock);
    *total += 1;
    for (double& level : levels) level += 0.5;
  }
}

int main() {
  mp::Lock lock;
  mp::RawValue<int> total(0);
  mp::RawArray<double> levels{10.0, 20.0, 30.0};  // Raw: the lock is ours, they need none

  mp::Process first(add, lock, total, levels);
  mp::Process second(add, lock, total, levels);
  first.start();
  second.start();
  first.join();
  second.join();

  std::cout << "total: " << *total << "\nlevels:";
  for (double level : levels) std::cout << ' ' << level;

  // For one value alone its own lock does.
  mp::Value<int> count(0);
  mp::Process third([count] { count.update([](int& n) { n += 1; }); });
  third.start();
  third.join();
  std::cout << "\ncount: " << count.value() << '\n';
}
