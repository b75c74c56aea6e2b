// SPDX-License-Identifier: BSL-1.0
// Locks, semaphores, events, conditions, barriers and shared values, beside what one would build
// by hand. Time is of one operation.
//
//   X_pair             X is taken and given back; nobody else wants it
//   X_contended/N      the same by N processes at once, each adds to one plain number meanwhile;
//                      per addition, whoever made it
//     lock, rlock, semaphore   this library's
//     raw_robust               pthread mutex, process-shared and robust
//     boost_mutex              boost::interprocess::interprocess_mutex: the same, not robust
//     posix_semaphore          sem_t, process-shared
//   X_ping_pong        two processes tell each other in turn; per telling
//   X_parked           the same after a pause, in which who waits falls asleep; without the pause
//     event                    set; wait and clear
//     semaphore                release; acquire
//     condition                a flag is set and notified; waited for, with a predicate
//     bare_line                an atomic is stored; spun on, and cleared
//     bare_futex               an atomic is stored and woken for; slept on, and cleared
//     posix_semaphore          sem_post; sem_wait
//     posix_condition          as condition, with pthread_cond_t and raw_robust's mutex
//   X_round/N          N processes wait for each other; per round
//     barrier                  this library's
//     posix_barrier            pthread_barrier_t, process-shared
//   event_is_set, event_set_clear              while nobody waits
//   value_update, value_guard, value_atomic    one is added to a Value by update(), by
//                                              *lock() += 1, by atomic() += 1 without its lock
//
// Processes are forked before the time begins, and begin on all processors in turn. CPU is of the
// one that waits for them: no matter.
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <multiprocessing/barrier.hpp>
#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/condition.hpp>
#include <multiprocessing/event.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/semaphore.hpp>
#include <multiprocessing/value.hpp>

namespace {

namespace mp = multiprocessing;
using Clock = std::chrono::steady_clock;

/// A T in pages of its own, which forked children share. Never destroyed: its users may be killed.
template <class T>
class Shared {
 public:
  T* get() const noexcept { return object_; }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }

 private:
  boost::interprocess::mapped_region region_ =
      boost::interprocess::anonymous_shared_memory(sizeof(T));
  T* object_ = new (region_.get_address()) T{};
};

struct RobustMutex {
  Shared<pthread_mutex_t> mutex;

  RobustMutex() {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(mutex.get(), &attributes);
  }
  void lock() { ::pthread_mutex_lock(mutex.get()); }
  void unlock() { ::pthread_mutex_unlock(mutex.get()); }
};

struct BoostMutex {
  Shared<boost::interprocess::interprocess_mutex> mutex;

  void lock() { mutex->lock(); }
  void unlock() { mutex->unlock(); }
};

struct PosixSemaphore {
  Shared<sem_t> semaphore;

  explicit PosixSemaphore(unsigned value = 1) { ::sem_init(semaphore.get(), 1, value); }
  void lock() { ::sem_wait(semaphore.get()); }
  void unlock() { ::sem_post(semaphore.get()); }
};

struct PosixCondition : RobustMutex {
  Shared<pthread_cond_t> condition;

  PosixCondition() {
    pthread_condattr_t attributes;
    ::pthread_condattr_init(&attributes);
    ::pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_cond_init(condition.get(), &attributes);
  }
  void notify() { ::pthread_cond_signal(condition.get()); }
  void wait(auto const& predicate) {
    while (!predicate()) ::pthread_cond_wait(condition.get(), mutex.get());
  }
};

struct PosixBarrier {
  Shared<pthread_barrier_t> barrier;

  explicit PosixBarrier(unsigned parties) {
    pthread_barrierattr_t attributes;
    ::pthread_barrierattr_init(&attributes);
    ::pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_barrier_init(barrier.get(), &attributes, parties);
  }
  void wait() const { ::pthread_barrier_wait(barrier.get()); }
};

// Signals: each tell() lets one hear(), in another process, return.

struct ByEvent {
  mp::Event event;

  void tell() { event.set(); }
  void hear() {
    event.wait();
    event.clear();
  }
};

template <class Semaphore>
struct BySemaphore {
  Semaphore semaphore{0};

  void tell() { semaphore.unlock(); }
  void hear() { semaphore.lock(); }
};

template <class Condition>
struct ByCondition {
  Condition condition;
  Shared<bool> told;

  void tell() {
    std::lock_guard const held(condition);
    *told = true;
    condition.notify();
  }
  void hear() {
    std::lock_guard const held(condition);
    condition.wait([this] { return *told; });
    *told = false;
  }
};

struct BareLine {
  Shared<std::atomic<bool>> told;

  void tell() { *told = true; }
  void hear() {
    while (!*told) mp::os::relax_processor();
    *told = false;
  }
};

struct BareFutex {
  Shared<mp::os::FutexWord> told;

  void tell() {
    *told = 1;
    mp::os::futex_wake(*told, 1);
  }
  void hear() {
    auto const never = mp::base::Deadline::never();
    while (*told == 0) static_cast<void>(mp::os::futex_wait(*told, 0, never));
    *told = 0;
  }
};

constexpr unsigned kLargestTeam = 16;
// Seconds; far more than one measurement takes. A process that hangs is killed, and so fails.
constexpr unsigned kTooLong = 60;

/// Moves this process to the processor with this index; later the kernel may move it again.
void go_to_processor(unsigned index) {
  cpu_set_t usable;
  ::sched_getaffinity(0, sizeof usable, &usable);
  index %= static_cast<unsigned>(CPU_COUNT(&usable));
  unsigned processor = 0;
  while (!CPU_ISSET(processor, &usable) || index-- > 0) ++processor;
  cpu_set_t chosen;
  CPU_ZERO(&chosen);
  CPU_SET(processor, &chosen);
  ::sched_setaffinity(0, sizeof chosen, &chosen);
  ::sched_setaffinity(0, sizeof usable, &usable);
}

/// Runs `body(member)` in `size` processes that begin together, spread over the processors; none of
/// them outlives the call. From when the first one began to when the last one was done.
/// Throws: std::runtime_error when one fails.
template <class Body>
Clock::duration run_team(unsigned size, Body const& body) {
  PosixBarrier const gate(size);
  Shared<std::array<Clock::time_point, kLargestTeam>> begun;
  Shared<std::array<Clock::time_point, kLargestTeam>> done;
  auto const parent = ::getpid();
  auto const child = [&](unsigned member) noexcept {  // an exception is printed, and ends it
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) return;
    ::alarm(kTooLong);
    gate.wait();
    go_to_processor(member);
    (*begun)[member] = Clock::now();
    body(member);
    (*done)[member] = Clock::now();
  };
  std::vector<pid_t> pids(size);
  auto running = pids.begin();
  mp::base::ScopeGuard const none_left([&] {
    while (running != pids.begin()) {
      ::kill(*--running, SIGKILL);
      ::waitpid(*running, nullptr, 0);
    }
  });
  for (unsigned member = 0; member < size; ++member) {
    pid_t const pid = ::fork();
    if (pid == 0) {
      child(member);
      ::_exit(0);
    }
    if (pid == -1) throw std::runtime_error("no process could be forked");
    *running++ = pid;
  }
  while (running != pids.begin()) {
    int status = 0;
    pid_t const pid = ::waitpid(-1, &status, 0);
    running = std::remove(pids.begin(), running, pid);
    if (pid == -1 || status != 0) {
      throw std::runtime_error("a process failed, wait status " + std::to_string(status));
    }
  }
  return *std::max_element(done->begin(), done->begin() + size) -
         *std::min_element(begun->begin(), begun->begin() + size);
}

// Fewer would tell how long the kernel takes to let all of them run.
constexpr std::int64_t kFewestRounds = 1000;

/// Reports the time of one operation, where `run(rounds)` does `operations` in each round and
/// returns how long it took.
template <class Run>
void measure(benchmark::State& state, unsigned operations, Run const& run) {
  auto const rounds = std::max(kFewestRounds, state.max_iterations / operations + 1);
  try {
    while (state.KeepRunningBatch(rounds * operations)) {
      state.SetIterationTime(std::chrono::duration<double>(run(rounds)).count());
    }
  } catch (std::exception const& error) {
    state.SkipWithError(error.what());
  }
}

/// Nobody else uses the T.
template <class T>
void alone(benchmark::State& state, auto const& operation) {
  T object;
  for (auto _ : state) operation(object);
}

template <class Lock>
void pair(benchmark::State& state) {
  alone<Lock>(state, [](Lock& lock) { std::lock_guard const held(lock); });
}

void event_is_set(benchmark::State& state) {
  alone<mp::Event>(state, [](auto& event) { benchmark::DoNotOptimize(event.is_set()); });
}
void event_set_clear(benchmark::State& state) {
  alone<mp::Event>(state, [](auto& event) { event.set(), event.clear(); });
}

using Number = mp::Value<std::int64_t>;
void value_update(benchmark::State& state) {
  alone<Number>(state, [](auto& value) { value.update([](std::int64_t& number) { ++number; }); });
}
void value_guard(benchmark::State& state) {
  alone<Number>(state, [](auto& value) { *value.lock() += 1; });
}
void value_atomic(benchmark::State& state) {
  alone<Number>(state, [](auto& value) { value.atomic() += 1; });
}

template <class Lock>
void contended(benchmark::State& state) {
  auto const processes = static_cast<unsigned>(state.range(0));
  Lock lock;
  Shared<std::int64_t> number;
  measure(state, processes, [&](std::int64_t rounds) {
    auto const elapsed = run_team(processes, [&](unsigned) {
      for (std::int64_t i = 0; i < rounds; ++i) {
        std::lock_guard const held(lock);
        *number += 1;
      }
    });
    if (*number != rounds * processes) throw std::runtime_error("additions were lost");
    return elapsed;
  });
}

/// The first of two processes tells, the second hears, then the other way round; `rounds` times.
template <class Signal, class Tell, class Hear>
Clock::duration there_and_back(std::int64_t rounds, Tell const& tell, Hear const& hear) {
  Signal there;
  Signal back;
  return run_team(2, [&](unsigned member) {
    for (std::int64_t i = 0; i < rounds; ++i) {
      if (member == 0) std::invoke(tell, there);
      std::invoke(hear, member == 0 ? back : there);
      if (member == 1) std::invoke(tell, back);
    }
  });
}

template <class Signal>
void ping_pong(benchmark::State& state) {
  measure(state, 2, [](std::int64_t rounds) {
    return there_and_back<Signal>(rounds, &Signal::tell, &Signal::hear);
  });
}

template <class Signal>
void parked(benchmark::State& state) {
  // This library spins for 30 us at most. A busy pause: only who is told sleeps.
  constexpr std::chrono::microseconds kPause(200);
  Shared<Clock::time_point> told;
  Shared<Clock::duration> elapsed;
  auto const tell = [&](Signal& signal) {
    auto const end = Clock::now() + kPause;
    while ((*told = Clock::now()) < end) mp::os::relax_processor();
    signal.tell();
  };
  auto const hear = [&](Signal& signal) {
    signal.hear();
    *elapsed += Clock::now() - *told;
  };
  measure(state, 2, [&](std::int64_t rounds) {
    there_and_back<Signal>(rounds, tell, hear);
    return *elapsed;
  });
}

template <class Barrier>
void round(benchmark::State& state) {
  auto const parties = static_cast<unsigned>(state.range(0));
  Barrier const barrier(parties);
  measure(state, 1, [&](std::int64_t rounds) {
    return run_team(parties, [&](unsigned) {
      for (std::int64_t i = 0; i < rounds; ++i) barrier.wait();
    });
  });
}

void teams(benchmark::internal::Benchmark* bench) {
  bench->RangeMultiplier(2)->Range(2, kLargestTeam)->UseManualTime();
}
void two(benchmark::internal::Benchmark* bench) { bench->UseManualTime(); }

BENCHMARK(pair<mp::Lock>)->Name("lock_pair");
BENCHMARK(pair<mp::RLock>)->Name("rlock_pair");
BENCHMARK(pair<RobustMutex>)->Name("raw_robust_pair");
BENCHMARK(pair<BoostMutex>)->Name("boost_mutex_pair");
BENCHMARK(pair<mp::Semaphore>)->Name("semaphore_pair");
BENCHMARK(pair<PosixSemaphore>)->Name("posix_semaphore_pair");
BENCHMARK(contended<mp::Lock>)->Name("lock_contended")->Apply(teams);
BENCHMARK(contended<RobustMutex>)->Name("raw_robust_contended")->Apply(teams);
BENCHMARK(contended<mp::Semaphore>)->Name("semaphore_contended")->Apply(teams);
BENCHMARK(contended<PosixSemaphore>)->Name("posix_semaphore_contended")->Apply(teams);
BENCHMARK(ping_pong<ByEvent>)->Name("event_ping_pong")->Apply(two);
BENCHMARK(ping_pong<BareLine>)->Name("bare_line_ping_pong")->Apply(two);
BENCHMARK(ping_pong<BySemaphore<mp::Semaphore>>)->Name("semaphore_ping_pong")->Apply(two);
BENCHMARK(ping_pong<BySemaphore<PosixSemaphore>>)->Name("posix_semaphore_ping_pong")->Apply(two);
BENCHMARK(ping_pong<ByCondition<mp::Condition>>)->Name("condition_ping_pong")->Apply(two);
BENCHMARK(ping_pong<ByCondition<PosixCondition>>)->Name("posix_condition_ping_pong")->Apply(two);
BENCHMARK(parked<ByEvent>)->Name("event_parked")->Apply(two);
BENCHMARK(parked<BareFutex>)->Name("bare_futex_parked")->Apply(two);
BENCHMARK(round<mp::Barrier>)->Name("barrier_round")->Apply(teams);
BENCHMARK(round<PosixBarrier>)->Name("posix_barrier_round")->Apply(teams);
BENCHMARK(event_is_set);
BENCHMARK(event_set_clear);
BENCHMARK(value_update);
BENCHMARK(value_guard);
BENCHMARK(value_atomic);

}  // namespace

BENCHMARK_MAIN();
