// SPDX-License-Identifier: BSL-1.0

#include <multiprocessing/launch/nursery.hpp>

#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace nursery_test {

namespace launch = multiprocessing::launch;
using multiprocessing::base::Deadline;

TEST_CASE("a nursery reports how each child ended", "[nursery]") {
  support::Pipe report;
  auto const handle =
      launch::fork_nursery(launch::new_child_identity(), 2, [&](launch::Nursery& nursery) {
        auto const exits = [] { return 3; };
        auto const crashes = [] {
          ::raise(SIGKILL);
          return 0;
        };
        nursery.start(0, launch::new_child_identity(), exits);
        nursery.start(1, launch::new_child_identity(), crashes);
        int seen = 0;
        while (nursery.running() != 0) {
          for (auto const& ended : nursery.wait(Deadline::never()).ended) {
            bool const right =
                ended.number == 0 ? ended.status.exitcode() == 3 : ended.status.signal() == SIGKILL;
            seen += right ? 1 : 100;
          }
        }
        return seen;
      });
  CHECK(handle.process->wait_until(Deadline::never())->exitcode() == 2);
}

namespace {
/// Starts a child, and says by descriptors whose copies they are, and how it has ended.
int serve_elsewhere(launch::Nursery& nursery, std::vector<multiprocessing::os::Fd> fds) {
  auto const ends = [] { return 3; };
  nursery.start(0, launch::new_child_identity(), ends);
  for (;;) {
    auto const news = nursery.wait(Deadline::never());
    if (news.owner_ended) return 1;
    for (auto const& ended : news.ended) {
      char const code = static_cast<char>(ended.status.exitcode());
      if (::write(fds.at(0).get(), &code, 1) != 1) return 2;
    }
  }
}
}  // namespace

TEST_CASE("a nursery need not be a copy of its owner, and goes with it", "[nursery]") {
  for (auto const method :
       {multiprocessing::StartMethod::spawn, multiprocessing::StartMethod::forkserver}) {
    INFO(method);
    support::Pipe report;
    support::RawChild owner([&] {
      auto const handle = launch::start_nursery(method, launch::new_child_identity(), 1,
                                                &serve_elsewhere, {report.writer.get()});
      report.writer.reset();
      for (;;) ::pause();
    });
    CHECK(report.hear() == 3);
    owner.kill();
    owner.wait();
    CHECK(report.drain().empty());  // end of file: the nursery is gone
  }
}

TEST_CASE("a nursery hears its owner call", "[nursery]") {
  auto const handle =
      launch::fork_nursery(launch::new_child_identity(), 0, [](launch::Nursery& nursery) {
        auto const news = nursery.wait(Deadline::never());
        return news.owner_ended || !news.ended.empty() ? 1 : 0;
      });
  handle.wake();
  CHECK(handle.process->wait_until(Deadline::never())->exitcode() == 0);
}

TEST_CASE("a killed owner is noticed by the nursery", "[nursery]") {
  support::Pipe told;
  support::RawChild owner([&] {
    auto const handle =
        launch::fork_nursery(launch::new_child_identity(), 0, [&](launch::Nursery& nursery) {
          told.tell('s');
          if (nursery.wait(Deadline::never()).owner_ended) told.tell('o');
          return 0;
        });
    for (;;) ::pause();
    return 0;
  });
  CHECK(told.hear() == 's');
  owner.kill();
  owner.wait();
  CHECK(told.hear() == 'o');
  CHECK(told.drain().empty());
}

TEST_CASE("a killed nursery takes its children with it", "[nursery]") {
  support::Pipe alive;
  auto const handle =
      launch::fork_nursery(launch::new_child_identity(), 1, [&](launch::Nursery& nursery) {
        auto const stays = [&] {
          alive.tell();
          for (;;) ::pause();
          return 0;
        };
        nursery.start(0, launch::new_child_identity(), stays);
        for (;;) static_cast<void>(nursery.wait(Deadline::never()));
        return 0;
      });
  alive.hear();
  handle.process->send(SIGKILL);
  handle.process->wait_until(Deadline::never());
  CHECK(alive.drain().empty());  // returns once the child, the last writer, is gone
}

}  // namespace nursery_test
