// SPDX-License-Identifier: BSL-1.0
// A lock lets one in, a semaphore as many as it counts; and a lock outlives its holder.
#include <algorithm>
#include <csignal>
#include <iostream>
#include <mutex>
#include <vector>

#include <multiprocessing/lock.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/semaphore.hpp>
#include <multiprocessing/value.hpp>

namespace mp = multiprocessing;

struct Room {
  int inside = 0;
  int most = 0;
  int visits = 0;
};

void visit(mp::Semaphore const& seats, mp::Lock const& door, mp::RawValue<Room> const& room) {
  for (int i = 0; i < 100; ++i) {
    std::scoped_lock const seat(seats);
    {
      std::scoped_lock const guard(door);
      room->most = std::max(room->most, ++room->inside);
      ++room->visits;
    }
    std::scoped_lock const guard(door);
    --room->inside;
  }
}

int main() {
  mp::Semaphore seats(2);
  mp::Lock door;
  mp::RawValue<Room> room;
  std::vector<mp::Process> visitors;
  for (int i = 0; i < 4; ++i) visitors.emplace_back(visit, seats, door, room);
  for (auto& visitor : visitors) visitor.start();
  for (auto& visitor : visitors) visitor.join();
  std::cout << room->visits << " visits, " << (room->most <= 2 ? "two at most" : "too many")
            << " at a time\n";

  mp::Process victim([door] {
    door.acquire();
    std::raise(SIGKILL);
  });
  victim.start();
  victim.join();
  std::scoped_lock const guard(door);  // anywhere else this waits for ever
  std::cout << "its holder " << *victim.exit_status() << ", the lock was "
            << (door.recovered() ? "recovered" : "free") << '\n';
}
