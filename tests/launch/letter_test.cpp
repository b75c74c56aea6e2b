// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/letter.hpp>

#include <unistd.h>

#include <utility>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"

namespace launch = multiprocessing::launch;
namespace mp = multiprocessing;

namespace letter_test {

int calls = 0;
void count() { ++calls; }

TEST_CASE("a letter tells who, and for what, and lies in the heap as long as it is kept",
          "[letter]") {
  auto& arena = mp::shm::Heap::instance().arena();
  auto const before = arena.used_blocks();
  {
    launch::Identity who;
    who.name = "W1";
    who.number = "2:1";
    who.daemon = true;
    who.parent_pid = 7;
    who.parent_name = "Boss";
    launch::CallTarget<void (*)()> const target(std::in_place, &count);
    launch::ChildSetup setup;
    setup.nice = 3;
    setup.env["A"] = "b";
    setup.cwd = "/tmp";
    launch::ChildFds const fds({}, false);
    launch::WrittenLetter const written(who, setup, fds, target);
    auto const letter = launch::read_letter(written.place());
    CHECK(letter.who->name == "W1");
    CHECK(letter.who->number == "2:1");
    CHECK(letter.who->daemon);
    CHECK(letter.who->parent_pid == 7);
    CHECK(letter.who->parent_name == "Boss");
    CHECK(letter.setup.nice == 3);
    CHECK(letter.setup.env.at("A") == "b");
    CHECK(letter.setup.cwd == "/tmp");
    letter.target->run();
    CHECK(calls == 1);
    CHECK_THROWS_AS(launch::read_letter(written.place()), mp::Error);  // somebody has it
    CHECK(written.withdraw() == ::getpid());
    auto place = written.place();
    place.size = std::uint64_t{1} << 40;
    CHECK_THROWS_AS(launch::read_letter(place), mp::UnpicklingError);
  }
  CHECK(arena.used_blocks() == before);
}

TEST_CASE("a letter that is withdrawn, or whose writer is gone, is nobody's", "[letter]") {
  launch::Identity const who;
  launch::CallTarget<void (*)()> const target(std::in_place, &count);
  launch::ChildFds const fds({}, false);
  launch::LetterPlace place;
  {
    launch::WrittenLetter const written(who, {}, fds, target);
    place = written.place();
    CHECK_FALSE(written.withdraw());
    CHECK_THROWS_AS(launch::read_letter(place), mp::Error);
  }
  launch::WrittenLetter const other(who, {}, fds, target);  // in the same block
  CHECK(other.place().block == place.block);
  CHECK_THROWS_AS(launch::read_letter(place), mp::Error);
  CHECK_FALSE(other.withdraw());
}

}  // namespace letter_test
