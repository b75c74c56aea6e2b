// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/signals.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace signals_test {

namespace os = multiprocessing::os;

TEST_CASE("signals have their usual names", "[signals]") {
  CHECK(os::signal_name(SIGKILL) == "SIGKILL");
  CHECK(os::signal_name(SIGSEGV) == "SIGSEGV");
  CHECK(os::signal_name(SIGRTMAX) == "signal " + std::to_string(SIGRTMAX));
}

TEST_CASE("signals are described in the middle of a sentence", "[signals]") {
  CHECK(os::signal_description(SIGSEGV) == "segmentation fault");
  CHECK(os::signal_description(SIGFPE) == "floating point exception");
  CHECK(os::signal_description(SIGRTMAX).empty());
}

TEST_CASE("a reset removes handlers and the mask, and keeps what was ignored", "[signals]") {
  support::RawChild child([] {
    std::signal(SIGUSR1, [](int) {});
    std::signal(SIGUSR2, SIG_IGN);
    std::signal(SIGTERM, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    os::reset_signals();
    sigset_t now;
    ::sigprocmask(SIG_BLOCK, nullptr, &now);
    for (int s = 1; s < NSIG; ++s) {
      if (sigismember(&now, s) == 1) return 1;
    }
    auto const disposition = [](int signal) {
      struct sigaction action;
      ::sigaction(signal, nullptr, &action);
      return action.sa_handler;
    };
    if (disposition(SIGUSR1) != SIG_DFL) return 2;
    if (disposition(SIGUSR2) != SIG_IGN) return 3;
    if (disposition(SIGTERM) != SIG_DFL) return 4;
    return 0;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("after a reset the kernel keeps ended children for who waits for them", "[signals]") {
  support::RawChild child([] {
    struct sigaction deaf {};
    deaf.sa_handler = SIG_DFL;
    deaf.sa_flags = SA_NOCLDWAIT;
    ::sigaction(SIGCHLD, &deaf, nullptr);
    os::reset_signals();
    pid_t const pid = ::fork();
    if (pid == 0) ::_exit(7);
    int status = 0;
    return ::waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7 ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("a signal that is ignored says so, until it is handled by default", "[signals]") {
  support::RawChild child([] {
    if (os::is_ignored(SIGUSR1)) return 1;
    os::ignore_signal(SIGUSR1);
    if (!os::is_ignored(SIGUSR1)) return 2;
    ::raise(SIGUSR1);
    os::handle_signal_by_default(SIGUSR1);
    if (os::is_ignored(SIGUSR1)) return 3;
    ::raise(SIGUSR1);
    return 4;
  });
  CHECK(WTERMSIG(child.wait()) == SIGUSR1);
}

TEST_CASE("after a reset a child of a process with threads can have threads and change its user",
          "[signals]") {
  std::thread([] {}).join();  // from now on the C library has handlers of its own
  support::RawChild child([] {
    os::reset_signals();
    std::jthread const another([] { ::pause(); });
    if (::setuid(::getuid()) != 0) ::_exit(1);  // asks all threads, by a signal
    ::_exit(0);
  });
  CHECK(child.wait() == 0);
}

}  // namespace signals_test
