// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/value.hpp>

#include <array>
#include <bitset>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/event.hpp>
#include <multiprocessing/process.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/mailbox.hpp"

namespace value_test {

namespace mp = multiprocessing;

namespace {

enum class Color : unsigned char { Red, Green };

struct Inner {
  int x;
  std::array<double, 3> y;
};
struct Outer {
  Inner inner;
  Color color;
  char text[10];
};
struct Large {
  long parts[32];
};

struct WithPointer {
  int x;
  int* p;
};
struct Nested {
  WithPointer inner;
};
struct WithReference {
  int& r;
};
struct WithArrayOfPointers {
  int n;
  char const* names[3];
};

static_assert(mp::SharedState<int> && mp::SharedState<double> && mp::SharedState<Color>);
static_assert(mp::SharedState<Outer> && mp::SharedState<std::array<Outer, 3>>);
static_assert(mp::SharedState<std::chrono::nanoseconds>);
static_assert(!mp::SharedState<int*> && !mp::SharedState<WithPointer> && !mp::SharedState<Nested>);
static_assert(!mp::SharedState<WithReference> && !mp::SharedState<WithArrayOfPointers>);
static_assert(!mp::SharedState<std::string> && !mp::SharedState<std::vector<int>>);
static_assert(!mp::SharedState<void (*)()> && !mp::SharedState<int&> &&
              !mp::SharedState<int const>);

template <class T>
void set_in_a_child(mp::Value<T> const& value, T const& to) {
  mp::Process process([](mp::Value<T> const& shared, T const& in) { shared = in; }, value, to);
  process.start();
  process.join();
  CHECK(process.exitcode() == 0);
}

}  // namespace

TEST_CASE("what a child assigns the parent sees, for all kinds of types", "[value]") {
  mp::Value<int> const number(7);
  CHECK(number.value() == 7);
  set_in_a_child(number, 42);
  CHECK(number.value() == 42);

  mp::Value<double> const real;
  CHECK(real.value() == 0.0);
  set_in_a_child(real, -6.125);
  CHECK(real.value() == -6.125);

  mp::Value<char> const letter('x');
  set_in_a_child(letter, 'y');
  CHECK(letter.value() == 'y');

  mp::Value<Color> const color;
  set_in_a_child(color, Color::Green);
  CHECK(color.value() == Color::Green);

  mp::Value<Outer> const plain({{1, {2, 3, 4}}, Color::Red, "text"});
  set_in_a_child(plain, {{2, {4, 6, 8}}, Color::Green, "other"});
  CHECK(plain.value().inner.y[2] == 8);
  CHECK(std::string(plain.value().text) == "other");

  mp::RawValue<Inner> const raw;
  CHECK(raw.value().x == 0);
  mp::Process process(
      [](mp::RawValue<Inner> const& inner) {
        inner = {5, {1, 2, 3}};
        inner->x += 1;
        (*inner).y[0] = 9;
      },
      raw);
  process.start();
  process.join();
  CHECK(raw.value().x == 6);
  CHECK(raw->y[0] == 9);
}

TEST_CASE("update and guards lose no increment, atomics neither", "[value][stress]") {
  mp::Value<long> const updated(0);
  mp::Value<long> const guarded(0);
  mp::Value<long> const atomic(0);
  mp::RawValue<long> const raw(0);
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 5'000);
  std::vector<mp::Process> processes;
  auto const count = [](long times, mp::Value<long> const& one, mp::Value<long> const& two,
                        mp::Value<long> const& three, mp::RawValue<long> const& four) {
    for (long n = 0; n < times; ++n) {
      one.update([](long& x) { ++x; });
      *two.lock() += 1;
      ++three.atomic();
      four.atomic().fetch_add(1);
    }
  };
  for (int i = 0; i < 4; ++i) {
    processes.emplace_back(count, rounds, updated, guarded, atomic, raw).start();
  }
  for (auto& process : processes) process.join();
  CHECK(updated.value() == 4 * rounds);
  CHECK(guarded.value() == 4 * rounds);
  CHECK(atomic.value() == 4 * rounds);
  CHECK(raw.value() == 4 * rounds);
}

TEST_CASE("update returns what the function does; one that throws changes nothing", "[value]") {
  mp::Value<int> const value(5);
  CHECK(value.update([](int& x) { return x++; }) == 5);
  CHECK(value.value() == 6);
  CHECK_THROWS_AS(value.update([](int& x) {
    x = 99;
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK(value.value() == 6);
  CHECK_FALSE(value.get_lock().locked());
}

TEST_CASE("a lock is its own, or one that is shared", "[value]") {
  mp::Value<int> const own(1);
  CHECK_THAT(to_string(own.get_lock()), ContainsSubstring("<RLock"));
  mp::Lock const lock;
  mp::RLock const rlock;
  mp::Value<int> const a({.lock = lock}, 1);
  mp::Value<int> const b({.lock = lock});
  mp::Value<double> const c({.lock = rlock}, 2.5);
  CHECK(a.get_lock() == lock);
  CHECK(b.get_lock() == lock);
  CHECK(c.get_lock() == rlock);
  CHECK_FALSE(own.get_lock() == lock);
  CHECK(b.value() == 0);
  CHECK(c.value() == 2.5);
  {
    auto const guard = a.lock();
    CHECK(lock.locked());
    CHECK_FALSE(lock.try_acquire());
    CHECK_THROWS_AS(b.value(), std::system_error);  // of this thread, it would wait for itself
  }
  CHECK_FALSE(lock.locked());
  {
    std::scoped_lock const guard(own.get_lock());
    own = 2;
    CHECK(own.value() == 2);
  }
}

TEST_CASE("who is killed holding the value leaves it to the others, who can tell", "[value]") {
  mp::Value<Large> const value;
  support::Pipe held;
  support::RawChild holder([&] {
    auto const guard = value.lock();
    guard->parts[0] = 1;
    held.tell();
    for (;;) ::pause();
  });
  held.hear();
  holder.kill();
  holder.wait();
  {
    auto const guard = value.lock();
    CHECK(guard.recovered());
    CHECK(guard->parts[0] == 1);
  }
  CHECK_FALSE(value.lock().recovered());
}

TEST_CASE("ten thousand values cost no descriptors", "[value]") {
  mp::Value<int> const first(0);
  auto const before = support::Holdings::now();
  std::vector<mp::Value<int>> values;
  for (int i = 0; i < 10'000; ++i) values.emplace_back(i);
  CHECK(support::Holdings::now().fds == before.fds);
  mp::Process process(
      [](std::vector<mp::Value<int>> const& all) {
        for (auto const& value : all) value.update([](int& x) { ++x; });
      },
      values);
  process.start();
  process.join();
  for (int i = 0; i < 10'000; ++i) REQUIRE(values[static_cast<std::size_t>(i)].value() == i + 1);
}

TEST_CASE("a copy is the same value, also after the first is gone", "[value]") {
  auto first = std::make_unique<mp::Value<int>>(1);
  mp::Value<int> const copy = *first;
  CHECK(copy == *first);
  CHECK(support::parcelled(copy) == copy);
  *first = 3;
  first.reset();
  CHECK(copy.value() == 3);
  mp::Value<int> other(9);
  CHECK_FALSE(other == copy);
  other = copy;
  CHECK(other == copy);
}

TEST_CASE("a child keeps what its parent has dropped", "[value]") {
  mp::Event const dropped;
  auto value = std::make_unique<mp::Value<int>>(1);
  mp::Value<int> const result(0);
  mp::Process process(
      [](mp::Value<int> const& kept, mp::Value<int> const& copy, mp::Event const& go) {
        go.wait();
        copy = kept.value();
      },
      *value, result, dropped);
  process.start();
  value.reset();
  std::vector<mp::Value<int>> others;
  for (int i = 0; i < 100; ++i) others.emplace_back(-1);
  dropped.set();
  process.join();
  CHECK(result.value() == 1);
}

TEST_CASE("a guard holds what it guards, whatever becomes of the handle", "[value]") {
  mp::Value<int> value(1);
  mp::Value<int> const other(2);
  mp::Value<int> const first = value;
  {
    auto const guard = value.lock();
    value = other;
    *guard = 5;
    CHECK(first.get_lock().locked());
  }
  CHECK_FALSE(first.get_lock().locked());
  CHECK(first.value() == 5);
  CHECK(value.value() == 2);
  auto const guard = mp::Value<int>(7).lock();
  CHECK(*guard == 7);
}

}  // namespace value_test
