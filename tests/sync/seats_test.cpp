// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/seats.hpp>

#include <set>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace seats_test {

using namespace multiprocessing::sync;
namespace shm = multiprocessing::shm;

TEST_CASE("each thread has a seat of its own, and keeps it", "[seats]") {
  auto* const own = &this_threads_seat();
  CHECK(&this_threads_seat() == own);
  CHECK(own->life.is_held());
  std::set<Seat*> seats{own};
  std::vector<Seat*> others(4);
  std::vector<std::thread> threads;
  support::Pipe go;
  for (auto& other : others) {
    threads.emplace_back([&] {
      other = &this_threads_seat();
      go.hear();  // all live at the same time
    });
  }
  auto& arena = shm::Heap::instance().arena();
  for (auto const count = arena.entries(); arena.entries() < count;) std::this_thread::yield();
  for (std::size_t i = 0; i < threads.size(); ++i) go.tell();
  for (auto& thread : threads) thread.join();
  seats.insert(others.begin(), others.end());
  CHECK(seats.size() >= 2);
  CHECK_FALSE(seats.count(nullptr) > 0);
}

TEST_CASE("a child has a seat of its own; the dead leave theirs to others", "[seats]") {
  auto* const own = &this_threads_seat();
  auto& arena = shm::Heap::instance().arena();
  support::RawChild([&] { return &this_threads_seat() != own ? 0 : 1; }).wait();
  auto const entries = arena.entries();
  for (int i = 0; i < 20; ++i) {
    support::RawChild child([&] {
      auto& seat = this_threads_seat();
      seat.sit(77, 1);
      return &seat != own && &this_threads_seat() == &seat ? 0 : 1;
    });
    CHECK(child.wait() == 0);
    std::thread([&] { this_threads_seat().sit(77, 2); }).join();
  }
  CHECK(arena.entries() <= entries + 1);
  int dead = 0;
  for_each_seat(arena, 77, [&](Seat const& seat) { dead += seat.life.is_held() ? 0 : 1; });
  CHECK(dead >= 1);
  std::thread([] { this_threads_seat(); }).join();
}

TEST_CASE("who sits is found, untold, until it stands", "[seats]") {
  auto& seat = this_threads_seat();
  auto& arena = shm::Heap::instance().arena();
  seat.told.set_bits(1);
  seat.sit(99, 5);
  int found = 0;
  for_each_seat(arena, 99, [&](Seat& each) {
    CHECK(&each == &seat);
    CHECK(each.ticket == 5);
    CHECK(each.told.value() == 0);
    ++found;
  });
  CHECK(found == 1);
  seat.stand();
  for_each_seat(arena, 99, [&](Seat&) { ++found; });
  CHECK(found == 1);
}

}  // namespace seats_test
