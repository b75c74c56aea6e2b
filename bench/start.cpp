// SPDX-License-Identifier: BSL-1.0
// What it costs to run a function in a process of its own, beside what one would build by hand.
// Time is from before the process is made until its end is known; of X_first/M, from the same
// moment to the child's first instruction of the user's, which notes the time.
//
//   fork/M spawn/M forkserver/M   mp::Process by that method: made, start(), join(), dropped
//   fork_sharing/M         fork/M in a program that has objects of this library in shared memory,
//                          as those of spawn/M and forkserver/M have; that of fork/M has none
//   raw_fork/M             fork, _exit, waitpid: the floor of fork/M; raw_fork/0, of a small
//                          process, is what forkserver/M is compared with
//   asked_fork/M           the same by a small helper, asked for and answered through a socket:
//                          the least that a fork server takes
//   vfork_exec/M           vfork, exec of this program, which notes the time and ends by _exit in
//                          the first lines of main(), waitpid
//   posix_spawn_exit/M     the same by posix_spawn
//   posix_spawn_return/M   the same, but main() returns, so what was registered to run at exit
//                          runs, static destructors among it, as after spawn/M: its peer
//
// M: MiB of the parent that are resident beside the program itself, in pages of 4 KiB (no huge
// ones): a fork pays for their page tables. Sizes for which there is not memory enough are left
// out.
//
// Who measures is a parent process for each M, made at its first use and kept, so its memory is
// touched once; there are two for each, with shared objects and, for the raw cases and fork/M,
// without: raw forks do not call the library's handlers. The first start of a fork server is not
// measured. The CPU column is of the program that asks them for it: no matter.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/text_file.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/start_method.hpp>
#include <multiprocessing/value.hpp>

namespace {

namespace mp = multiprocessing;
using Nanoseconds = std::int64_t;

/// In a clock that all processes have in common.
Nanoseconds now() noexcept {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Throws: std::system_error when `result` says that the call has failed.
template <class Result>
Result require(Result result, char const* call) {
  if (result == Result(-1)) throw std::system_error(errno, std::generic_category(), call);
  return result;
}

/// Where a child of the raw cases notes the time: a file without a name, which forked children
/// have mapped, and new programs have open.
struct Stamp {
  int fd = require(::memfd_create("stamp", 0), "memfd_create");
  Nanoseconds* at = map(fd);

  static Nanoseconds* map(int fd) {
    require(::ftruncate(fd, sizeof(Nanoseconds)), "ftruncate");
    auto* const page =
        ::mmap(nullptr, sizeof(Nanoseconds), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return static_cast<Nanoseconds*>(require(page, "mmap"));
  }
};
Stamp& stamp() {
  static Stamp stamp;
  return stamp;
}

/// Of one process.
struct Times {
  Nanoseconds whole;
  Nanoseconds first;
};
using Case = Times (*)();

Times raw_fork() {
  auto const begin = now();
  pid_t const pid = require(::fork(), "fork");
  if (pid == 0) {
    *stamp().at = now();
    ::_exit(0);
  }
  require(::waitpid(pid, nullptr, 0), "waitpid");
  return {now() - begin, *stamp().at - begin};
}

/// A process that forks when it is told to. REQUIRES: made while this one is small.
int helper() {
  static int const socket = [] {
    int ends[2];
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
    pid_t const owner = ::getpid();
    if (require(::fork(), "fork") != 0) return ends[0];
    mp::os::die_with_parent(owner);
    for (char order; ::recv(ends[1], &order, 1, 0) == 1; ::send(ends[1], &order, 1, 0)) raw_fork();
    ::_exit(0);
  }();
  return socket;
}

Times asked_fork() {
  auto const begin = now();
  char order = 0;
  require(::send(helper(), &order, 1, 0), "send");
  require(::recv(helper(), &order, 1, 0), "recv");
  return {now() - begin, *stamp().at - begin};
}

constexpr char kExit[] = "--exit-at-once";
constexpr char kReturn[] = "--return-at-once";

/// `start(program, argv)`: starts it.
template <class Start>
Times run_program(char const* how_to_end, Start const& start) {
  auto fd = std::to_string(stamp().fd);
  std::string program = "/proc/self/exe";
  std::string option = how_to_end;
  std::array<char*, 4> argv{program.data(), option.data(), fd.data(), nullptr};
  auto const begin = now();
  pid_t const pid = start(program.c_str(), argv.data());
  require(::waitpid(pid, nullptr, 0), "waitpid");
  return {now() - begin, *stamp().at - begin};
}

Times vfork_exec() {
  return run_program(kExit, [](char const* program, char* const* argv) {
    pid_t const pid = require(::vfork(), "vfork");
    if (pid != 0) return pid;
    ::execve(program, argv, environ);
    ::_exit(1);
  });
}

pid_t posix_spawn_program(char const* program, char* const* argv) {
  pid_t pid = -1;
  errno = ::posix_spawn(&pid, program, nullptr, nullptr, argv, environ);
  return require(pid, "posix_spawn");
}
Times posix_spawn_exit() { return run_program(kExit, posix_spawn_program); }
Times posix_spawn_return() { return run_program(kReturn, posix_spawn_program); }

/// `function(args...)` in a process, where it notes the time.
template <class... Args>
Nanoseconds run_process(mp::StartMethod method, void (*function)(Args const&...),
                        Args const&... args) {
  {
    mp::Process process({.start_method = method}, function, args...);
    process.start();
    process.join();
  }
  return now();
}

void note_in_stamp() { *stamp().at = now(); }
Times process() {
  auto const begin = now();
  auto const end = run_process(mp::StartMethod::fork, note_in_stamp);
  return {end - begin, *stamp().at - begin};
}

void note_in_value(mp::RawValue<Nanoseconds> const& at) { at = now(); }
template <mp::StartMethod method>
Times sharing_process() {
  static mp::RawValue<Nanoseconds> const at;
  auto const begin = now();
  auto const end = run_process(method, note_in_value, at);
  return {end - begin, at.value() - begin};
}

enum class Kind { Plain, Sharing };

/// Makes `mib` MiB resident, for good.
void grow(std::int64_t mib) {
  auto const size = static_cast<std::size_t>(mib) << 20;
  if (size == 0) return;
  auto* const memory = require(
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), "mmap");
  require(::madvise(memory, size, MADV_NOHUGEPAGE), "madvise");
  constexpr std::size_t kPage = 4096;
  for (std::size_t i = 0; i < size; i += kPage) static_cast<char volatile*>(memory)[i] = 1;
}

/// A process that runs cases, in which it is their parent.
class Parent {
 public:
  Parent(Kind kind, std::int64_t mib) {
    int ends[2];
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
    socket_ = ends[0];
    pid_t const owner = ::getpid();
    pid_ = require(::fork(), "fork");
    if (pid_ != 0) {
      ::close(ends[1]);
      return;
    }
    ::close(ends[0]);
    mp::os::die_with_parent(owner);
    try {
      if (kind == Kind::Plain) {
        stamp();
        helper();
      } else {
        sharing_process<mp::StartMethod::forkserver>();
      }
      grow(mib);
      serve(ends[1]);
    } catch (std::exception const& error) {
      std::cerr << "bench_start: " << error.what() << std::endl;
    }
    ::_exit(1);
  }
  Parent(Parent const&) = delete;
  Parent& operator=(Parent const&) = delete;
  ~Parent() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(socket_);
  }

  std::vector<Times> run(Case the_case, std::size_t count) {
    Order const order{the_case, count};
    require(::send(socket_, &order, sizeof order, MSG_NOSIGNAL), "send");
    std::vector<Times> times(count);
    auto const size = count * sizeof(Times);
    auto const length = ::recv(socket_, times.data(), size, MSG_WAITALL);
    if (length < 0 || static_cast<std::size_t>(length) != size) {
      throw std::runtime_error("the parent process has ended");
    }
    return times;
  }

 private:
  struct Order {
    Case the_case;  // it is a copy of this process
    std::size_t count;
  };

  static void serve(int socket) {
    for (Order order; ::recv(socket, &order, sizeof order, MSG_WAITALL) == sizeof order;) {
      std::vector<Times> times;
      times.reserve(order.count);
      for (std::size_t i = 0; i < order.count; ++i) times.push_back(order.the_case());
      require(::send(socket, times.data(), times.size() * sizeof(Times), 0), "send");
    }
  }

  int socket_;
  pid_t pid_;
};

Parent& parent(Kind kind, std::int64_t mib) {
  static std::map<std::pair<Kind, std::int64_t>, std::unique_ptr<Parent>> parents;
  auto& found = parents[{kind, mib}];
  if (found == nullptr) found = std::make_unique<Parent>(kind, mib);
  return *found;
}

void measure(benchmark::State& state, Kind kind, Case the_case, Nanoseconds Times::*what) {
  try {
    auto const count = static_cast<std::size_t>(state.max_iterations);
    auto const times = parent(kind, state.range(0)).run(the_case, count);
    auto next = times.begin();
    for (auto _ : state) {
      std::chrono::duration<double> const time = std::chrono::nanoseconds(*next++.*what);
      state.SetIterationTime(time.count());
    }
  } catch (std::exception const& error) {
    state.SkipWithError(error.what());
  }
}

void register_cases(std::int64_t mib, std::string const& suffix, Nanoseconds Times::*what) {
  auto const add = [&](std::string const& name, Kind kind, Case the_case) {
    benchmark::RegisterBenchmark((name + suffix).c_str(), measure, kind, the_case, what)
        ->Arg(mib)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  };
  add("raw_fork", Kind::Plain, raw_fork);
  add("fork", Kind::Plain, process);
  add("fork_sharing", Kind::Sharing, sharing_process<mp::StartMethod::fork>);
  add("vfork_exec", Kind::Plain, vfork_exec);
  add("posix_spawn_exit", Kind::Plain, posix_spawn_exit);
  add("posix_spawn_return", Kind::Plain, posix_spawn_return);
  add("spawn", Kind::Sharing, sharing_process<mp::StartMethod::spawn>);
  add("asked_fork", Kind::Plain, asked_fork);
  add("forkserver", Kind::Sharing, sharing_process<mp::StartMethod::forkserver>);
}

void register_sizes() {
  constexpr std::array<std::int64_t, 4> kSizes{0, 256, 1024, 4096};
  constexpr std::int64_t kReserve = 1024;  // for all else that goes on meanwhile
  auto const kib = mp::os::number_after(mp::os::read_text_file("/proc/meminfo"), "MemAvailable:");
  auto left = static_cast<std::int64_t>(kib.value_or(0) >> 10) - kReserve;
  for (auto const mib : kSizes) {
    left -= 2 * mib;  // a parent of each kind
    if (left >= 0 || mib == 0) {
      register_cases(mib, "", &Times::whole);
      register_cases(mib, "_first", &Times::first);
    } else {
      std::cerr << "bench_start: not memory enough for parents of " << mib << " MiB" << std::endl;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && (argv[1] == std::string_view(kExit) || argv[1] == std::string_view(kReturn))) {
    auto const time = now();
    require(::pwrite(std::atoi(argv[2]), &time, sizeof time, 0), "pwrite");
    if (argv[1] == std::string_view(kReturn)) return 0;
    ::_exit(0);
  }
  mp::init(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  register_sizes();
  benchmark::RunSpecifiedBenchmarks();
}
