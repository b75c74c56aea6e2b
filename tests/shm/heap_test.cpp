// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/heap.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <multiprocessing/process.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace heap_test {

using multiprocessing::shm::Adopted;
using multiprocessing::shm::Arena;
using multiprocessing::shm::Heap;
using multiprocessing::shm::InUse;
using multiprocessing::shm::Lease;
using multiprocessing::shm::Number;
using multiprocessing::shm::Shared;
namespace mp = multiprocessing;
namespace os = multiprocessing::os;

namespace {
struct Counter {
  explicit Counter(int initial = 0) : value(initial) {}
  int value;
};
struct Pair {
  Counter first;
  Counter second;
};

Arena& arena() { return Heap::instance().arena(); }

/// Blocks that the living hold.
Number used_blocks() {
  arena().bury_the_dead();
  return arena().used_blocks();
}
}  // namespace

TEST_CASE("copies and parts are the same object and keep it", "[heap]") {
  auto const before = used_blocks();
  {
    auto copy = Shared<Pair>::make(0);
    auto const pair = std::optional(Shared<Pair>::make(0));
    CHECK((copy != *pair && copy.id() != pair->id()));
    copy = *pair;
    CHECK(used_blocks() == before + 1);
    CHECK(copy == *pair);
    CHECK((copy.id() == pair->id() && copy.id() != 0));
    auto const part = std::optional(Shared<Pair>::make(0).part(&Pair::second));
    CHECK(used_blocks() == before + 2);
    CHECK(copy.part(&Pair::second) == pair->part(&Pair::second));
    CHECK_FALSE(copy.part(&Pair::first) == pair->part(&Pair::second));
    CHECK(copy.part(&Pair::second).id() == copy.id());
    copy.part(&Pair::second)->value = 5;
    CHECK((*pair)->second.value == 5);
  }
  CHECK(used_blocks() == before);
}

TEST_CASE("behind an object are as many zero bytes as it was made with", "[heap]") {
  for (int round = 0; round < 3; ++round) {
    auto const value = Shared<Counter>::make(1000, 7);
    CHECK(value->value == 7);
    auto* const extra = reinterpret_cast<char*>(&*value + 1);
    CHECK(std::count(extra, extra + 1000, '\0') == 1000);
    std::fill_n(extra, 1000, 'x');
  }
}

TEST_CASE("an object that could not be made takes no memory", "[heap]") {
  struct Refuses {
    Refuses() { throw std::runtime_error("no"); }
  };
  auto const before = used_blocks();
  CHECK_THROWS_AS(Shared<Refuses>::make(0), std::runtime_error);
  CHECK_THROWS_AS(Shared<Counter>::make(std::uint64_t{1} << 50), std::bad_alloc);
  CHECK(used_blocks() == before);
}

TEST_CASE("children of all kinds share what was made before them", "[heap]") {
  auto const value = Shared<Counter>::make(0);
  auto const add_one = [=, id = value.id()] {
    if (value.id() == id) ++value->value;
  };
  auto const fork_one = [&] { support::RawChild(add_one).wait(); };
  fork_one();
  std::thread(fork_one).join();
  mp::Process process(add_one);
  process.start();
  process.join();
  support::RawChild([&] { fork_one(); }).wait();
  CHECK(value->value == 4);
}

TEST_CASE("what a child inherited lives until its death is noticed", "[heap]") {
  auto const before = used_blocks();
  auto value = std::optional(Shared<Counter>::make(0, 7));
  auto* const object = &**value;
  support::Pipe born;
  support::RawChild child([&] {
    born.tell();
    for (;;) ::pause();
  });
  born.hear();
  value.reset();
  CHECK(used_blocks() == before + 1);
  CHECK(object->value == 7);
  child.kill();
  child.wait();
  CHECK(arena().used_blocks() == before + 1);
  SECTION("by a burial") { arena().bury_the_dead(); }
  SECTION("by the next fork") {
    support::RawChild([] {}).wait();
  }
  CHECK(arena().used_blocks() == before);
}

TEST_CASE("a grandchild inherits and outlives both before it", "[heap]") {
  auto const before = used_blocks();
  auto value = std::optional(Shared<Counter>::make(0, 7));
  support::Pipe go;
  support::Pipe result;
  support::RawChild child([&] {
    if (::fork() != 0) return;
    go.hear();
    result.tell((*value)->value == 7 ? 'y' : 'n');
    go.hear();
  });
  child.wait();
  value.reset();
  CHECK(used_blocks() == before + 1);
  go.tell();
  CHECK(result.hear() == 'y');
  CHECK(used_blocks() == before + 1);
  go.tell();
  while (used_blocks() != before) std::this_thread::yield();  // until it has ended
}

TEST_CASE("a block is held until the last of its leases has gone", "[heap]") {
  auto const before = used_blocks();
  auto first = std::make_unique<Lease>(1000);
  Number const block = first->block();
  auto second = std::make_unique<Lease>(InUse{block});
  CHECK((second->data() == first->data() && second->id() == first->id()));
  CHECK(first->size() >= 1000);
  first.reset();
  CHECK(arena().holds(Heap::instance().me(), block));
  SECTION("in a child that was forked meanwhile, too") {
    support::RawChild child([&] {
      auto third = std::make_unique<Lease>(InUse{block});
      second.reset();
      if (!arena().holds(Heap::instance().me(), block)) return 1;
      third.reset();
      return arena().holds(Heap::instance().me(), block) ? 2 : 0;
    });
    CHECK(child.wait() == 0);
    CHECK(arena().holds(Heap::instance().me(), block));
  }
  SECTION("also when it belongs to another") {
    Lease const owner(100);
    arena().give(block, owner.id());
    second.reset();
    CHECK(used_blocks() == before + 2);
    second = std::make_unique<Lease>(Adopted{block});
    CHECK(arena().owner_of(block) == 0);
  }
  second.reset();
  CHECK(used_blocks() == before);
}

TEST_CASE("a sibling takes what was made after the fork", "[heap]") {
  auto const before = used_blocks();
  auto const box = Shared<Number>::make(0, 0U);  // where the maker puts what it made
  support::Pipe made;
  support::RawChild const maker([&] {
    auto const value = Shared<Counter>::make(0, 7);
    *box = value.lease()->block();
    arena().give(*box, box.id());
    made.tell();
  });
  made.hear();
  auto const value = Shared<Counter>::at(std::make_shared<Lease const>(Adopted{*box}), 0);
  CHECK(value->value == 7);
  while (used_blocks() != before + 2) std::this_thread::yield();  // until the maker has ended
  CHECK(value->value == 7);
}

namespace {
/// Counts how often it was asked, and says no at first.
struct Asked {
  explicit Asked(int refusals) : times(-refusals) {}
  bool let_go() { return ++times > 0; }
  int times;
};
struct AskedPair {
  AskedPair() : first(0), second(0) {}
  bool let_go() {
    second.let_go();
    return first.let_go();
  }
  Asked first;
  Asked second;
};
}  // namespace

TEST_CASE("an object is asked when the last lease of it goes and not before", "[heap]") {
  auto const before = used_blocks();
  SECTION("whoever has the last one") {
    auto value = std::make_unique<Shared<Asked>>(Shared<Asked>::make(0, 0));
    auto* const asked = &**value;
    auto other = std::make_unique<Lease>(InUse{value->lease()->block()});
    value.reset();
    CHECK(asked->times == 0);
    other.reset();
    CHECK(asked->times == 1);  // the memory is free, but still there
  }
  SECTION("again where it said no") {
    auto value = std::make_unique<Shared<Asked>>(Shared<Asked>::make(0, 1));
    auto* const asked = &**value;
    Number const block = value->lease()->block();
    value.reset();
    CHECK(asked->times == 0);
    CHECK(used_blocks() == before + 1);
    Lease(InUse{block});
    CHECK(asked->times == 1);
  }
  SECTION("where it lies, or what it lies in") {
    auto pair = std::make_unique<Shared<AskedPair>>(Shared<AskedPair>::make(0));
    auto* const asked = &**pair;
    Number const block = pair->lease()->block();
    auto part = std::make_unique<Shared<Asked>>(pair->part(&AskedPair::second));
    CHECK(part->offset() == sizeof(Asked));
    CHECK(*part == Shared<Asked>::at(std::make_shared<Lease const>(InUse{block}), part->offset()));
    pair.reset();
    CHECK(asked->second.times == 0);
    part.reset();
    CHECK((asked->first.times == 1 && asked->second.times == 1));
  }
  CHECK(used_blocks() == before);
}

TEST_CASE("what a child drops stays with its parent", "[heap]") {
  auto const before = used_blocks();
  auto value = std::optional(Shared<Counter>::make(0, 7));
  support::RawChild([&] { value.reset(); }).wait();
  CHECK(used_blocks() == before + 1);
  CHECK((*value)->value == 7);
  value.reset();
  CHECK(arena().used_blocks() == before);
}

TEST_CASE("children one after another leave nothing behind", "[heap]") {
  auto const value = Shared<Counter>::make(0);
  auto const make_another = [=] {
    auto const own = Shared<Counter>::make(1000, 1);
    value->value += own->value;
  };
  auto const blocks = used_blocks();
  auto const participants = arena().participants();
  int const count = support::kSanitized ? 30 : 300;
  for (int i = 0; i < count; ++i) {
    if (i % 2 == 0) {
      mp::Process process(make_another);
      process.start();
      process.join();
    } else {
      support::RawChild(make_another).wait();
    }
  }
  CHECK(value->value == count);
  CHECK(used_blocks() == blocks);
  CHECK(arena().participants() <= participants + 1);
}

TEST_CASE("a fork that fails leaves all as it was", "[heap]") {
  constexpr int kNotHere = 77;
  auto const value = Shared<Counter>::make(0, 7);
  auto const blocks = used_blocks();
  support::RawChild child([&] {
    rlimit limit;
    ::getrlimit(RLIMIT_NPROC, &limit);
    if (::getuid() == 0 && ::setuid(65534) != 0) return kNotHere;  // root has no limit
    rlimit const none{0, limit.rlim_max};
    auto const participants = arena().participants();
    ::setrlimit(RLIMIT_NPROC, &none);
    for (int i = 0; i < 10; ++i) {
      auto const error = support::message_of<std::system_error>([] { os::fork_process(); });
      if (error == "nothing") return kNotHere;
    }
    ::setrlimit(RLIMIT_NPROC, &limit);
    support::RawChild grandchild([&] { return value->value == 7 ? 0 : 1; });
    if (grandchild.wait() != 0 || used_blocks() != blocks) return 1;
    return arena().participants() <= participants + 1 ? 0 : 2;
  });
  int const code = WEXITSTATUS(child.wait());
  if (code == kNotHere) WARN("no limit on processes can be had here");
  CHECK((code == 0 || code == kNotHere));
}

}  // namespace heap_test
