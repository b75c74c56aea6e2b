// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/process_tree.hpp>

#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <string>
#include <system_error>

#include <thread>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace process_tree_test {

namespace launch = multiprocessing::launch;

namespace {
[[noreturn]] void wait_for_ever() {
  for (;;) ::pause();
}
void end_tree(support::RawChild const& root) {
  ::kill(root.pid(), SIGSTOP);
  launch::kill_branches(root.pid());
  ::kill(root.pid(), SIGKILL);
}

/// Two children each, down to `depth`.
[[noreturn]] void branch(support::Pipe const& alive, int depth) {
  for (int children = 0; children < 2 && depth > 0; ++children) {
    if (::fork() != 0) continue;
    --depth;
    children = -1;
  }
  alive.tell();
  wait_for_ever();
}
}  // namespace

TEST_CASE("a tree ends with all its branches", "[process_tree]") {
  support::Pipe alive;
  support::RawChild root([&] { branch(alive, 3); });
  for (int i = 0; i < 1 + 2 + 4 + 8; ++i) CHECK(alive.hear() == '.');
  end_tree(root);
  CHECK(WTERMSIG(root.wait()) == SIGKILL);
  CHECK(alive.drain().empty());  // end of file: nobody has the pipe any more
}

TEST_CASE("a tree ends that grows meanwhile, in several threads", "[process_tree]") {
  support::Pipe alive;
  support::RawChild root([&] {
    auto const grow = [&] {
      // A chain, whose end goes on, but not for ever.
      for (int length = 0; length < 500; ++length) {
        if (::fork() != 0) wait_for_ever();
        alive.tell();
      }
    };
    std::thread other(grow);
    grow();
  });
  for (int i = 0; i < 10; ++i) CHECK(alive.hear() == '.');
  end_tree(root);
  CHECK(WTERMSIG(root.wait()) == SIGKILL);
  CHECK(alive.drain().size() < 1000);
}

TEST_CASE("who is woken by its parent's end starts nobody", "[process_tree]") {
  support::Pipe alive;
  support::RawChild root([&] {
    for (int i = 0; i < 50; ++i) {
      if (::fork() != 0) continue;
      if (i == 0) {  // an orphaned group of its own that stops is sent SIGHUP and SIGCONT
        std::signal(SIGHUP, SIG_IGN);
        ::setpgid(0, 0);
        alive.tell();
        for (int children = 0; children < 1000 && ::fork() != 0; ++children) {
        }
      }
      wait_for_ever();
    }
    wait_for_ever();
  });
  CHECK(alive.hear() == '.');
  end_tree(root);
  CHECK(WTERMSIG(root.wait()) == SIGKILL);
  CHECK(alive.drain().empty());
}

TEST_CASE("without descriptors to look for others it says so", "[process_tree]") {
  support::RawChild root([] { wait_for_ever(); });
  support::RawChild caller([&] {
    rlimit before;
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit const none{0, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
    std::exception_ptr refusal;
    try {
      launch::kill_branches(root.pid());
    } catch (...) {
      refusal = std::current_exception();
    }
    ::setrlimit(RLIMIT_NOFILE, &before);  // sanitizers need descriptors to look at objects
    auto const text = support::message_of<std::system_error>([&] {
      if (refusal != nullptr) std::rethrow_exception(refusal);
    });
    return text.find("Too many open files") != std::string::npos ? 0 : 1;
  });
  CHECK(caller.wait() == 0);
  root.kill();
  root.wait();
}

TEST_CASE("strangers are left alone", "[process_tree]") {
  support::Pipe go;
  support::RawChild brother([&] { return go.hear() == '.' ? 0 : 1; });
  support::RawChild root([] { wait_for_ever(); });
  end_tree(root);
  CHECK(WTERMSIG(root.wait()) == SIGKILL);
  go.tell();
  CHECK(brother.wait() == 0);
}

TEST_CASE("a tree that has stopped ends, too", "[process_tree]") {
  support::RawChild root([] {
    ::raise(SIGSTOP);
    wait_for_ever();
  });
  support::wait_for_state(root.pid(), "T");
  end_tree(root);
  CHECK(WTERMSIG(root.wait()) == SIGKILL);
}

}  // namespace process_tree_test
