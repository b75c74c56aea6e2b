// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/lazy_results.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/task_table.hpp"
#include "../support/tasks.hpp"

namespace lazy_results_test {

namespace mp = multiprocessing;
namespace base = multiprocessing::base;
using namespace multiprocessing::work;
using namespace std::chrono_literals;

namespace {

// Workers inherit them: forked after they were made.
support::Pipe* started;
support::Pipe* go;

/// 0 waits until it is told.
int zero_waits(int x) {
  if (x == 0) {
    started->tell();
    go->hear();
  }
  return x;
}
int odd_fails(int x) { return x % 2 == 1 ? throw std::out_of_range(std::to_string(x)) : x; }

/// 0, 1, .. without an end; counts what has been taken.
class Counting : public std::ranges::view_base {
 public:
  explicit Counting(int& taken, int throws_at = -1) : taken_(&taken), throws_at_(throws_at) {}
  struct Iterator {
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    int operator*() const {
      if (*taken == throws_at) throw std::domain_error("the input ends badly");
      return (*taken)++;
    }
    Iterator& operator++() { return *this; }
    void operator++(int) {}
    bool operator==(std::default_sentinel_t) const { return false; }
    int* taken;
    int throws_at;
  };
  Iterator begin() const { return {taken_, throws_at_}; }
  std::default_sentinel_t end() const { return {}; }

 private:
  int* taken_;
  int throws_at_;
};

struct OwnCrew {
  support::Pipe pipes[2];
  std::shared_ptr<Crew> crew;

  explicit OwnCrew(int workers = 2) {
    started = &pipes[0];
    go = &pipes[1];
    crew = std::make_shared<Crew>(Crew::Options{.workers = workers});
  }
  ~OwnCrew() {
    if (crew != nullptr) crew->terminate("test", Crew::Ending::kill);
  }
};

template <class F, class View>
auto lazy(OwnCrew const& own, LazyOptions const& options, F f, View view) {
  return std::make_unique<LazyResults<F, View>>(own.crew, "Pool.imap", options, f, view);
}
auto const kNever = base::Deadline::never();

template <class Results>
std::vector<int> all_of(Results& results) {
  std::vector<int> all;
  while (auto const value = results.next(kNever)) all.push_back(*value);
  return all;
}

}  // namespace

TEST_CASE("results come in the order of their items, whatever the chunks and the window",
          "[lazy_results]") {
  OwnCrew own;
  for (std::uint64_t const chunk : {1U, 3U, 100U}) {
    for (std::uint64_t const window : {1U, 4U, 1000U}) {
      auto const results =
          lazy(own, {.chunk_size = chunk, .window = window}, &support::square, support::Made(20));
      CHECK(all_of(*results) == support::squares(20));
      CHECK_FALSE(results->next(kNever));  // and none after the last
    }
  }
}

TEST_CASE("of no items there are no results", "[lazy_results]") {
  OwnCrew own;
  CHECK_FALSE(lazy(own, {}, &support::square, support::Made(0))->next(kNever));
}

TEST_CASE("a function that returns nothing is told of, item by item", "[lazy_results]") {
  OwnCrew own;
  auto const results = lazy(
      own, {.chunk_size = 2}, [](int) {}, support::Made(3));
  for (int i = 0; i < 3; ++i) CHECK(results->next(kNever) == std::monostate());
  CHECK_FALSE(results->next(kNever));
}

TEST_CASE("items are taken as far ahead as the window says", "[lazy_results]") {
  OwnCrew own;
  int taken = 0;
  auto const results = lazy(own, {.chunk_size = 2, .window = 3}, &support::square, Counting(taken));
  CHECK(taken == 6);
  for (int i = 0; i < 20; ++i) {
    CHECK(results->next(kNever) == i * i);
    CHECK(taken == 8 + i / 2 * 2);
  }
}

TEST_CASE("an item that fails is told at its place, and reading goes on", "[lazy_results]") {
  OwnCrew own;
  auto const results = lazy(own, {.chunk_size = 1, .window = 3}, &odd_fails, support::Made(6));
  for (int i = 0; i < 6; i += 2) {
    CHECK(results->next(kNever) == i);
    CHECK(support::message_of<std::out_of_range>([&] { results->next(kNever); }) ==
          std::to_string(i + 1));
  }
  CHECK_FALSE(results->next(kNever));
}

TEST_CASE("of a chunk the first failure is told, once", "[lazy_results]") {
  OwnCrew own;
  auto const results = lazy(own, {.chunk_size = 4, .window = 1}, &odd_fails, support::Made(8));
  for (char const* const first : {"1", "5"}) {
    CHECK(support::message_of<std::out_of_range>([&] { results->next(kNever); }) == first);
  }
  CHECK_FALSE(results->next(kNever));
}

TEST_CASE("what the view throws is told behind the items before it", "[lazy_results]") {
  OwnCrew own;
  for (std::uint64_t const chunk : {1U, 2U, 10U}) {
    int taken = 0;
    auto const results =
        lazy(own, {.chunk_size = chunk, .window = 4}, &support::square, Counting(taken, 5));
    for (int i = 0; i < 5; ++i) CHECK(results->next(kNever) == i * i);
    CHECK_THROWS_AS(results->next(kNever), std::domain_error);
    CHECK_FALSE(results->next(kNever));  // nothing is after that
  }
}

TEST_CASE("a crew that is closed meanwhile costs what was not submitted, and no result",
          "[lazy_results]") {
  OwnCrew own;
  int taken = 0;
  auto const results = lazy(own, {.window = 3}, &support::square, Counting(taken));
  own.crew->close("test");
  for (int i = 0; i < 3; ++i) CHECK(results->next(kNever) == i * i);
  CHECK_THAT(support::message_of<std::invalid_argument>([&] { results->next(kNever); }),
             ContainsSubstring("Pool.imap: the pool is closed"));
  CHECK_FALSE(results->next(kNever));
}

TEST_CASE("a result that is not there in time is there for who asks again", "[lazy_results]") {
  OwnCrew own;
  auto const results = lazy(own, {.window = 2}, &zero_waits, support::Made(3));
  started->hear();
  CHECK_THAT(
      support::message_of<mp::TimeoutError>([&] { results->next(base::Deadline::after(1ms)); }),
      ContainsSubstring("Pool.imap: the next result is not there in time"));
  go->tell();
  CHECK(all_of(*results) == support::numbers(3));
}

TEST_CASE("the deadline of all results ends a wait that has none", "[lazy_results]") {
  OwnCrew own;
  auto const results = lazy(own, {.window = 2, .deadline = base::Deadline::after(1ms)}, &zero_waits,
                            support::Made(3));
  started->hear();
  CHECK_THROWS_AS(results->next(kNever), mp::TimeoutError);
  go->tell();
}

TEST_CASE("without order, what is done first comes first", "[lazy_results]") {
  OwnCrew own;
  auto const results =
      lazy(own, {.window = 2, .order = LazyOptions::Order::of_ends}, &zero_waits, support::Made(5));
  for (int i = 1; i < 5; ++i) CHECK(results->next(kNever) == i);
  CHECK_THROWS_AS(results->next(base::Deadline::after(1ms)), mp::TimeoutError);
  go->tell();
  CHECK(results->next(kNever) == 0);
  CHECK_FALSE(results->next(kNever));
}

TEST_CASE("without order, each result comes once", "[lazy_results]") {
  OwnCrew own;
  auto const results =
      lazy(own, {.chunk_size = 3, .window = 5, .order = LazyOptions::Order::of_ends},
           &support::square, support::Made(200));
  auto all = all_of(*results);
  std::sort(all.begin(), all.end());
  CHECK(all == support::squares(200));
}

TEST_CASE("a worker that dies costs its item, the others come", "[lazy_results]") {
  OwnCrew own;
  auto const dies = [](int x) { return x == 1 ? support::kill_self(x) : x; };
  auto const results = lazy(own, {.window = 2}, dies, support::Made(4));
  CHECK(results->next(kNever) == 0);
  CHECK_THAT(support::message_of<mp::WorkerDied>([&] { results->next(kNever); }),
             ContainsSubstring("from item 1 on"));
  CHECK(all_of(*results) == std::vector{2, 3});
}

TEST_CASE("who waits without order for a crew that breaks is told", "[lazy_results]") {
  OwnCrew own;
  auto const results =
      lazy(own, {.window = 2, .order = LazyOptions::Order::of_ends}, &zero_waits, support::Made(1));
  started->hear();
  own.crew->terminate("test", Crew::Ending::kill);
  CHECK_THROWS_AS(results->next(kNever), mp::CancelledError);
}

TEST_CASE("results that are dropped give up what no worker has begun, and leave no memory",
          "[lazy_results]") {
  support::Pipe ran;
  auto const before = support::used_blocks();
  OwnCrew own(1);
  int const to = ran.writer.get();
  std::string const large(1000, 'x');
  {
    auto const tells = [to](std::string const& text) {
      started->tell();
      go->hear();
      return static_cast<int>(::write(to, text.data(), 1));
    };
    auto const results =
        lazy(own, {.window = 5}, tells, support::Made(1000, [&](int) { return large; }));
    started->hear();
  }
  go->tell();
  own.crew->close("test");
  own.crew->join("test");
  own.crew.reset();
  CHECK(support::used_blocks() == before);
  CHECK(ran.drain() == "x");
}

}  // namespace lazy_results_test
