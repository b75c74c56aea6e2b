// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shared_container.hpp>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/call.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/shared_map.hpp>
#include <multiprocessing/shared_string.hpp>
#include <multiprocessing/shared_vector.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/start_methods.hpp"

namespace shared_container_test {

namespace mp = multiprocessing;
using support::ByFork;
using support::ByForkServer;
using support::BySpawn;

namespace {

struct Point {
  int x;
  double y;
};
struct alignas(32) Wide {
  int x;
};
struct WithPointer {
  int* p;
};
static_assert(mp::SharedElement<int> && mp::SharedElement<Point> && mp::SharedElement<std::string>);
static_assert(mp::SharedElement<std::array<long, 7>> && mp::SharedElement<bool>);
static_assert(!mp::SharedElement<Wide> && !mp::SharedElement<WithPointer>);
static_assert(!mp::SharedElement<std::vector<int>> && !mp::SharedElement<int const>);

using Names = mp::SharedVector<std::string>;
using Ages = mp::SharedMap<std::string, int>;

}  // namespace

TEMPLATE_TEST_CASE("containers travel as arguments, and what one process does the other sees",
                   "[shared_container][fork]", ByFork, BySpawn, ByForkServer) {
  Names const names{"first"};
  Ages const ages{{"a", 1}};
  mp::SharedString const text("text");
  auto const status = TestType::run(
      [](Names const& its, Ages const& map, mp::SharedString const& string) {
        its.push_back(std::string(100, 'x'));
        for (int i = 0; i < 1000; ++i) map.set(std::to_string(i), i);
        string += " and more, so that it does not fit any more where it was";
        map.erase("a");
        return its.at(0) == "first" ? 0 : 1;
      },
      names, ages, text);
  CHECK(status.exitcode() == 0);
  CHECK(names.copy() == std::vector<std::string>{"first", std::string(100, 'x')});
  CHECK(ages.size() == 1000);
  CHECK(ages.at("999") == 999);
  CHECK(text.str() == "text and more, so that it does not fit any more where it was");
}

TEMPLATE_TEST_CASE("containers travel in messages, also when who made them has gone",
                   "[shared_container][fork]", ByFork, BySpawn, ByForkServer) {
  mp::Queue<Ages> const queue;
  auto const status = TestType::run(
      [](mp::Queue<Ages> const& to) {
        Ages const made{{"here", 7}};
        to.put(made);
      },
      queue);
  CHECK(status.exitcode() == 0);
  auto const arrived = queue.get();
  CHECK(arrived.at("here") == 7);
  arrived.set("more", 8);
  CHECK(arrived.size() == 2);
}

TEMPLATE_TEST_CASE("what a killed writer of another start method leaves is recovered",
                   "[shared_container][fork]", ByFork, BySpawn, ByForkServer) {
  Ages const ages{{"a", 1}, {"b", 2}};
  auto const status = TestType::run(
      [](Ages const& its) {
        its.with([](Ages const& map) {
          map.clear();
          map.set("c", 3);
          std::raise(SIGKILL);
        });
      },
      ages);
  CHECK(status.exitcode() == -SIGKILL);
  CHECK_THROWS_AS(ages.size(), mp::BrokenContainerError);
  CHECK(ages.recover());
  CHECK(ages.copy() == std::map<std::string, int>{{"a", 1}, {"b", 2}});
}

TEST_CASE("with() is one change, for others and for who is thrown out of it",
          "[shared_container]") {
  Ages const ages{{"a", 1}};
  CHECK(ages.with([](Ages const& its) {
    its.set("b", its.at("a") + 1);
    return its.size();
  }) == 2);
  CHECK_THROWS_AS(ages.with([](Ages const& its) {
    its.set("c", 3);
    its.clear();
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK(ages.copy() == std::map<std::string, int>{{"a", 1}, {"b", 2}});
  ages.with([](Ages const& its) {
    try {
      its.with([](Ages const& again) {
        again.clear();
        throw std::runtime_error("no");
      });
    } catch (std::runtime_error const&) {
    }
    its.set("c", 3);
  });
  CHECK(ages.size() == 3);
}

TEST_CASE("a handle may go while with() runs", "[shared_container]") {
  auto names = std::make_unique<Names>();
  names->with([&](Names const& its) {
    names.reset();
    its.push_back("still there");
    CHECK(its.size() == 1);
  });
}

TEST_CASE("two containers change each other", "[shared_container]") {
  Names const names;
  Ages const ages;
  names.with([&](Names const& its) {
    its.push_back("a");
    ages.with([&](Ages const& map) {
      map.set("a", 1);
      its.push_back("b");
      Names const fresh{"made", "in between"};
      map.set("b", static_cast<int>(fresh.size()));
    });
    its.push_back("c");
  });
  CHECK(names.copy() == std::vector<std::string>{"a", "b", "c"});
  CHECK(ages.copy() == std::map<std::string, int>{{"a", 1}, {"b", 2}});
}

TEST_CASE("handles are equal when they are of one container", "[shared_container]") {
  Names const one;
  Names const other;
  auto const copy = one;
  CHECK(one == copy);
  CHECK_FALSE(one == other);
  mp::Queue<Names> const queue;
  queue.put(one);
  CHECK(queue.get() == one);
}

TEST_CASE("max_bytes is what elements may take, no less", "[shared_container]") {
  constexpr std::size_t kBytes = std::size_t{1} << 20;
  mp::SharedVector<int> const vector({.max_bytes = kBytes});
  vector.resize(kBytes / sizeof(int));
  CHECK(vector.size() == kBytes / sizeof(int));
  auto const fill = [&] {
    for (;;) vector.push_back(1);
  };
  CHECK_THROWS_AS(fill(), std::bad_alloc);
  CHECK(vector.size() < 2 * kBytes / sizeof(int));
  CHECK_THROWS_AS(mp::SharedVector<int>({.max_bytes = SIZE_MAX}), std::bad_alloc);
  CHECK_THROWS_AS(mp::SharedVector<int>({.max_bytes = std::size_t{1} << 45}), std::bad_alloc);
  mp::SharedString const tiny({.max_bytes = 0}, "some text all the same");
  CHECK(tiny.size() == 22);
}

TEST_CASE("of more than a thousand containers each has room", "[shared_container]") {
  std::vector<mp::SharedVector<int>> many;
  for (int i = 0; i < 1500; ++i) many.emplace_back();
  for (auto const& each : many) each.push_back(1);
  CHECK(many.back().at(0) == 1);
  std::vector<char> const some(std::size_t{20} << 20);
  mp::SharedVector<char>(some).push_back('x');
}

TEST_CASE("a container that is gone leaves no block", "[shared_container]") {
  auto& arena = mp::shm::Heap::instance().arena();
  arena.bury_the_dead();  // of other tests
  auto const before = arena.used_blocks();
  {
    Ages const ages{{"a", 1}};
    CHECK(arena.used_blocks() == before + 3);
  }
  CHECK(arena.used_blocks() == before);
  {
    Ages const ages;
    support::RawChild child([&] { ages.with([](auto const&) { std::raise(SIGKILL); }); });
    child.wait();
  }
  arena.bury_the_dead();
  CHECK(arena.used_blocks() == before);
}

TEST_CASE("a broken container is told across processes", "[shared_container]") {
  Names const names;
  support::RawChild child([&] { names.with([](auto const&) { std::raise(SIGKILL); }); });
  child.wait();
  CHECK_THROWS_AS(mp::call([](Names const& its) { return its.size(); }, names),
                  mp::BrokenContainerError);
}

}  // namespace shared_container_test
