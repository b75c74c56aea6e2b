// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/sigint_policy.hpp>

#include <signal.h>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace sigint_policy_test {

using multiprocessing::SigintPolicy;

namespace {
auto disposition(int signal) {
  struct sigaction action {};
  ::sigaction(signal, nullptr, &action);
  return action.sa_handler;
}

/// In a process with a handler, an ignored and a blocked signal that then starts afresh.
template <class Question>
bool after_clean_slate(SigintPolicy policy, Question const& question) {
  support::RawChild child([&] {
    for (int const signal : {SIGUSR1, SIGINT, SIGCHLD}) std::signal(signal, [](int) {});
    for (int const signal : {SIGHUP, SIGTERM}) std::signal(signal, SIG_IGN);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    multiprocessing::launch::start_from_clean_slate(policy);
    return question() ? 0 : 1;
  });
  return child.wait() == 0;
}
}  // namespace

TEST_CASE("of handlers nothing is left, and nothing is blocked", "[sigint_policy]") {
  CHECK(after_clean_slate(SigintPolicy::terminate, [] {
    sigset_t blocked;
    ::sigprocmask(SIG_BLOCK, nullptr, &blocked);
    return sigismember(&blocked, SIGUSR2) == 0 && disposition(SIGUSR1) == SIG_DFL &&
           disposition(SIGINT) == SIG_DFL && disposition(SIGCHLD) == SIG_DFL;
  }));
}

TEST_CASE("what is ignored stays so, but not how one is asked to end", "[sigint_policy]") {
  CHECK(after_clean_slate(SigintPolicy::terminate, [] {
    return disposition(SIGHUP) == SIG_IGN && disposition(SIGTERM) == SIG_DFL;
  }));
}

TEST_CASE("Ctrl-C is the parent's to answer where it is ignored", "[sigint_policy]") {
  CHECK(after_clean_slate(SigintPolicy::ignore, [] { return disposition(SIGINT) == SIG_IGN; }));
}

}  // namespace sigint_policy_test
