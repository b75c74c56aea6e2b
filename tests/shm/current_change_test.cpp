// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/current_change.hpp>

#include <cstdint>
#include <thread>

#include "../support/catch.hpp"
#include "../support/changing.hpp"

namespace current_change_test {

using multiprocessing::shm::CurrentChange;

TEST_CASE("what was in use when the change began is noted, nothing else", "[current_change]") {
  support::Changing const it;
  std::uint64_t* before = nullptr;
  it.run([&] { before = static_cast<std::uint64_t*>(CurrentChange::of_this_thread().take(16)); });
  it.run([&] {
    auto const& change = CurrentChange::of_this_thread();
    auto const mark = it.log().mark();
    std::uint64_t on_the_stack = 0;
    change.note(&on_the_stack);
    CHECK(it.log().mark() == mark);
    auto const* const fresh = static_cast<std::uint64_t*>(change.take(16));
    auto const after_taking = it.log().mark();
    change.note(fresh);
    CHECK(it.log().mark() == after_taking);
    change.note(before);
    CHECK(it.log().mark() > after_taking);
  });
}

TEST_CASE("each thread has a change of its own, or none", "[current_change]") {
  support::Changing const it;
  std::uint64_t* place = nullptr;
  it.run([&] { place = static_cast<std::uint64_t*>(CurrentChange::of_this_thread().take(16)); });
  it.run([&] {
    auto const mark = it.log().mark();
    std::thread([&] { CurrentChange::of_this_thread().note(place); }).join();
    CHECK(it.log().mark() == mark);
    CurrentChange::of_this_thread().note(place);
    CHECK(it.log().mark() > mark);
  });
  CurrentChange::of_this_thread().note(place);  // none: nothing happens
}

}  // namespace current_change_test
