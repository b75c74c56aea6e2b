// SPDX-License-Identifier: BSL-1.0
// Messages between processes, beside what else passes them. scripts/bench-channel runs it together
// with channel_mpi.cpp and channel.py, and prints one table of all.
//
//   round_trip   a message there and back, one after the other: both sides are awake ("hot")
//   parked       the same, each after a pause of 2 ms in which the driver computes: who answers has
//                fallen asleep, if it ever does
//   parked_idle  the same, in which the driver sleeps, too: no processor is awake
//   stream       messages one way as fast as they go, of 8 bytes to 64 MiB
//   many         the same from 4 producers to 4 consumers, and from 8 to 1: 64 bytes
//   idle         the part of a processor that waiting for a message takes, over one second
//
// Peers
//   line            a line of the cache that is spun on: the floor when hot
//   futex           the same, slept on: the floor when parked
//   pipe            this library's Pipe<T>: T is an array, from 32 KiB on a vector of bytes
//   pipe_bytes      its Pipe(), send_bytes() and recv_bytes_into()
//   loan            the same with loan() and recv_view(): but for 8 bytes at both ends, what is
//   sent
//                   is neither written nor read
//   queue           this library's Queue<T>
//   kernel_pipe, stream_socket, seqpacket, posix_mq      pipe(2), socketpair(2), mq_overview(7)
//   boost_mq        boost::interprocess::message_queue
//   zeromq          ZeroMQ over ipc: PAIR; PUSH and PULL between many
//   openmpi         MPI_Send and MPI_Recv, in channel_mpi.cpp
//   python_pipe, python_queue                            Python's own, in channel.py
//
// Every message bears its sender and number in its first and its last 8 bytes, and is checked for
// them: none is lost, doubled, torn or out of its sender's order. The bytes between are written
// once, before the time begins, and are not read. Where a peer asks how many messages it shall
// hold, that is 1024, or 16 MiB of them. The processes begin on all processors in turn, and stay
// where they are put if pinned.
//
// Output: a line of JSON for each measurement. With what others took of the machine meanwhile, see
// quiet.hpp, and the round trip of `line` just before and after.
#include <poll.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/version.hpp>
#include <multiprocessing/process.hpp>

#include "channel/boost_queue.hpp"
#include "channel/cases.hpp"
#include "channel/floors.hpp"
#include "channel/kernel.hpp"
#include "channel/ours.hpp"
#include "channel/peer.hpp"
#include "channel/plan.hpp"
#include "channel/quiet.hpp"
#include "channel/result.hpp"
#include "channel/shared.hpp"
#if defined(BENCH_WITH_ZEROMQ)
#include "channel/zeromq.hpp"
#endif

namespace bench {
namespace {

namespace mp = multiprocessing;

/// Waits until all have ended, which none does for the others' sake.
/// Throws: std::runtime_error as soon as one has failed; the others are killed.
void join_all(std::vector<mp::Process>& team) {
  std::vector<pollfd> running;
  for (auto const& process : team) running.push_back({process.sentinel(), POLLIN, 0});
  for (auto left = team.size(); left > 0;) {
    if (::poll(running.data(), running.size(), -1) < 0) continue;
    for (std::size_t i = 0; i < team.size(); ++i) {
      if (running[i].fd < 0 || running[i].revents == 0) continue;
      running[i].fd = -1;
      --left;
      team[i].join();
      if (team[i].exitcode() == 0) continue;
      for (auto& each : team) each.kill();
      for (auto& each : team) each.join();
      throw std::runtime_error("a process failed, exit code " +
                               std::to_string(team[i].exitcode().value_or(-1)));
    }
  }
}

/// Throws: Unsupported, std::runtime_error.
template <Peer P>
Result measure(Plan const& plan) {
  P const peer(plan);
  auto const control = make_shared_memory<Control>(plan.members());
  std::vector<mp::Process> team;
  for (unsigned member = 0; member < plan.members(); ++member) {
    team.emplace_back([=] { take_part(peer, plan, *control, member); });
  }
  for (auto& process : team) process.start();
  join_all(team);
  return control->result;
}

struct Entry {
  std::string name;
  std::function<bool(Plan const&)> carries;
  std::function<std::string(Plan const&)> measure;  ///< a line of JSON
};

template <Peer P>
Entry entry(std::string const& name) {
  return {name, &P::carries, [=](Plan const& plan) { return measure<P>(plan).json(name, plan); }};
}

/// What a command prints. Throws: std::runtime_error when it fails.
std::string output_of(std::string const& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), ::pclose);
  if (pipe == nullptr) throw std::runtime_error("no shell");
  std::string output;
  std::array<char, 4096> part;
  while (auto const size = std::fread(part.data(), 1, part.size(), pipe.get())) {
    output.append(part.data(), size);
  }
  if (::pclose(pipe.release()) != 0) throw std::runtime_error("failed: " + command);
  if (output.ends_with('\n')) output.pop_back();
  return output;
}

/// One that another program measures.
struct External {
  std::string mpi;     ///< path of bench_channel_mpi; empty: none
  std::string python;  ///< path of channel.py; empty: none

  Entry by_mpi() const {
    return {
        "openmpi", [](Plan const&) { return true; },
        [*this](Plan const& plan) { return output_of(mpirun(plan.members()) + arguments(plan)); }};
  }
  Entry by_python(std::string const& peer) const {
    bool const is_pipe = peer == "python_pipe";
    return {peer, [=](Plan const& plan) { return !is_pipe || plan.is_one_to_one(); },
            [=, *this](Plan const& plan) {
              return output_of(python_command() + " --peer " + peer + " --producers " +
                               std::to_string(plan.producers) + " --consumers " +
                               std::to_string(plan.consumers) + arguments(plan));
            }};
  }
  // Open MPI would bind two processes to processors of their own, and none of more: as the others.
  std::string mpirun(unsigned processes) const {
    return "mpirun --allow-run-as-root --oversubscribe --bind-to none -n " +
           std::to_string(processes) + " " + mpi;
  }
  std::string python_command() const { return "python3 " + python; }

 private:
  static std::string arguments(Plan const& plan) {
    return plan.options.arguments(plan.what, plan.size);
  }
};

template <template <class> class P>
void add_typed(std::vector<Entry>& entries, std::string const& name) {
  entries.push_back(entry<P<std::array<std::byte, 8>>>(name));
  entries.push_back(entry<P<std::array<std::byte, 64>>>(name));
  entries.push_back(entry<P<std::array<std::byte, 512>>>(name));
  entries.push_back(entry<P<std::array<std::byte, 4096>>>(name));
  entries.push_back(entry<P<std::vector<std::byte>>>(name));
}

/// Of those with one name, the first that carries a plan is for it.
std::vector<Entry> all_entries(External const& external) {
  std::vector<Entry> entries {
    entry<Line<Spin>>("line"), entry<Line<Sleep>>("futex"), entry<BytesPeer>("pipe_bytes"),
        entry<LoanPeer>("loan"), entry<KernelPipePeer>("kernel_pipe"),
        entry<StreamSocketPeer>("stream_socket"), entry<SeqpacketPeer>("seqpacket"),
        entry<PosixQueuePeer>("posix_mq"), entry<BoostQueuePeer>("boost_mq"),
#if defined(BENCH_WITH_ZEROMQ)
        entry<ZeroMqPeer>("zeromq"),
#endif
  };
  add_typed<PipePeer>(entries, "pipe");
  add_typed<QueuePeer>(entries, "queue");
  if (!external.mpi.empty()) entries.push_back(external.by_mpi());
  if (!external.python.empty()) {
    entries.push_back(external.by_python("python_pipe"));
    entries.push_back(external.by_python("python_queue"));
  }
  return entries;
}

struct Job {
  Entry entry;
  Plan plan;
};

std::vector<Job> jobs_for(Options const& options, std::vector<Entry> const& entries) {
  std::vector<Job> jobs;
  for (auto const& plan : plans(options)) {
    std::vector<std::string> there;
    for (auto const& each : entries) {
      bool const is_there = std::find(there.begin(), there.end(), each.name) != there.end();
      if (is_there || !options.wants_peer(each.name) || !each.carries(plan)) continue;
      there.push_back(each.name);
      jobs.push_back({each, plan});
    }
  }
  return jobs;
}

/// What `key` has in /proc/cpuinfo.
std::string processor(std::string const& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    auto const colon = line.find(": ");
    if (line.starts_with(key) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

void describe(Options const& options, External const& external) {
  utsname system;
  ::uname(&system);
  auto const field = [](char const* name, auto const& value) {
    std::cout << R"({"about": ")" << name << R"(", "value": ")" << value << "\"}\n";
  };
  bool const is_virtual = processor("flags").find(" hypervisor") != std::string::npos;
  field("processor", processor("model name"));
  field("processors", std::thread::hardware_concurrency());
  field("machine", is_virtual ? "virtual" : "metal");
  field("kernel", std::string(system.sysname) + " " + system.release);
  field("compiler", "g++ " __VERSION__);
  field("pinned", options.is_pinned ? "yes" : "no");
  field("seconds", options.seconds);
  field("parked after", std::to_string(options.pause.count()) + " us");
  field("boost", BOOST_LIB_VERSION);
#if defined(BENCH_WITH_ZEROMQ)
  int major = 0;
  int minor = 0;
  int patch = 0;
  ::zmq_version(&major, &minor, &patch);
  field("zeromq",
        std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch));
#endif
  if (!external.mpi.empty()) std::cout << output_of(external.mpirun(1) + " --about") << '\n';
  if (!external.python.empty()) {
    std::cout << output_of(external.python_command() + " --about") << '\n';
  }
  std::cout << std::flush;
}

/// How far apart the processors are now, in nanoseconds: on a virtual machine it changes, by
/// factors.
double line_now() {
  Options brief;
  brief.seconds = 0.004;
  return measure<Line<Spin>>({Case::RoundTrip, kSmall, 1, 1, brief}).p50;
}

/// What a job gives when nothing disturbed it, or after some tries anyway.
std::string measure_in_quiet(Job const& job, std::chrono::seconds patience) {
  constexpr int kMostTries = 5;
  constexpr double kMoved = 1.3;  // far more than two looks at one line differ
  for (int tries = 1;; ++tries) {
    wait_for_quiet(patience);
    auto const before = line_now();
    Disturbance const others;
    auto line = job.entry.measure(job.plan);
    auto const share = others.share();
    auto const after = line_now();
    bool const is_steady = std::max(before, after) < kMoved * std::min(before, after);
    if ((share < kTooMuch && is_steady) || patience.count() == 0 || tries == kMostTries) {
      line.insert(line.rfind('}'), ", \"disturbance\": " + std::to_string(share) +
                                       ", \"line_ns\": " + std::to_string((before + after) / 2));
      return line;
    }
  }
}

void run(std::vector<Job> jobs, unsigned repetitions, std::chrono::seconds patience) {
  std::mt19937 random(std::random_device{}());
  for (unsigned repetition = 1; repetition <= repetitions; ++repetition) {
    std::cerr << "repetition " << repetition << " of " << repetitions << std::endl;
    // What the machine does meanwhile meets all alike.
    std::shuffle(jobs.begin(), jobs.end(), random);
    for (auto const& job : jobs) {
      try {
        std::cout << measure_in_quiet(job, patience) << std::endl;
      } catch (Unsupported const&) {
      } catch (std::exception const& error) {
        std::cerr << job.entry.name << ", " << name_of(job.plan.what) << " of " << job.plan.size
                  << " bytes: " << error.what() << std::endl;
      }
    }
  }
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  CLI::App app("Messages between processes");
  bench::Options options;
  bench::External external;
  unsigned repetitions = 5;
  unsigned patience = 10;
  options.add_to(app);
  app.add_option("--repetitions", repetitions, "Measure all so often, in random order")
      ->capture_default_str();
  app.add_option("--patience", patience,
                 "Before each measurement, wait so many seconds for a machine that others leave "
                 "alone; repeat it when they did not meanwhile. 0: neither")
      ->capture_default_str();
  app.add_option("--mpi", external.mpi, "bench_channel_mpi, for the peer openmpi");
  app.add_option("--python", external.python, "channel.py, for Python's peers");
  CLI11_PARSE(app, argc, argv);
  bench::describe(options, external);
  bench::run(bench::jobs_for(options, bench::all_entries(external)), repetitions,
             std::chrono::seconds(patience));
}
