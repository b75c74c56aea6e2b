// SPDX-License-Identifier: BSL-1.0
// SIGKILL at each moment, see support/scenes.hpp, of every change of a shared container: it has
// happened, or the container is broken, and recover() makes of it what it was before. And storms:
// killed writers, and a model that says what must be there.
#include <algorithm>
#include <array>
#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/shared_map.hpp>
#include <multiprocessing/shared_string.hpp>
#include <multiprocessing/shared_vector.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/scenes.hpp"

namespace kill_in_shared_container_test {

namespace mp = multiprocessing;

namespace {

using support::Scene;

std::string long_text(int number) {
  return std::to_string(number) + std::string(40, static_cast<char>('a' + number % 26));
}
template <class T>
T sample(int number) {
  if constexpr (std::is_same_v<T, std::string>) {
    return number % 3 == 0 ? std::to_string(number) : long_text(number);
  } else {
    return static_cast<T>(number);
  }
}

template <class T>
std::vector<T> content(mp::SharedVector<T> const& vector) {
  return vector.copy();
}
template <class Key, class Value>
std::map<Key, Value> content(mp::SharedMap<Key, Value> const& map) {
  return map.copy();
}
std::string content(mp::SharedString const& text) { return text.str(); }

// What a container can do after a recovery, beside a model: its memory has to be whole, too.

template <class T>
void go_on(mp::SharedVector<T> const& vector) {
  auto model = vector.copy();
  for (int i = 0; i < 20; ++i) {
    auto const place = model.empty() ? 0 : static_cast<std::size_t>(i * 7) % model.size();
    vector.insert(place, sample<T>(i));
    model.insert(model.begin() + static_cast<std::ptrdiff_t>(place), sample<T>(i));
    if (i % 3 != 0) continue;
    vector.erase(place / 2);
    model.erase(model.begin() + static_cast<std::ptrdiff_t>(place / 2));
  }
  REQUIRE(vector.copy() == model);
}
template <class Key, class Value>
void go_on(mp::SharedMap<Key, Value> const& map) {
  auto model = map.copy();
  for (int i = 0; i < 20; ++i) {
    map.set(sample<Key>(i * 5), sample<Value>(i));
    model[sample<Key>(i * 5)] = sample<Value>(i);
    if (i % 3 != 0) continue;
    REQUIRE(map.erase(sample<Key>(i * 2)) == (model.erase(sample<Key>(i * 2)) == 1));
  }
  REQUIRE(map.copy() == model);
}
void go_on(mp::SharedString const& text) {
  auto model = text.str();
  for (int i = 0; i < 20; ++i) {
    text.insert(model.size() / 2, long_text(i));
    model.insert(model.size() / 2, long_text(i));
    text.erase(static_cast<std::size_t>(i), 30);
    model.erase(static_cast<std::size_t>(i), 30);
  }
  REQUIRE(text.str() == model);
}

/// `fill(container)` by this process, `change(container)` by the victim.
template <class Container>
struct Changed : Scene {
  using Action = std::function<void(Container const&)>;
  using Content = decltype(content(std::declval<Container const&>()));

  Changed(Action const& fill, Action change) : change_(std::move(change)) {
    fill(container);
    before = content(container);
    Container const other;
    fill(other);
    change_(other);
    after = content(other);
  }
  void victim() { change_(container); }
  void check() {
    Content found;
    try {
      found = content(container);
      REQUIRE_FALSE(container.recover());
      bool const is_whole = found == before || found == after;
      REQUIRE(is_whole);
    } catch (mp::BrokenContainerError const&) {
      REQUIRE_THROWS_AS(container.clear(), mp::BrokenContainerError);
      REQUIRE(container.recover());
      REQUIRE_FALSE(container.recover());
      found = content(container);
      REQUIRE(found == before);
    }
    go_on(container);
  }

  Container container;
  Content before;
  Content after;

 private:
  Action change_;
};

template <class Container>
void kill_in_change(typename Changed<Container>::Action const& fill,
                    typename Changed<Container>::Action const& change, long usual_stride = 5) {
  auto const moments = support::kill_at_every_step(
      support::stride(usual_stride), [&] { return Changed<Container>(fill, change); });
  CHECK(moments > 1);
}

template <class T>
void fill_vector(mp::SharedVector<T> const& vector, int size) {
  for (int i = 0; i < size; ++i) vector.push_back(sample<T>(i));
}
template <class T>
auto filled_with(int size) {
  return [size](mp::SharedVector<T> const& vector) { fill_vector(vector, size); };
}

}  // namespace

TEMPLATE_TEST_CASE("a shared vector gets and loses its last element: killed at every step",
                   "[faults]", int, std::string) {
  using Vector = mp::SharedVector<TestType>;
  for (int const size : {0, 4, 5, 8}) {  // with room for more, and without
    kill_in_change<Vector>(filled_with<TestType>(size),
                           [](Vector const& vector) { vector.push_back(sample<TestType>(77)); });
  }
  kill_in_change<Vector>(filled_with<TestType>(5), [](Vector const& vector) { vector.pop_back(); });
}

TEMPLATE_TEST_CASE("a shared vector changes in the middle: killed at every step", "[faults]", int,
                   std::string) {
  using Vector = mp::SharedVector<TestType>;
  for (int const size : {4, 5}) {
    kill_in_change<Vector>(filled_with<TestType>(size),
                           [](Vector const& vector) { vector.insert(1, sample<TestType>(77)); });
  }
  kill_in_change<Vector>(filled_with<TestType>(5), [](Vector const& vector) { vector.erase(1); });
  kill_in_change<Vector>(filled_with<TestType>(5),
                         [](Vector const& vector) { vector.erase(1, 4); });
  kill_in_change<Vector>(filled_with<TestType>(5),
                         [](Vector const& vector) { vector.set(1, sample<TestType>(77)); });
}

TEMPLATE_TEST_CASE("a shared vector becomes another one: killed at every step", "[faults]", int,
                   std::string) {
  using Vector = mp::SharedVector<TestType>;
  constexpr long kStride = std::is_same_v<TestType, int> ? 5 : 23;  // texts take many steps
  kill_in_change<Vector>(
      filled_with<TestType>(5),
      [](Vector const& vector) {
        vector.assign({sample<TestType>(70), sample<TestType>(71)});
      },
      kStride);
  kill_in_change<Vector>(
      filled_with<TestType>(5), [](Vector const& vector) { vector.clear(); }, kStride);
  kill_in_change<Vector>(
      filled_with<TestType>(5), [](Vector const& vector) { vector.resize(2); }, kStride);
  kill_in_change<Vector>(
      filled_with<TestType>(2),
      [](Vector const& vector) { vector.resize(6, sample<TestType>(77)); }, kStride);
  kill_in_change<Vector>(
      filled_with<TestType>(2),
      [](Vector const& vector) {
        vector.extend(std::array{sample<TestType>(70), sample<TestType>(71), sample<TestType>(72)});
      },
      kStride);
  kill_in_change<Vector>(
      filled_with<TestType>(6),
      [](Vector const& vector) {
        vector.with([](Vector const& its) {
          its.push_back(its.pop_back());
          its.clear();
          its.push_back(sample<TestType>(70));
          its.insert(0, sample<TestType>(71));
        });
      },
      std::is_same_v<TestType, int> ? 29 : 101);
}

namespace {

template <class Key, class Value>
auto filled_with(std::vector<int> const& keys) {
  return [keys](mp::SharedMap<Key, Value> const& map) {
    for (int const key : keys) map.set(sample<Key>(key), sample<Value>(key));
  };
}

template <class Key, class Value>
void kill_in_maps(std::vector<std::vector<int>> const& shapes) {
  using Map = mp::SharedMap<Key, Value>;
  constexpr long kStride = 23;  // there are many scenes
  for (auto const& shape : shapes) {
    kill_in_change<Map>(
        filled_with<Key, Value>(shape),
        [](Map const& map) { map.set(sample<Key>(25), sample<Value>(1)); }, kStride);
    if (shape.empty()) continue;
    kill_in_change<Map>(
        filled_with<Key, Value>(shape),
        [&](Map const& map) { map.erase(sample<Key>(shape.front())); }, kStride);
  }
  auto const& large = shapes.back();
  kill_in_change<Map>(
      filled_with<Key, Value>(large),
      [](Map const& map) { map.set(sample<Key>(30), sample<Value>(2)); }, kStride);
  kill_in_change<Map>(
      filled_with<Key, Value>(large), [](Map const& map) { map.popitem(); }, kStride);
  kill_in_change<Map>(
      filled_with<Key, Value>(large), [](Map const& map) { map.clear(); }, kStride);
}

}  // namespace

TEST_CASE("a shared map of numbers changes: killed at every step", "[faults]") {
  // Shapes in which what comes and goes turns the tree, in one way and the other.
  kill_in_maps<int, int>(
      {{}, {10, 20}, {20, 10}, {80, 70, 60, 50, 40, 30, 20}, {10, 20, 30, 40, 50, 60, 70, 80}});
}

TEST_CASE("a shared map of texts changes: killed at every step", "[faults]") {
  // The tree is that of numbers.
  kill_in_maps<std::string, std::string>({{10, 20, 30, 40, 50, 60, 70, 80}});
}

TEST_CASE("a shared map changes by many steps as one: killed at every step", "[faults]") {
  using Map = mp::SharedMap<int, std::string>;
  kill_in_change<Map>(
      filled_with<int, std::string>({10, 20, 30, 40, 50}),
      [](Map const& map) {
        map.with([](Map const& its) {
          its.set(25, its.pop(20));
          its.clear();
          its.set(1, long_text(1));
          its.update(1, [](std::string& text) { text += "more"; });
        });
      },
      101);
}

TEST_CASE("a shared text changes: killed at every step", "[faults]") {
  using Text = mp::SharedString;
  auto const filled = [](std::string const& text) {
    return [text](Text const& shared) { shared = text; };
  };
  constexpr long kStride = 23;  // there are many scenes
  auto const kill_in = [](auto const& fill, auto const& change) {
    kill_in_change<Text>(fill, change, kStride);
  };
  kill_in(filled(""), [](Text const& shared) { shared += "x"; });
  kill_in(filled(""), [](Text const& shared) { shared = long_text(2); });
  for (auto const* const text : {"short", "a text that is long enough to have its own piece"}) {
    kill_in(filled(text), [](Text const& shared) { shared += "x"; });
    kill_in(filled(text), [](Text const& shared) { shared += long_text(1); });
    kill_in(filled(text), [](Text const& shared) { shared = long_text(2); });
    kill_in(filled(text), [](Text const& shared) { shared.clear(); });
    kill_in(filled(text), [](Text const& shared) { shared.insert(0, "begin"); });
    kill_in(filled(text), [](Text const& shared) { shared.erase(0, 2); });
    kill_in(filled(text), [](Text const& shared) { shared.resize(30, '.'); });
  }
}

TEST_CASE("a recovery is killed at every step", "[faults]") {
  struct Recovery : Scene {
    mp::SharedMap<int, std::string> map;
    std::map<int, std::string> before;
    Recovery() {
      filled_with<int, std::string>({10, 20, 30, 40, 50, 60})(map);
      before = map.copy();
      support::RawChild dies([this] {
        map.with([](auto const& its) {
          its.set(35, long_text(35));
          its.erase(10);
          its.set(20, long_text(1));
          std::raise(SIGKILL);
        });
      });
      REQUIRE(dies.exitcode() == -SIGKILL);
    }
    void victim() { map.recover(); }
    void check() {
      map.recover();
      REQUIRE(map.copy() == before);
      go_on(map);
    }
  };
  CHECK(support::kill_at_every_step(support::stride(1), [] { return Recovery(); }) > 1);
}

TEST_CASE("who reads is killed at every step and harms nobody", "[faults]") {
  struct Read : Scene {
    mp::SharedMap<int, std::string> map;
    mp::SharedVector<int> vector{1, 2, 3};
    mp::SharedString text{std::string_view("text")};
    Read() { filled_with<int, std::string>({10, 20, 30})(map); }
    void victim() {
      map.copy();
      map.get(10);
      vector.at(1);
      vector.copy();
      text.str();
    }
    void check() {
      REQUIRE(map.size() == 3);
      REQUIRE(vector.size() == 3);
      REQUIRE(text.size() == 4);
      REQUIRE_FALSE(map.recover());
      go_on(map);
    }
  };
  CHECK(support::kill_at_every_step(support::stride(5), [] { return Read(); }) > 1);
}

TEST_CASE("a shared container is made: killed at every step, nothing is left", "[faults]") {
  struct Make : Scene {
    mp::shm::Number blocks = mp::shm::Heap::instance().arena().used_blocks();
    void victim() { mp::SharedMap<int, int> const map{{1, 2}}; }
    void check() {
      auto& arena = mp::shm::Heap::instance().arena();
      arena.bury_the_dead();
      REQUIRE(arena.used_blocks() == blocks);
    }
  };
  CHECK(support::kill_at_every_step(support::stride(13), [] { return Make(); }) > 1);
}

namespace {

/// Each process adds items of its own, and says in the same change how many there are.
using Books = mp::SharedMap<std::string, long>;

std::string name_of(int number, long item) {
  return std::to_string(number) + " item " + std::to_string(item) + std::string(20, '.');
}
void add_one(Books const& books, int number) {
  books.with([number](Books const& its) {
    auto const count =
        its.update("count of " + std::to_string(number), [](long& x) { return ++x; });
    its.set(name_of(number, count), count);
    constexpr long kKept = 30;
    if (count > kKept) its.erase(name_of(number, count - kKept));
  });
}
[[noreturn]] void add_until_killed(Books const& books, int number) {
  for (;;) {
    try {
      add_one(books, number);
    } catch (mp::BrokenContainerError const&) {
      books.recover();
    }
  }
}
void check_books(std::map<std::string, long> const& all, int processes) {
  std::map<std::string, long> expected;
  for (int number = 0; number < processes; ++number) {
    auto const count = all.find("count of " + std::to_string(number));
    if (count == all.end()) continue;
    expected.insert(*count);
    for (long item = std::max(1L, count->second - 29); item <= count->second; ++item) {
      expected[name_of(number, item)] = item;
    }
  }
  REQUIRE(all == expected);
}

}  // namespace

TEST_CASE("a storm of killed writers loses no change, and halves none", "[faults][storm]") {
  constexpr int kProcesses = 4;
  long const kills = support::setting("MULTIPROCESSING_TEST_KILLS", support::kSanitized ? 40 : 300);
  Books const books;
  std::mt19937 random(1);
  std::array<std::unique_ptr<support::RawChild>, kProcesses> writers;
  auto const start = [&](int number) {
    writers[static_cast<std::size_t>(number)] =
        std::make_unique<support::RawChild>([&] { add_until_killed(books, number); });
  };
  for (int number = 0; number < kProcesses; ++number) start(number);
  long broken = 0;
  for (long kill = 0; kill < kills; ++kill) {
    for (auto spins = random() % 200'000; spins > 0; --spins) asm volatile("");
    auto const victim = static_cast<int>(random() % kProcesses);
    writers[static_cast<std::size_t>(victim)]->kill();
    writers[static_cast<std::size_t>(victim)]->wait();
    try {
      check_books(books.copy(), kProcesses);
    } catch (mp::BrokenContainerError const&) {
      broken += books.recover() ? 1 : 0;
    }
    start(victim);
  }
  for (auto& writer : writers) {
    writer->kill();
    writer->wait();
  }
  books.recover();
  check_books(books.copy(), kProcesses);
  CHECK(books.size() > kProcesses);
  INFO("broken, and met here: " << broken);
}

}  // namespace kill_in_shared_container_test
