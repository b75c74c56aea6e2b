// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/life_line.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

namespace launch = multiprocessing::launch;
namespace mp = multiprocessing;

namespace life_line_test {

/// A process whose children hang on its life line; `end` is how it ends, when it is told to.
template <class End>
void lose_parent(int children, End const& end) {
  support::Pipe alive;
  support::Pipe go;
  support::RawChild parent([&] {
    for (int i = 0; i < children; ++i) {
      int const reader = launch::LifeLine::reader();
      if (::fork() != 0) continue;
      go.writer.reset();
      launch::die_with(reader);
      alive.tell();
      for (;;) ::pause();
    }
    go.hear();
    end();
  });
  for (int i = 0; i < children; ++i) alive.hear();
  alive.writer.reset();
  go.tell();
  CHECK(alive.drain().empty());  // returns when none of them is left
  parent.wait();
}

TEST_CASE("children end with their parent, however that ends", "[life_line]") {
  lose_parent(3, [] { ::raise(SIGKILL); });
  lose_parent(3, [] { ::_exit(0); });
  lose_parent(1, [] { ::execl("/bin/true", "true", nullptr); });
}

TEST_CASE("the thread that started them may end", "[life_line]") {
  support::Pipe alive;
  support::RawChild parent([&] {
    std::thread([&] {
      int const reader = launch::LifeLine::reader();
      if (::fork() != 0) return;
      launch::die_with(reader);
      alive.tell();
      for (;;) ::pause();
    }).join();
    alive.tell('t');
    ::pause();
  });
  std::string said{alive.hear()};
  said += alive.hear();
  CHECK(said.find('t') != std::string::npos);  // and its child is alive
  alive.writer.reset();
  parent.kill();
  CHECK(alive.drain().empty());
  parent.wait();
}

TEST_CASE("who is late is killed at once", "[life_line]") {
  auto line = mp::os::create_pipe();
  line.writer.reset();
  support::RawChild child([&] { launch::die_with(line.reader.get()); });
  int const status = child.wait();
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
}

}  // namespace life_line_test
