// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/park.hpp>

#include <array>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"

namespace park_test {

using namespace multiprocessing::sync;
using multiprocessing::base::Deadline;
using multiprocessing::shm::LifeLock;
namespace os = multiprocessing::os;
using namespace std::chrono_literals;

namespace {
struct Stage {
  os::FutexWord word{0};
  std::array<LifeLock, 3> lives;
};
}  // namespace

TEST_CASE("a park ends when the word changes, or at its deadline", "[park]") {
  support::InSharedMemory<Stage> const stage;
  CHECK(park({&stage->word, 1}, {}, Deadline::never()));
  auto const deadline = Deadline::after(5ms);
  while (!deadline.passed()) CHECK(park({&stage->word, 0}, {}, deadline));
}

TEST_CASE("a park among the living ends with the death of any of them, for all who park",
          "[park]") {
  for (std::size_t const victim : {0U, 1U, 2U}) {
    support::InSharedMemory<Stage> const stage;
    support::Pipe held;
    std::vector<std::unique_ptr<support::RawChild>> peers;
    for (auto& life : stage->lives) {
      peers.push_back(std::make_unique<support::RawChild>([&] {
        life.hold();
        held.tell();
        for (;;) ::pause();
      }));
      held.hear();
    }
    auto const wait = [&] {
      std::vector<Peer> all;
      for (auto& life : stage->lives) all.emplace_back(life);
      while (park({&stage->word, 0}, all, Deadline::never())) {
      }
    };
    support::RawChild first(wait);
    support::RawChild second(wait);
    support::wait_until_asleep(first.pid());
    support::wait_until_asleep(second.pid());
    peers[victim]->kill();
    CHECK(first.wait() == 0);
    CHECK(second.wait() == 0);
    peers[victim]->wait();
    Peer const dead(stage->lives[victim]);
    CHECK_FALSE(park({&stage->word, 0}, {&dead, 1}, Deadline::never()));
  }
}

TEST_CASE("a peer whose life lock is another's by now is dead", "[park]") {
  support::InSharedMemory<Stage> const stage;
  auto& life = stage->lives[0];
  support::Pipe held;
  support::Pipe go;
  support::RawChild child([&] {
    life.hold();
    held.tell();
    go.hear();
  });
  held.hear();
  Peer const peer(life);
  go.tell();
  child.wait();
  CHECK(life.try_hold());
  CHECK_FALSE(park({&stage->word, 0}, {&peer, 1}, Deadline::never()));
}

}  // namespace park_test
