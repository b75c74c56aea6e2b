// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/admission.hpp>

#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>

#include <multiprocessing/os/fd_message.hpp>
#include <multiprocessing/shm/heap.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace os = multiprocessing::os;
using namespace multiprocessing::shm;

namespace admission_test {

TEST_CASE("who was not started by exec has no admission", "[admission]") {
  CHECK_FALSE(Admission::of_this_process());
}

TEST_CASE("a place that nobody came to is free again once that is known", "[admission]") {
  auto& heap = Heap::instance();
  auto const pair = os::SocketPair::create();
  auto const place = heap.admit(pair.near);
  CHECK_FALSE(heap.arena().is_dead(place.number, place.generation));
  heap.note_admitted(place, Heap::kNoProcess);
  CHECK(heap.arena().is_dead(place.number, place.generation));
  heap.arena().bury_the_dead();
  CHECK(heap.arena().participant(place.number).is_free());
}

TEST_CASE("who is killed before it came holds nothing up", "[admission]") {
  auto& heap = Heap::instance();
  auto const pair = os::SocketPair::create();
  support::RawChild child([] { ::pause(); });
  auto const place = heap.admit(pair.near);
  heap.note_admitted(place, child.pid());
  CHECK_FALSE(heap.arena().is_dead(place.number, place.generation));
  child.kill();
  child.wait();
  CHECK(heap.arena().is_dead(place.number, place.generation));
}

TEST_CASE("an arena that is attached to is the one that was made", "[admission]") {
  Arena made("test", std::uint64_t{4} << 30);
  auto const first = made.allocate(made.claim(Arena::kNobody), 100);
  made.data(first)[0] = std::byte{7};
  Arena attached(os::Fd(::dup(made.segment_fd().get())));
  CHECK(attached.data(first)[0] == std::byte{7});
  auto const second = attached.allocate(attached.claim(Arena::kNobody), 100);
  CHECK(second != first);
  CHECK(attached.data(second) >= attached.data(first) + 100);
  CHECK(made.used_blocks() == 2);
}

}  // namespace admission_test
