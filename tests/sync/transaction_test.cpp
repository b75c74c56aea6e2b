// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/transaction.hpp>

#include <csignal>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace transaction_test {

namespace mp = multiprocessing;
using mp::sync::Transactional;

namespace {
constexpr std::uint64_t kSize = std::uint64_t{1} << 20;
constexpr mp::sync::Verb kVerb{"Thing", "change"};

struct Thing {
  mp::shm::Lease const memory{Transactional::memory_for(kSize)};
  mp::shm::Lease const log{Transactional::log_for(kSize)};
  mp::shm::Shared<Transactional> const transactional =
      mp::shm::Shared<Transactional>::make(0, memory, log, kSize);
  mp::shm::Shared<int> const number = mp::shm::Shared<int>::make(0, 1);

  void set(Transactional::Change& change, int value) const {
    change.save(&*number, sizeof(int));
    *number = value;
  }
  /// `then` is called in the middle.
  template <class Then>
  void change(int value, Then const& then) const {
    Transactional::Change change(*transactional, kVerb);
    set(change, value);
    then();
    change.commit();
  }
  void change(int value) const {
    change(value, [] {});
  }
  int read() const {
    Transactional::Reading const reading(*transactional, kVerb);
    return *number;
  }
};
}  // namespace

TEST_CASE("a change happens when it is committed, else it does not", "[transaction]") {
  Thing const thing;
  thing.change(2);
  CHECK(thing.read() == 2);
  {
    Transactional::Change change(*thing.transactional, kVerb);
    CHECK_FALSE(change.is_part());
    thing.set(change, 3);
    CHECK(*thing.number == 3);
  }
  CHECK(thing.read() == 2);
  CHECK_THROWS_AS(thing.change(4, [] { throw std::runtime_error("no"); }), std::runtime_error);
  CHECK(thing.read() == 2);
}

TEST_CASE("a change in a change is a part of it", "[transaction]") {
  Thing const thing;
  thing.change(2, [&] {
    thing.change(3);
    CHECK(thing.read() == 3);
    CHECK_THROWS_AS(thing.change(4, [] { throw std::runtime_error("no"); }), std::runtime_error);
    CHECK(thing.read() == 3);
  });
  CHECK(thing.read() == 3);
  CHECK_THROWS_AS(thing.change(5,
                               [&] {
                                 thing.change(6);
                                 throw std::runtime_error("no");
                               }),
                  std::runtime_error);
  CHECK(thing.read() == 3);
}

TEST_CASE("a change of another thing is not a part of it", "[transaction]") {
  Thing const one;
  Thing const other;
  CHECK_THROWS_AS(one.change(2,
                             [&] {
                               other.change(2);
                               throw std::runtime_error("no");
                             }),
                  std::runtime_error);
  CHECK(one.read() == 1);
  CHECK(other.read() == 2);
}

TEST_CASE("who dies in a change breaks it until it is recovered", "[transaction]") {
  Thing const thing;
  support::RawChild child([&] { thing.change(2, [] { std::raise(SIGKILL); }); });
  auto const pid = child.pid();
  CHECK(child.exitcode() == -SIGKILL);
  CHECK(support::message_of<mp::BrokenContainerError>([&] { thing.read(); }) ==
        "Thing.change: process " + std::to_string(pid) +
            " died in the middle of a change; recover() undoes that");
  CHECK_THROWS_AS(thing.change(3), mp::BrokenContainerError);
  CHECK_THROWS_AS(thing.read(), mp::BrokenContainerError);  // and nobody holds the lock
  CHECK(thing.transactional->recover());
  CHECK_FALSE(thing.transactional->recover());
  CHECK(thing.read() == 1);
  thing.change(3);
  CHECK(thing.read() == 3);
}

TEST_CASE("who dies in a part of a change breaks all of it", "[transaction]") {
  Thing const thing;
  support::RawChild child([&] {
    thing.change(2, [&] {
      thing.change(3);
      thing.change(4, [] { std::raise(SIGKILL); });
    });
  });
  CHECK(child.exitcode() == -SIGKILL);
  CHECK_THROWS_AS(thing.read(), mp::BrokenContainerError);
  CHECK(thing.transactional->recover());
  CHECK(thing.read() == 1);
}

TEST_CASE("who dies with the lock but in no change breaks nothing", "[transaction]") {
  Thing const thing;
  support::RawChild child([&] {
    Transactional::Reading const reading(*thing.transactional, kVerb);
    Transactional::Reading const again(*thing.transactional, kVerb);
    std::raise(SIGKILL);
  });
  CHECK(child.exitcode() == -SIGKILL);
  CHECK(thing.read() == 1);
  thing.change(2);
  CHECK(thing.read() == 2);
}

TEST_CASE("a thread that ends in a change breaks it, too", "[transaction]") {
  Thing const thing;
  support::RawChild child([&] {
    std::thread([&] {
      // As pthread_exit() in a function that unwinds nothing.
      auto* const room = ::operator new(sizeof(Transactional::Change));
      auto* const change = new (room) Transactional::Change(*thing.transactional, kVerb);
      thing.set(*change, 2);
    }).join();
    try {
      thing.read();
    } catch (mp::BrokenContainerError const&) {
      return thing.transactional->recover() && thing.read() == 1 ? 7 : 1;
    }
    return 2;
  });
  CHECK(child.exitcode() == 7);
}

TEST_CASE("a child that is forked in a change does not end it", "[transaction]") {
  Thing const thing;
  thing.change(2, [&] {
    support::RawChild child([&] {
      try {
        Transactional::Change change(*thing.transactional, kVerb);  // waits for the parent
        return *thing.number == 3 ? 0 : 1;
      } catch (mp::BrokenContainerError const&) {
        return 2;
      }
    });
    support::wait_until_asleep(child.pid());
    thing.change(3);
    child.kill();
    child.wait();
  });
  CHECK(thing.read() == 3);
  support::RawChild child([&] {
    // The child unwinds what its parent has begun.
    Transactional::Change change(*thing.transactional, kVerb);
    thing.set(change, 4);
    support::RawChild grandchild([&]() -> int {
      try {
        throw std::runtime_error("out of it");
      } catch (std::runtime_error const&) {
      }
      change.~Change();
      return 0;
    });
    if (grandchild.exitcode() != 0 || *thing.number != 4) return 1;
    change.commit();
    return 0;
  });
  CHECK(child.exitcode() == 0);
  CHECK(thing.read() == 4);
}

TEST_CASE("memory comes and goes with the change", "[transaction]") {
  Thing const thing;
  void* kept = nullptr;
  {
    Transactional::Change change(*thing.transactional, kVerb);
    kept = mp::shm::CurrentChange::of_this_thread().take(100);
    change.commit();
  }
  {
    Transactional::Change change(*thing.transactional, kVerb);
    change.make_room(1);
    mp::shm::CurrentChange::of_this_thread().give_back(kept, 100);
  }  // undone
  {
    Transactional::Change change(*thing.transactional, kVerb);
    CHECK(mp::shm::CurrentChange::of_this_thread().take(100) != kept);
    change.make_room(1);
    mp::shm::CurrentChange::of_this_thread().give_back(kept, 100);
    change.commit();
  }
  {
    Transactional::Change change(*thing.transactional, kVerb);
    CHECK(mp::shm::CurrentChange::of_this_thread().take(100) == kept);
    change.commit();
  }
}

}  // namespace transaction_test
