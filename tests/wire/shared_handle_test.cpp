// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/shared_handle.hpp>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <multiprocessing/array.hpp>
#include <multiprocessing/barrier.hpp>
#include <multiprocessing/condition.hpp>
#include <multiprocessing/event.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/pickle.hpp>
#include <multiprocessing/semaphore.hpp>
#include <multiprocessing/value.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/mailbox.hpp"

namespace shared_handle_test {

namespace mp = multiprocessing;
namespace shm = multiprocessing::shm;
namespace wire = multiprocessing::wire;
using namespace std::chrono_literals;

namespace {
/// Blocks that the living hold.
shm::Number used_blocks() {
  auto& arena = shm::Heap::instance().arena();
  arena.bury_the_dead();
  return arena.used_blocks();
}

template <class T>
bool arrives(T const& value) {
  return support::parcelled(value) == value;
}

/// One that can not be made without its parts.
struct Task {
  int number = 0;
  mp::Array<double> data;
  std::string name;
  mp::Lock lock;
  std::vector<mp::RawArray<int>> more;
  friend bool operator==(Task const&, Task const&) = default;
};
struct Tasks {
  Task first;
  std::pair<int, mp::Barrier> second;
  std::map<std::string, mp::AnyLock> locks;
  friend bool operator==(Tasks const&, Tasks const&) = default;
};
}  // namespace

TEST_CASE("everything that is shared can be sent", "[handle]") {
  STATIC_REQUIRE(
      (mp::Picklable<mp::Lock> && mp::Picklable<mp::RLock> && mp::Picklable<mp::AnyLock>));
  STATIC_REQUIRE((mp::Picklable<mp::Semaphore> && mp::Picklable<mp::BoundedSemaphore>));
  STATIC_REQUIRE((mp::Picklable<mp::Event> && mp::Picklable<mp::Condition>));
  STATIC_REQUIRE((mp::Picklable<mp::Barrier> && mp::Picklable<mp::Value<int>>));
  STATIC_REQUIRE((mp::Picklable<mp::RawValue<int>> && mp::Picklable<mp::Array<int>>));
  STATIC_REQUIRE((mp::Picklable<mp::RawArray<int>> && mp::Picklable<Tasks>));
  STATIC_REQUIRE(mp::Picklable<decltype(mp::bind([](mp::Lock const&, int) {}, mp::Lock()))>);
}

TEST_CASE("what arrives is the same object", "[handle]") {
  auto const before = used_blocks();
  {
    mp::Lock const lock;
    mp::RLock const rlock;
    CHECK((arrives(lock) && arrives(rlock)));
    CHECK((arrives<mp::AnyLock>(lock) && arrives<mp::AnyLock>(rlock)));
    CHECK(arrives(mp::Semaphore(3)));
    CHECK(arrives(mp::Semaphore(mp::SemaphoreOptions{.value = 3, .reclaim = true})));
    CHECK(arrives(mp::BoundedSemaphore(3)));
    CHECK(arrives(mp::Event()));
    CHECK((arrives(mp::Condition()) && arrives(mp::Condition(lock))));
    CHECK(arrives(mp::Barrier(3)));
    CHECK((arrives(mp::Value<int>(3)) && arrives(mp::RawValue<long>(3))));
    CHECK((arrives(mp::Array<double>{1, 2}) && arrives(mp::RawArray<char>(0))));

    CHECK(support::parcelled(mp::Condition(lock)).get_lock() == lock);
    mp::Value<int> const value(mp::ValueOptions{.lock = lock}, 5);
    CHECK(support::parcelled(value).get_lock() == lock);
    mp::Value<int> const own(5);
    CHECK(support::parcelled(own).get_lock() == own.get_lock());
    CHECK(support::parcelled(own.get_lock()) == own.get_lock());
    CHECK(support::parcelled(mp::Array<int>(mp::ArrayOptions{.lock = lock}, 5)).get_lock() == lock);
    CHECK(to_string(support::parcelled(mp::BoundedSemaphore(3))) == "<BoundedSemaphore(value=3)>");
    CHECK(to_string(support::parcelled<mp::Semaphore>(mp::BoundedSemaphore(3))) ==
          "<BoundedSemaphore(value=3)>");
    mp::Barrier const barrier({.timeout = 1ns}, 2);
    CHECK_THROWS_AS(support::parcelled(barrier).wait(), mp::BrokenBarrierError);
  }
  CHECK(used_blocks() == before);
}

TEST_CASE("handles arrive inside of values, also those that nobody can make first", "[handle]") {
  mp::Lock const lock;
  mp::RawArray<int> const array{1, 2};
  CHECK(arrives(std::vector{lock, mp::Lock(), lock}));
  CHECK(arrives(std::vector{array, array}));
  CHECK(arrives(std::deque{array, array}));
  CHECK(arrives(std::pair(array, 5)));
  CHECK(arrives(std::tuple(std::string("a"), array, std::tuple(lock), 5.0)));
  CHECK(arrives(std::map<std::string, mp::RawArray<int>>{{"a", array}, {"b", array}}));
  CHECK((arrives(std::optional(array)) && arrives(std::optional<mp::RawArray<int>>())));
  CHECK(arrives(std::array{lock, mp::Lock()}));
  using Either = std::variant<int, mp::RawArray<int>, mp::RawArray<char>>;
  CHECK((arrives(Either(5)) && arrives(Either(array)) && arrives(std::vector<Either>{5, array})));
  CHECK(arrives(Task{1, {1.0, 2.0}, "name", lock, {array, mp::RawArray<int>(7)}}));
  CHECK(arrives(Tasks{{1, {1.0, 2.0}, "name", lock, {}}, {2, mp::Barrier(2)}, {{"a", lock}}}));
  auto const shared = std::make_shared<std::vector<mp::Lock>>(2);
  auto const pair = support::parcelled(std::pair(shared, shared));
  CHECK((pair.first == pair.second && *pair.first == *shared));
  auto const unique = support::parcelled(std::make_unique<mp::Lock>(lock));
  CHECK(*unique == lock);
  auto const add =
      mp::bind([](mp::Value<int> const& sum, int n) { sum.update([n](int& x) { x += n; }); },
               mp::Value<int>(1));
  auto const added = support::parcelled(add);
  added(2);
}

TEST_CASE("objects come to a process that never had them, and stay when their maker has gone",
          "[handle]") {
  auto const before = used_blocks();
  {
    support::Mailbox const there;
    support::Mailbox const back;
    support::Pipe received;
    support::RawChild receiver([&] {
      auto const task = there.take<Task>();
      if (task.data[1] != 2.0 || task.name != "name" || task.more.at(1).size() != 7) return 1;
      if (task.lock.try_acquire()) return 2;
      received.tell();
      if (!task.lock.acquire(30s)) return 3;
      if (!task.lock.recovered()) return 4;  // its maker has died with it
      task.data[0] = 5.0;
      back.put(task);
      for (;;) ::pause();
    });
    support::RawChild maker([&] {
      Task const task{1, {1.0, 2.0}, "name", {}, {{1}, mp::RawArray<int>(7)}};
      task.lock.acquire();
      there.put(task);
      received.hear();
      ::_exit(0);  // with the lock
    });
    CHECK(maker.wait() == 0);
    auto const task = back.take<Task>();
    CHECK(task.data[0] == 5.0);
    CHECK(task.lock.locked());
    receiver.kill();
    CHECK(WTERMSIG(receiver.wait()) == SIGKILL);
    CHECK(task.lock.acquire(30s));
    CHECK(task.lock.recovered());
  }
  CHECK(used_blocks() == before);
}

TEST_CASE("all kinds of objects work between siblings that never had them", "[handle]") {
  support::Mailbox const mailbox;
  support::RawChild waiter([&] {
    auto const [event, condition, barrier, semaphore, value] = mailbox.take<
        std::tuple<mp::Event, mp::Condition, mp::Barrier, mp::Semaphore, mp::Value<int>>>();
    event.wait();
    {
      std::scoped_lock const guard(condition);
      semaphore.release();
      condition.wait([&value = value] { return value.value() == 1; });
    }
    barrier.wait();
    return value.value();
  });
  support::RawChild maker([&] {
    mp::Event const event;
    mp::Condition const condition;
    mp::Barrier const barrier(2);
    mp::Semaphore const semaphore({.value = 0, .reclaim = false});
    mp::Value<int> const value(0);
    mailbox.put(std::tuple(event, condition, barrier, semaphore, value));
    event.set();
    semaphore.acquire();
    {
      std::scoped_lock const guard(condition);
      value = 1;
      condition.notify();
    }
    barrier.wait();
  });
  CHECK(maker.wait() == 0);
  CHECK(WEXITSTATUS(waiter.wait()) == 1);
}

TEST_CASE("bytes alone carry no shared object, and the error names it", "[handle]") {
  auto const refusal = [](auto const& value) {
    return support::message_of<mp::PicklingError>([&] { static_cast<void>(mp::dumps(value)); });
  };
  std::string const where = " can only be sent through a Queue or a Pipe, or passed to a Process";
  CHECK(refusal(mp::Lock()) == "a Lock" + where);
  CHECK(refusal(mp::RLock()) == "an RLock" + where);
  CHECK(refusal(std::vector<mp::AnyLock>{mp::RLock()}) == "an RLock" + where);
  CHECK(refusal(mp::Event()) == "an Event" + where);
  CHECK(refusal(mp::Condition()) == "a Condition" + where);
  CHECK(refusal(mp::Barrier(1)) == "a Barrier" + where);
  CHECK(refusal(mp::Semaphore()) == "a Semaphore" + where);
  CHECK(refusal(mp::BoundedSemaphore()) == "a BoundedSemaphore" + where);
  CHECK(refusal(std::pair(1, mp::Value<int>())) == "a Value" + where);
  CHECK(refusal(mp::RawValue<int>()) == "a RawValue" + where);
  CHECK(refusal(mp::Array<int>(1)) == "an Array" + where);
  CHECK(refusal(mp::RawArray<int>(1)) == "a RawArray" + where);
  CHECK(refusal(mp::bind([](mp::Lock const&) {}, mp::Lock())) == "a Lock" + where);
}

TEST_CASE("a barrier with an action stays where it is", "[handle]") {
  mp::Barrier const barrier({.action = [] {}}, 2);
  CHECK(support::message_of<mp::PicklingError>([&] { support::parcelled(barrier); }) ==
        "a Barrier with an action can not be sent, because a std::function hides what it holds; "
        "pass it to a Process, or call the action where Barrier.wait returns 0");
}

TEST_CASE("what bytes say about an object is checked", "[handle]") {
  auto const lease = std::make_shared<shm::Lease const>(64);
  wire::Parcel const parcel({lease});
  auto const read = [&]<class T>(std::type_identity<T>, std::vector<std::uint32_t> const& words) {
    auto bytes = std::as_bytes(std::span(words));
    return support::message_of<mp::UnpicklingError>([&] { wire::decode<T>(bytes, parcel); });
  };
  constexpr std::type_identity<mp::RawValue<std::uint64_t>> value;
  CHECK(read(value, {0, 0}) == "nothing");
  CHECK(read(value, {0, 56}) == "nothing");
  for (std::uint32_t const offset : {4U, 57U, 60U, 64U, UINT32_MAX - 7, UINT32_MAX}) {
    CHECK(read(value, {0, offset}) ==
          "decoding meets a shared object that does not lie in its block");
  }
  CHECK(read(value, {1, 0}) == "decoding meets a shared object that did not come with the message");
  CHECK(read(value, {0}) == "decoding asks for 8 bytes where 4 are left");
  CHECK(read(std::type_identity<mp::Barrier>(), {0, 0}) ==
        "decoding meets a shared object that does not lie in its block");
  *reinterpret_cast<std::size_t*>(lease->data()) = 1'000'000;
  CHECK(read(std::type_identity<mp::RawArray<char>>(), {0, 0}) ==
        "decoding meets an array that is larger than its block");
  std::span<std::byte const> bytes(lease->data(), 8);
  CHECK(support::message_of<mp::UnpicklingError>([&] { wire::decode<mp::Lock>(bytes); }) ==
        "decoding meets a shared object, which bytes alone can not bring");

  mp::Bytes rlock;
  wire::Parcel locks;
  wire::encode(rlock, mp::RLock(), locks);
  bytes = rlock;
  CHECK(support::message_of<mp::UnpicklingError>([&] { wire::decode<mp::Lock>(bytes, locks); }) ==
        "decoding meets another kind of lock");
}

}  // namespace shared_handle_test
