// SPDX-License-Identifier: BSL-1.0
// An event starts everybody, a barrier has all wait for the last, a condition tells of a change.
#include <iostream>
#include <mutex>
#include <vector>

#include <multiprocessing/barrier.hpp>
#include <multiprocessing/condition.hpp>
#include <multiprocessing/event.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/value.hpp>

namespace mp = multiprocessing;

struct Race {
  mp::Event start{};
  mp::Barrier half_way{3};
  mp::Condition changed{};
  mp::RawValue<int> arrived{};  // guarded by `changed`
};

void run(Race const& race) {
  race.start.wait();
  if (race.half_way.wait() == 0) {  // each gets another number
    std::cout << "all three are half way" << std::endl;
  }
  std::scoped_lock const guard(race.changed);
  *race.arrived += 1;
  race.changed.notify_all();
}

int main() {
  Race race;
  std::vector<mp::Process> runners;
  for (int i = 0; i < 3; ++i) runners.emplace_back(run, race);
  for (auto& runner : runners) runner.start();

  std::cout << "go" << std::endl;
  race.start.set();
  {
    std::scoped_lock const guard(race.changed);
    race.changed.wait([&] { return *race.arrived == 3; });
    std::cout << *race.arrived << " have arrived\n";
  }
  for (auto& runner : runners) runner.join();
}
