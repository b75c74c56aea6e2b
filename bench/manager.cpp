// SPDX-License-Identifier: BSL-1.0
// Objects in a manager's process, beside the same under a lock in this one's, and a bare message
// there and back. Time is of one operation.
//
//   dict_set/N dict_get/N       an int by an int key, of 1024, in a DictProxy
//   list_append                 and every thousandth time, clear()
//   with                        a function that adds one to an int
//   create                      a list is made and dropped
//   pipe                        as many bytes as a dict_set has are sent, and one comes back: the
//                               floor
//   locked_map                  a std::map of this process under an mp::Lock: no process between
//   shared_map_set/N, get/N     an int by an int key, of N, in a SharedMap
//   shared_map_new              a key that comes and goes again, beside 4096: per call
//   shared_vector_push          an int, and every thousandth time, clear()
//   set_parked, pipe_parked     dict_set and pipe after a nap, in which whoever waits falls asleep:
//                               p50_us and p99_us, and of two wake-ups by a futex, in turns
//
// N processes do the same at once, and time is per operation, whoever does it. They are forked
// before the time begins. CPU is of the one that waits for them: no matter.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <multiprocessing/barrier.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/manager.hpp>
#include <multiprocessing/pickle.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/shared_map.hpp>
#include <multiprocessing/shared_vector.hpp>

#include "naps.hpp"

namespace {

namespace mp = multiprocessing;
using Clock = std::chrono::steady_clock;

constexpr int kKeys = 1024;
constexpr std::int64_t kOperations = 20'000;  // in a round, by all processes together

/// `operation(i)` by `state.range(0)` processes.
template <class Operation>
void by_processes(benchmark::State& state, Operation const& operation) {
  auto const count = static_cast<int>(state.range(0));
  auto const each = kOperations / count;
  for (auto _ : state) {
    mp::Barrier const line(count + 1);
    std::vector<mp::Process> processes;
    for (int number = 0; number < count; ++number) {
      processes.emplace_back([=] {
        operation(0);  // makes the way there
        line.wait();
        for (int i = 0; i < each; ++i) operation(i);
        line.wait();
      });
      processes.back().start();
    }
    line.wait();
    auto const begin = Clock::now();
    line.wait();
    state.SetIterationTime(std::chrono::duration<double>(Clock::now() - begin).count() /
                           static_cast<double>(each * count));
    for (auto& process : processes) process.join();
  }
}

void dict_set(benchmark::State& state) {
  mp::Manager const manager;
  auto const dict = manager.dict<int, int>();
  by_processes(state, [dict](int i) { dict.set(i % kKeys, i); });
}
void dict_get(benchmark::State& state) {
  mp::Manager const manager;
  auto const dict = manager.dict<int, int>();
  for (int key = 0; key < kKeys; ++key) dict.set(key, key);
  by_processes(state, [dict](int i) { benchmark::DoNotOptimize(dict.at(i % kKeys)); });
}
constexpr int kRounds = 5;
BENCHMARK(dict_set)->RangeMultiplier(2)->Range(1, 8)->UseManualTime()->Iterations(kRounds);
BENCHMARK(dict_get)->RangeMultiplier(2)->Range(1, 8)->UseManualTime()->Iterations(kRounds);

void list_append(benchmark::State& state) {
  mp::Manager const manager;
  auto const list = manager.list<int>();
  int i = 0;
  for (auto _ : state) {
    if (++i % 1000 == 0) list.clear();
    list.append(i);
  }
}
void with(benchmark::State& state) {
  mp::Manager const manager;
  auto const number = manager.create<int>(0);
  for (auto _ : state) number.with([](int& x) { ++x; });
}
void create(benchmark::State& state) {
  mp::Manager const manager;
  for (auto _ : state) manager.list<int>();
}
BENCHMARK(list_append)->UseRealTime();
BENCHMARK(with)->UseRealTime();
BENCHMARK(create)->UseRealTime();

void locked_map(benchmark::State& state) {
  mp::Lock const lock;
  std::map<int, int> map;
  int i = 0;
  for (auto _ : state) {
    std::scoped_lock const guard(lock);
    ++i;
    map[i % kKeys] = i;
  }
}
BENCHMARK(locked_map)->UseRealTime();

mp::SharedMap<int, int> filled_map(std::int64_t keys) {
  mp::SharedMap<int, int> map;
  for (int key = 0; key < keys; ++key) map.set(key, key);
  return map;
}
void shared_map_set(benchmark::State& state) {
  auto const keys = static_cast<int>(state.range(0));
  auto const map = filled_map(keys);
  int i = 0;
  for (auto _ : state) {
    ++i;
    map.set(i % keys, i);
  }
}
void shared_map_get(benchmark::State& state) {
  auto const keys = static_cast<int>(state.range(0));
  auto const map = filled_map(keys);
  int i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(map.at(++i % keys));
}
void shared_map_new(benchmark::State& state) {
  constexpr int kOthers = 4096;
  auto const map = filled_map(kOthers);
  bool is_there = false;
  for (auto _ : state) {
    if (is_there) {
      map.erase(-1);
    } else {
      map.set(-1, 1);
    }
    is_there = !is_there;
  }
}
void shared_vector_push(benchmark::State& state) {
  mp::SharedVector<int> const vector;
  int i = 0;
  for (auto _ : state) {
    if (++i % 1000 == 0) vector.clear();
    vector.push_back(i);
  }
}
BENCHMARK(shared_map_set)->Arg(kKeys)->Arg(4 * kKeys)->UseRealTime();
BENCHMARK(shared_map_get)->Arg(kKeys)->Arg(4 * kKeys)->UseRealTime();
BENCHMARK(shared_map_new)->UseRealTime();
BENCHMARK(shared_vector_push)->UseRealTime();

/// Another process that answers each message with a byte.
class Echo {
 public:
  Echo() : process_(&answer, std::move(there_)) { process_.start(); }
  Echo(Echo const&) = delete;
  Echo& operator=(Echo const&) = delete;
  ~Echo() {
    here_.close();
    process_.join();
  }
  void ask() const {
    static mp::Bytes const request(88);
    here_.send_bytes(request);
    benchmark::DoNotOptimize(here_.recv_bytes());
  }

 private:
  using End = mp::Connection<mp::Bytes>;
  static void answer(End const& end) {
    mp::Bytes const reply(1);
    try {
      for (;;) {
        benchmark::DoNotOptimize(end.recv_bytes());
        end.send_bytes(reply);
      }
    } catch (mp::EOFError const&) {  // it has been enough
    }
  }

  std::pair<End, End> ends_ = mp::Pipe<mp::Bytes>();
  End here_ = std::move(ends_.first);
  End there_ = std::move(ends_.second);
  mp::Process process_;
};

void pipe(benchmark::State& state) {
  Echo const echo;
  for (auto _ : state) echo.ask();
}
BENCHMARK(pipe)->UseRealTime();

void set_parked(benchmark::State& state) {
  mp::Manager const manager;
  auto const dict = manager.dict<int, int>();
  bench::time_beside_futex(state, [&] { dict.set(1, 2); });
}
void pipe_parked(benchmark::State& state) {
  Echo const echo;
  bench::time_beside_futex(state, [&] { echo.ask(); });
}
BENCHMARK(set_parked)->Iterations(bench::kNaps)->UseManualTime();
BENCHMARK(pipe_parked)->Iterations(bench::kNaps)->UseManualTime();

}  // namespace

BENCHMARK_MAIN();
