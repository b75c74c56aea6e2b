// SPDX-License-Identifier: BSL-1.0
// A service that is told to end (SIGTERM, Ctrl-C) takes no more work, and finishes what it has.
#include <sys/signalfd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iostream>
#include <thread>
#include <vector>

#include <multiprocessing/fd.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/wait.hpp>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

void submit_for_ever(mp::Connection<int, void> const& jobs) {
  for (int i = 0;; ++i) {
    jobs.send(i);
    std::this_thread::sleep_for(20ms);
  }
}

void handle(int) { std::this_thread::sleep_for(10ms); }

int main() {
  sigset_t signals;  // no handler: the signals are read, where the program wants to
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // what is started from now on blocks nothing
  mp::Fd const told_to_end(::signalfd(-1, &signals, SFD_CLOEXEC));

  // Who ends a service may signal all of its processes: workers are to finish, and leave it to us.
  mp::Pool pool({.processes = 2, .initializer = [] { std::signal(SIGTERM, SIG_IGN); }});
  auto [jobs, their_end] = mp::Pipe<int>(mp::one_way);
  mp::Process client({.daemon = true}, submit_for_ever, their_end);  // we keep it, too: no EOFError
  client.start();

  std::vector<mp::AsyncResult<void>> results;
  std::cout << "serving" << std::endl;
  for (;;) {
    auto const ready = mp::wait({told_to_end.get(), &jobs});  // of both, in this order
    if (ready.front() == told_to_end.get()) break;
    results.push_back(pool.apply_async(handle, jobs.recv()));
  }
  std::cout << "told to end" << std::endl;
  pool.close();
  if (!pool.join_for(10s)) pool.terminate();  // what still runs then is given up
  bool const all =
      std::all_of(results.begin(), results.end(), [](auto& it) { return it.successful(); });
  std::cout << (all ? "all that was taken is done\n" : "some is lost\n");
}  // the client is a daemon: it ends with us
