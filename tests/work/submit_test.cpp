// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/submit.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/task_table.hpp"
#include "../support/tasks.hpp"

namespace submit_test {

namespace mp = multiprocessing;
namespace base = multiprocessing::base;
using namespace multiprocessing::work;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<Crew> make_crew(int workers = 2) {
  return std::make_shared<Crew>(Crew::Options{.workers = workers});
}
void end(std::shared_ptr<Crew> const& crew) {
  crew->close("test");
  crew->join("test");
}

/// What can be written, and read by nobody.
struct Unreadable {
  template <class Archive>
  void save(Archive& archive) const {
    archive(1);
  }
  template <class Archive>
  void load(Archive&) {
    throw std::runtime_error("unreadable");
  }
};
struct Unwritable {
  template <class Archive>
  void save(Archive&) const {
    throw std::runtime_error("unwritable");
  }
  template <class Archive>
  void load(Archive&) {}
};

template <class Result, class F, class Item>
std::vector<Result> map_all(std::shared_ptr<Crew> const& crew, F const& f, std::vector<Item> items,
                            std::uint64_t chunk_size) {
  TaskGroup group(crew, "Pool.map_async", items.size());
  submit_items(group, {}, f, std::move(items), chunk_size);
  group.wait_until(base::Deadline::never());
  return collect_items<std::vector<Result>>(group);
}

}  // namespace

TEST_CASE("a call that is submitted returns what it returns", "[submit]") {
  auto const crew = make_crew();
  auto const greeting = submit_call(crew, "test", {}, &support::greet, std::string("you"));
  auto const nothing = submit_call(
      crew, "test", {}, [](int) {}, 1);
  greeting->wait_until(base::Deadline::never());
  CHECK(collect_one<std::string>(*greeting) == "hello you");
  nothing->wait_until(base::Deadline::never());
  collect_one<void>(*nothing);
  end(crew);
}

TEST_CASE("one worker runs calls in the order of their submission", "[submit]") {
  support::Pipe order;
  auto const crew = make_crew(1);
  std::vector<std::shared_ptr<TaskGroup>> groups;
  int const to = order.writer.get();
  auto const tell = [to](char c) { return static_cast<int>(::write(to, &c, 1)); };
  for (char c = 'a'; c < 'k'; ++c) groups.push_back(submit_call(crew, "test", {}, tell, c));
  end(crew);
  CHECK(order.drain() == "abcdefghij");
}

TEST_CASE("items are cut into tasks, whose results come in the items' order", "[submit]") {
  auto const crew = make_crew();
  for (std::uint64_t const size : {1U, 2U, 3U, 10U, 11U}) {
    CHECK(map_all<int>(crew, &support::square, support::numbers(10), size) == support::squares(10));
  }
  CHECK(map_all<int>(crew, &support::square, std::vector<int>(), 1).empty());
  CHECK(map_all<bool>(
            crew, [](bool b) { return !b; }, std::vector{true, false, true}, 2) ==
        std::vector{false, true, false});
  std::vector<std::unique_ptr<int>> owners;
  for (int i = 0; i < 3; ++i) owners.push_back(std::make_unique<int>(i));
  CHECK(map_all<int>(
            crew, [](std::unique_ptr<int> const& p) { return *p; }, std::move(owners), 2) ==
        std::vector{0, 1, 2});
  end(crew);
}

TEST_CASE("a group of items has a task for each chunk", "[submit]") {
  auto const crew = make_crew(1);
  TaskGroup group(crew, "test", 10);
  submit_items(group, {}, &support::square, support::numbers(10), 4);
  CHECK(group.size() == 3);
  end(crew);
}

TEST_CASE("the failure that is told is that of the first item that failed", "[submit]") {
  auto const crew = make_crew();
  auto const f = [](int x) { return x % 4 == 3 ? throw std::out_of_range(std::to_string(x)) : x; };
  CHECK(support::message_of<std::out_of_range>(
            [&] { map_all<int>(crew, f, support::numbers(10), 2); }) == "3");
  TaskGroup group(crew, "test", 10);
  submit_items(
      group, {},
      [](int x) {
        if (x > 6) throw std::out_of_range("void");
      },
      support::numbers(10), 2);
  group.wait_until(base::Deadline::never());
  CHECK_THROWS_AS(collect_items<void>(group), std::out_of_range);
  end(crew);
}

TEST_CASE("what can not be written is told to who submits, and nothing runs", "[submit]") {
  auto const crew = make_crew();
  auto const before = support::used_blocks();
  TaskGroup group(crew, "test");
  using Code = CallCode<int (*)(Unwritable const&), Unwritable>;
  auto* const f = +[](Unwritable const&) { return 1; };
  CHECK(support::message_of<std::runtime_error>(
            [&] { submit<Code>(group, {}, f, Unwritable()); }) == "unwritable");
  CHECK(group.size() == 0);
  CHECK(support::used_blocks() == before);
  end(crew);
}

TEST_CASE("what can not be read fails its task", "[submit]") {
  auto const crew = make_crew();
  auto const group = submit_call(
      crew, "test", {}, [](Unreadable const&) { return 1; }, Unreadable());
  group->wait_until(base::Deadline::never());
  CHECK(support::message_of<std::runtime_error>([&] { collect_one<int>(*group); }) == "unreadable");
  end(crew);
}

TEST_CASE("a closed crew takes no tasks, and runs those it has", "[submit]") {
  auto const crew = make_crew(1);
  auto const group = submit_call(crew, "test", {}, &support::square, 4);
  crew->close("test");
  CHECK_THAT(support::message_of<std::invalid_argument>(
                 [&] { submit_call(crew, "Pool.apply", {}, &support::square, 4); }),
             ContainsSubstring("Pool.apply: the pool is closed"));
  crew->join("test");
  CHECK(collect_one<int>(*group) == 16);
}

TEST_CASE("retries and timeouts that make no sense are refused", "[submit]") {
  struct Said {
    int retries = 0;
    std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
    std::chrono::nanoseconds grace{0};
    std::optional<multiprocessing::RetryOn> retry_on = std::nullopt;
    std::chrono::nanoseconds backoff{0};
  };
  auto const read = [](Said const& said) { return task_terms("Pool.apply", said); };
  auto const refuses = [&](Said const& said) {
    return support::message_of<std::invalid_argument>([&] { read(said); });
  };
  auto const refused = [&](int retries, std::optional<std::chrono::nanoseconds> timeout) {
    return refuses({.retries = retries, .timeout = timeout});
  };
  CHECK(refused(-1, {}) == "Pool.apply: retries must be at least 0, not -1");
  CHECK_THAT(refused(0, 0ns), ContainsSubstring("timeout, in milliseconds, must be at least 1"));
  CHECK_THAT(refused(0, -5s), ContainsSubstring("not -5000"));
  CHECK(refuses({.grace = 1s}) == "Pool.apply: a grace needs a timeout");
  CHECK_THAT(refuses({.timeout = 1s, .grace = -1s}), ContainsSubstring("grace"));
  CHECK_THAT(refuses({.retries = 1, .backoff = -1s}),
             ContainsSubstring("backoff, in milliseconds, must be at"));
  CHECK(refuses({.backoff = 1s}) == "Pool.apply: a backoff needs retries");
  CHECK(refuses({.retry_on = multiprocessing::RetryOn::crash}) ==
        "Pool.apply: retry_on needs retries");
  CHECK(read({.retries = 3}).retries == 3);
  CHECK(refused(1'000'000, {}) == "Pool.apply: retries must be at most 10000, not 1000000");
  CHECK(read({}).timeout_ms == 0);
  CHECK(read({.timeout = 1ns}).timeout_ms == 1);
  CHECK(read({.timeout = 1500us, .grace = 3s}).timeout_ms == 2);
  CHECK(read({.timeout = 1500us, .grace = 3s}).grace_ms == 3000);
  CHECK(read({.timeout = std::chrono::hours(24 * 365)}).timeout_ms == 0);  // for ever
}

TEST_CASE("what can be a task, and what can not", "[submit]") {
  using F = int (*)(int);
  static_assert(Task<F, int>);
  static_assert(!Task<F, int, int>);
  static_assert(!Task<F, int*>);
  static_assert(ItemTask<F, int>);
  static_assert(ItemTask<F, short>);
  static_assert(!ItemTask<F, std::string>);
  SUCCEED();
}

}  // namespace submit_test
