// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/waves.hpp>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/value.hpp>
#include <multiprocessing/work/map.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace waves_test {

namespace mp = multiprocessing;
using namespace multiprocessing::work;

namespace {

constexpr int kMany = 2'000'000;  // ints: eight waves

/// What functions in workers tell, or are told.
mp::RawValue<int> const& shared() {
  static mp::RawValue<int> const value(0);
  return value;
}

int successor(int x) { return x + 1; }

/// A crew that is closed in the end, unless it has been.
class Fixture {
 public:
  Fixture() : crew_(make()) {}
  ~Fixture() { end(); }

  Crew& crew() { return crew_; }
  template <class F, class Items>
  auto run(F const& f, Items const& items, std::optional<std::int64_t> chunksize = {}) {
    return map(crew_, "Pool.map", chunksize, f, items);
  }
  /// f of so many, with what is to happen when the results of a wave are there. However long it
  /// takes, it goes in waves.
  template <class Collect>
  void run_waves(int (*f)(int), int items, Collect const& collect,
                 std::chrono::milliseconds patience = std::chrono::hours(1)) {
    mp::wire::Bytes callable;
    mp::wire::encode(callable, f);
    auto const code = mp::wire::place_of(&map_detail::run_chunk<int (*)(int), int>);
    auto wanted = sizes(items);
    wanted.patience = patience;
    Waves waves(crew_, "Pool.map", wanted, code, callable);
    auto const fill = [](Job& job, std::uint64_t first, std::uint64_t size) {
      auto* const to = reinterpret_cast<int*>(job.input());
      for (std::uint64_t i = 0; i < size; ++i) to[i] = static_cast<int>(first + i);
    };
    waves.run(fill, collect);
  }
  static WaveSizes sizes(int items) {
    return {static_cast<std::uint64_t>(items), sizeof(int), sizeof(int), 2};
  }
  void end() {
    crew_.close("test");
    crew_.join("test");
  }
  std::uint64_t backed_bytes() const {
    struct stat status;
    REQUIRE(::fstat(crew_.segment().fd().get(), &status) == 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }

 private:
  static Crew::Options make() {
    shared() = 0;  // made before the workers are
    return {.workers = 2};
  }
  Crew crew_;
};

void count(int) { shared().atomic().fetch_add(1); }

std::vector<int> successors(int n) {
  auto result = support::numbers(n);
  for (int& x : result) ++x;
  return result;
}

}  // namespace

TEST_CASE("two waves stay within the memory that keeps its pages", "[waves]") {
  for (std::uint64_t const workers : {1U, 2U, 64U}) {
    for (std::uint64_t const item_size : {1U, 4U, 1000U}) {
      for (std::uint64_t const chunk_size : {0U, 1U, 100U}) {
        WaveSizes sizes{std::uint64_t{1} << 40, item_size, 4, workers};
        if (chunk_size != 0) sizes.asked_chunk_size = chunk_size;
        INFO(workers << " workers, items of " << item_size << ", chunks of " << chunk_size);
        auto const items = sizes.items_a_wave();
        auto const chunks = items / sizes.chunk_size();
        CHECK(items % sizes.chunk_size() == 0);
        CHECK(chunks >= workers);
        if (workers * sizes.chunk_size() * sizes.bytes_an_item() <= WaveSizes::kMostBytes / 2) {
          CHECK(items * sizes.bytes_an_item() + chunks * sizeof(ChunkResult) <= JobBook::kWarm / 2);
        }
      }
    }
  }
}

TEST_CASE("what fits into one job does not go in waves", "[waves]") {
  CHECK(!WaveSizes{WaveSizes::kMostBytes / 8, 4, 4, 2}.are_many());
  CHECK(WaveSizes{WaveSizes::kMostBytes / 8 + 1, 4, 4, 2}.are_many());
  CHECK(!WaveSizes{0, 4, 4, 2}.are_many());
}

TEST_CASE("chunks that are larger than a wave go out to all workers at once", "[waves]") {
  WaveSizes const sizes{10'000'000, 4, 4, 2, 3'000'000};
  CHECK(sizes.items_a_wave() == 6'000'000);
  WaveSizes const all{10'000'000, 4, 4, 2, 50'000'000};
  CHECK(all.items_a_wave() >= 10'000'000);
}

TEST_CASE_METHOD(Fixture, "results of many waves come in the order of the items", "[waves]") {
  auto const items = support::numbers(kMany);
  auto const wanted = successors(kMany);
  CHECK(run(&successor, items) == wanted);
  for (std::int64_t const chunksize : {100, 77'777, 500'000, 5'000'000}) {
    CHECK(run(&successor, items, chunksize) == wanted);
  }
}

TEST_CASE_METHOD(Fixture, "items and results of any plain types go in waves", "[waves]") {
  auto const items = support::numbers(kMany);
  CHECK(run([](int x) { return x % 3 == 0; }, items)[kMany - 2] == ((kMany - 2) % 3 == 0));
  struct Large {
    std::array<int, 100> values;
  };
  static_assert(map_detail::kMayGoInWaves<int, Large, std::vector<int>&>);
  auto const large = run([](int x) { return Large{{x}}; }, support::numbers(10'000));
  CHECK(large[9'999].values[0] == 9'999);
  static_assert(map_detail::kMayGoInWaves<int, void, std::vector<int> const&>);
  run(&count, items);
  CHECK(shared().value() == kMany);
}

TEST_CASE_METHOD(Fixture, "results that can not be assigned go in waves", "[waves]") {
  struct Fixed {
    int const value;
  };
  auto const results = run([](int x) { return Fixed{x}; }, support::numbers(kMany));
  CHECK(results[kMany - 1].value == kMany - 1);
}

TEST_CASE_METHOD(Fixture, "a slow item keeps no other one waiting", "[waves]") {
  constexpr int kChunk = 1000;
  auto const wait_for_all_others = [](int x) {
    if (x != 0) {
      shared().atomic().fetch_add(1);
    } else {
      while (shared().value() < kMany - kChunk) std::this_thread::yield();
    }
    return x + 1;
  };
  CHECK(run(wait_for_all_others, support::numbers(kMany), kChunk) == successors(kMany));
}

TEST_CASE_METHOD(Fixture, "however many waves there are, two of them have memory", "[waves]") {
  run(&successor, std::vector{1});
  auto const before = backed_bytes();
  std::uint64_t waves = 0;
  std::uint64_t most = 0;
  run_waves(&successor, kMany, [&](Job const&, std::uint64_t) {
    ++waves;
    most = std::max(most, backed_bytes());
  });
  CHECK(waves == (kMany - 1) / sizes(kMany).items_a_wave() + 1);
  CHECK(most <= before + JobBook::kWarm);
}

TEST_CASE("where there is no memory for the rest, waves go on", "[waves]") {
  mp::shm::Heap::instance();  // wants more than the segment of a pool may have
  support::RawChild child([] {
    constexpr rlim_t kSegment = rlim_t{64} << 20;  // of which jobs have less than half
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit const limit{kSegment, kSegment};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    constexpr int kFarTooMany = 10'000'000;
    std::vector<int> results;
    {
      Fixture own;
      std::chrono::milliseconds const patience(0);
      own.run_waves(
          &successor, kFarTooMany,
          [&](Job const& job, std::uint64_t items) {
            auto const part = map_detail::plain_results<int>(job, items);
            results.insert(results.end(), part.begin(), part.end());
          },
          patience);
    }
    return results == successors(kFarTooMany) ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE_METHOD(Fixture, "a failure is told with the item's place", "[waves]") {
  auto const fail = [](int x) {
    shared().atomic().fetch_add(1);
    if (x == 700'000) throw std::domain_error("no");
    return x;
  };
  std::string text;
  try {
    run(fail, support::numbers(kMany), 1000);
  } catch (std::domain_error const&) {
    text = mp::format_exception(std::current_exception());
  }
  CHECK_THAT(text, ContainsSubstring("Pool.map, items 700000 to 700999 of 2000000"));
  CHECK(run(&successor, support::numbers(kMany)) == successors(kMany));
}

TEST_CASE_METHOD(Fixture, "no wave begins after a failure", "[waves]") {
  int (*const fail)(int) = [](int x) {
    shared().atomic().fetch_add(1);
    if (x == 0) throw std::domain_error("no");
    return x;
  };
  CHECK_THROWS_AS(run_waves(fail, kMany, [](Job const&, std::uint64_t) {}), std::domain_error);
  // It was in the first; the second was there already.
  CHECK(static_cast<std::uint64_t>(shared().value()) <= 2 * sizes(kMany).items_a_wave());
}

TEST_CASE_METHOD(Fixture, "a worker's death in a wave is told, and the next call works",
                 "[waves]") {
  auto const die = [](int x) {
    if (x == 1'000'000) ::kill(::getpid(), SIGKILL);
    return x;
  };
  auto const text =
      support::message_of<mp::WorkerDied>([&] { run(die, support::numbers(kMany), 1000); });
  CHECK_THAT(text, ContainsSubstring("Pool.map, items 1000000 to 1000999 of 2000000"));
  CHECK(run(&successor, support::numbers(kMany)) == successors(kMany));
}

TEST_CASE_METHOD(Fixture, "a pool that is closed meanwhile finishes all waves", "[waves]") {
  auto const items = support::numbers(kMany);
  std::atomic<bool> is_refused{false};
  {
    std::jthread closer([&] {
      while (shared().value() == 0) std::this_thread::yield();
      crew().close("Pool.close");
      try {
        crew().require_open("Pool.map");
      } catch (std::invalid_argument const&) {
        is_refused = true;
      }
      shared() = 2;
      crew().join("Pool.join");
    });
    auto const wait_for_close = [](int x) {
      if (x != 0) return x + 1;
      shared() = 1;
      while (shared().value() != 2) std::this_thread::yield();
      return 1;
    };
    CHECK(run(wait_for_close, items) == successors(kMany));
  }
  CHECK(is_refused);
}

TEST_CASE_METHOD(Fixture, "a pool that is terminated while a wave runs cancels the call",
                 "[waves]") {
  auto const items = support::numbers(kMany);
  std::jthread ender([&] {
    while (shared().value() == 0) std::this_thread::yield();
    crew().terminate("Pool.terminate");
  });
  auto const tell = [](int x) {
    if (x == 700'000) {
      shared() = 1;
      for (;;) ::pause();
    }
    return x;
  };
  auto const text = support::message_of<mp::CancelledError>([&] { run(tell, items); });
  CHECK_THAT(text, ContainsSubstring("the pool was terminated"));
}

TEST_CASE_METHOD(Fixture, "a pool that is terminated between two waves cancels the call",
                 "[waves]") {
  auto const text = support::message_of<mp::CancelledError>([&] {
    run_waves(&successor, kMany,
              [&](Job const&, std::uint64_t) { crew().terminate("Pool.terminate"); });
  });
  CHECK_THAT(text, ContainsSubstring("Pool.map: the pool was terminated"));
}

TEST_CASE_METHOD(Fixture, "more calls than there are slots all go on", "[waves]") {
  constexpr int kCalls = Board::kSlots + 10;
  constexpr int kItems = 600'000;
  auto const items = support::numbers(kItems);
  auto const wanted = successors(kItems);
  auto const successor_once_told = [](int x) {
    while (shared().value() == 0) std::this_thread::yield();
    return x + 1;
  };
  std::atomic<int> right{0};
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < kCalls; ++i) {
      callers.emplace_back([&] { right += run(successor_once_told, items) == wanted ? 1 : 0; });
    }
    while (crew().board().active.load() != UINT64_MAX) std::this_thread::yield();
    shared() = 1;
  }
  CHECK(right == kCalls);
}

}  // namespace waves_test
