// SPDX-License-Identifier: BSL-1.0
// The arena under those who use it at once, and are killed anywhere in it.
//
//   MULTIPROCESSING_TEST_ROUNDS        kills of the storm, blocks of each thread
//   MULTIPROCESSING_TEST_STRIDE=1      a kill at every instruction
#include <multiprocessing/shm/arena.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "../support/arena_member.hpp"
#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/stepper.hpp"

namespace arena_storm_test {

using multiprocessing::shm::Arena;
using multiprocessing::shm::Content;
using multiprocessing::shm::Number;

namespace {
constexpr std::uint64_t kRoom = std::uint64_t{4} << 30;

/// This process, which does not enter: its life lock would outlive the arena.
Number this_process(Arena& arena) {
  Number const me = arena.claim(Arena::kNobody);
  arena.participant(me).set_pid(::getpid(), arena.participant(me).generation());
  return me;
}

/// Allocates a block, writes `mark` all over it, and releases it. False when somebody else wrote
/// there.
bool is_alone_in_a_block(Arena& arena, Number me, int mark, std::minstd_rand& random) {
  std::uint64_t const size = 1 + random() % (random() % 8 == 0 ? 100'000 : 2'000);
  Number const block = arena.allocate(me, size);
  auto* const data = arena.data(block);
  auto const has_only = [=](int value) {
    return std::count(data, data + size, std::byte(value)) == static_cast<std::ptrdiff_t>(size);
  };
  if (!has_only(0)) return false;
  std::memset(data, mark, size);
  std::this_thread::yield();
  if (!has_only(mark)) return false;
  arena.release(me, block);
  return true;
}

bool has_only(std::span<std::byte const> bytes, std::byte mark) {
  return std::all_of(bytes.begin(), bytes.end(), [=](std::byte each) { return each == mark; });
}

/// Blocks that wait for whoever takes them, in the memory of a block that owns them.
class Market {
 public:
  Market(Arena& arena, Number block)
      : arena_(arena),
        id_(arena.id(block)),
        places_(new (arena.data(block)) std::array<Place, 8>{}) {}

  static constexpr std::uint64_t kSize = 8 * sizeof(std::atomic<std::uint64_t>);

  /// Takes what is in a place, or puts something there. False when something is wrong with it.
  bool trade(Number me, std::minstd_rand& random) {
    auto& place = (*places_)[random() % places_->size()];
    auto const found = static_cast<Number>(place.exchange(0));
    return found != 0 ? take(me, found - 1) : put(me, place, random);
  }

 private:
  using Place = std::atomic<Number>;  // a block's number and one; 0: none

  std::span<std::byte> text_of(Number envelope, std::size_t references) const {
    return {arena_.data(envelope) + Arena::references_size(references), 100};
  }

  bool put(Number me, Place& place, std::minstd_rand& random) {
    std::byte const mark{static_cast<unsigned char>(random())};
    std::array<Number, 3> targets{};
    for (Number& target : targets) {
      target = arena_.allocate(me, random() % 2 == 0 ? 100 : 40'000, Content::Any);
      std::memset(arena_.data(target), static_cast<int>(mark), 100);
    }
    Number const envelope = arena_.allocate(me, Arena::references_size(3) + 100, Content::Any);
    arena_.refer(envelope, targets);
    std::memset(text_of(envelope, 3).data(), static_cast<int>(mark), 100);
    for (Number const target : targets) arena_.release(me, target);
    arena_.give(envelope, id_);
    Number none = 0;
    if (!place.compare_exchange_strong(none, envelope + 1)) arena_.disown(envelope);
    arena_.release(me, envelope);
    return true;
  }

  bool take(Number me, Number envelope) {
    if (arena_.owner_of(envelope) != id_) return false;
    arena_.adopt(me, envelope);
    auto const list = arena_.references_of(envelope);
    std::vector<Number> const targets(list.begin(), list.end());
    if (targets.size() != 3) return false;
    std::byte const mark = text_of(envelope, 3)[0];
    for (Number const target : targets) {
      if (!arena_.is_referenced(target)) return false;
      arena_.hold(me, target);
    }
    std::this_thread::yield();
    if (!has_only(text_of(envelope, 3), mark)) return false;
    arena_.release(me, envelope);
    std::this_thread::yield();
    for (Number const target : targets) {
      if (!has_only({arena_.data(target), 100}, mark)) return false;
      arena_.release(me, target);
    }
    return true;
  }

  Arena& arena_;
  std::uint64_t id_;
  std::array<Place, 8>* places_;
};

/// Runs `body` in a child that has entered as `place`, and kills it at each stride's instruction.
/// Calls `check` after each death.
template <class Prepare, class Body, class Check>
void kill_everywhere(Arena& arena, Prepare const& prepare, Body const& body, Check const& check) {
  long const stride =
      support::setting("MULTIPROCESSING_TEST_STRIDE", support::kSanitized ? 14'983 : 211);
  auto const attempts = support::for_every_step(0, stride, [&](long n) {
    support::Pipe go;
    arena.trim();  // to clear what is warm takes as many steps as it has bytes
    Number const place = prepare();
    pid_t const pid = ::fork();
    if (pid == 0) {
      go.hear();
      if (arena.enter(place, arena.participant(place).generation())) body(place);
      for (;;) ::pause();
    }
    arena.participant(place).set_pid(pid, arena.participant(place).generation());
    support::wait_until_asleep(pid);
    support::Stepper stepper(pid);
    go.tell();
    bool const still_in_it = stepper.step(n) == n;
    stepper.kill();
    check();
    return still_in_it;
  });
  CHECK(attempts > 2);
}
}  // namespace

TEST_CASE("a storm of kills neither gives a block to two nor loses one", "[arena][stress]") {
  constexpr std::size_t kWorkers = 4;
  Arena arena("test", kRoom);
  Number const me = this_process(arena);
  std::minstd_rand random(1);  // NOLINT: the same run every time
  std::array<std::optional<support::RawChild>, kWorkers> workers;
  auto const kills =
      support::setting("MULTIPROCESSING_TEST_ROUNDS", support::kSanitized ? 30 : 300);
  for (long round = 0; round < kills; ++round) {
    auto& worker = workers[random() % kWorkers];
    if (worker) {
      worker->kill();
      REQUIRE(WTERMSIG(worker->wait()) == SIGKILL);  // else it has found something wrong
    }
    Number const inherited = arena.allocate(me, 100);
    Number const place = arena.claim(me);
    worker.emplace([&, seed = static_cast<unsigned>(random())] {
      std::minstd_rand own(seed);
      if (!arena.enter(place, arena.participant(place).generation())) return 1;
      arena.release(place, inherited);
      while (is_alone_in_a_block(arena, place, static_cast<int>(place) + 1, own)) {
      }
      return 2;
    });
    arena.participant(place).set_pid(worker->pid(), arena.participant(place).generation());
    for (auto i = random() % 100; i > 0; --i) std::this_thread::yield();
    arena.release(me, inherited);
  }
  for (auto& worker : workers) worker.reset();
  arena.bury_the_dead();
  CHECK(arena.used_blocks() == 0);
  CHECK(arena.participants() <= kWorkers + 2);
}

TEST_CASE("a storm of kills takes nothing out of messages, and leaves none behind",
          "[arena][stress]") {
  constexpr std::size_t kWorkers = 4;
  Arena arena("test", kRoom);
  Number const me = this_process(arena);
  Number const owner = arena.allocate(me, Market::kSize);
  Market market(arena, owner);
  std::minstd_rand random(1);  // NOLINT: the same run every time
  std::array<std::optional<support::RawChild>, kWorkers> workers;
  auto const kills =
      support::setting("MULTIPROCESSING_TEST_ROUNDS", support::kSanitized ? 30 : 300);
  for (long round = 0; round < kills; ++round) {
    auto& worker = workers[random() % kWorkers];
    if (worker) {
      worker->kill();
      REQUIRE(WTERMSIG(worker->wait()) == SIGKILL);  // else it has found something wrong
    }
    Number const place = arena.claim(me);
    worker.emplace([&, seed = static_cast<unsigned>(random())] {
      std::minstd_rand own(seed);
      if (!arena.enter(place, arena.participant(place).generation())) return 1;
      while (market.trade(place, own)) {
      }
      return 2;
    });
    arena.participant(place).set_pid(worker->pid(), arena.participant(place).generation());
    for (auto i = random() % 100; i > 0; --i) std::this_thread::yield();
  }
  for (auto& worker : workers) worker.reset();
  arena.bury_the_dead();
  arena.release(me, owner);
  CHECK(arena.used_blocks() == 0);
  arena.trim();
  CHECK(arena.memory() < std::uint64_t{2} << 20);
}

TEST_CASE("who is killed anywhere in entering and allocating loses nothing", "[arena][stress]") {
  Arena arena("test", kRoom);
  support::ArenaMember const member(arena);
  Number const me = member.number();
  Number const mine = arena.allocate(me, 100);
  kill_everywhere(
      arena, [&] { return arena.claim(me); },
      [&](Number place) {
        Number const small = arena.allocate(place, 100);
        Number const large = arena.allocate(place, 100'000);
        arena.release(place, small);
        arena.release(place, large);
        arena.release(place, mine);
      },
      [&] {
        arena.bury_the_dead();
        REQUIRE(arena.used_blocks() == 1);
        REQUIRE(arena.participants() == 2);
        std::minstd_rand random(1);  // NOLINT: the same run every time
        REQUIRE(is_alone_in_a_block(arena, me, 1, random));
      });
}

TEST_CASE("who is killed anywhere in a burial leaves it to the next", "[arena][stress]") {
  Arena arena("test", kRoom);
  support::ArenaMember const member(arena);
  Number const me = member.number();
  Number const mine = arena.allocate(me, 100);
  kill_everywhere(
      arena,
      [&] {
        Number const dead = arena.claim(me);
        Number const place = arena.claim(me);
        arena.allocate(dead, 100);
        arena.allocate(dead, 100'000);
        arena.participant(dead).set_pid(-1, arena.participant(dead).generation());
        return place;
      },
      [&](Number) { arena.bury_the_dead(); },
      [&] {
        arena.bury_the_dead();
        REQUIRE(arena.used_blocks() == 1);
        REQUIRE(arena.participants() == 3);
        std::minstd_rand random(1);  // NOLINT: the same run every time
        REQUIRE(is_alone_in_a_block(arena, me, 1, random));
      });
  arena.release(me, mine);
  CHECK(arena.used_blocks() == 0);
}

TEST_CASE("threads are alone in their blocks", "[arena][threads]") {
  Arena arena("test", kRoom);
  std::array<Number, 2> const members{this_process(arena), this_process(arena)};
  std::atomic<bool> alone{true};
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        std::minstd_rand random(i + 1);  // NOLINT: the same run every time
        auto const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 1000);
        for (long round = 0; round < rounds; ++round) {
          if (!is_alone_in_a_block(arena, members[i % 2], static_cast<int>(i) + 1, random)) {
            alone = false;
          }
        }
      });
    }
    for (int i = 0; i < 100; ++i) arena.bury_the_dead();
  }
  CHECK(alone);
  CHECK(arena.used_blocks() == 0);
}

TEST_CASE("threads hand each other messages that are whole", "[arena][threads]") {
  Arena arena("test", kRoom);
  std::array<Number, 4> const members{this_process(arena), this_process(arena), this_process(arena),
                                      this_process(arena)};
  Number const owner = arena.allocate(members[0], Market::kSize);
  Market market(arena, owner);
  std::atomic<bool> right{true};
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < members.size(); ++i) {
      threads.emplace_back([&, i] {
        std::minstd_rand random(i + 1);  // NOLINT: the same run every time
        auto const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 1000);
        for (long round = 0; round < rounds && right; ++round) {
          if (!market.trade(members[i], random)) right = false;
        }
      });
    }
    for (int i = 0; i < 100; ++i) arena.bury_the_dead();
  }
  CHECK(right);
  arena.release(members[0], owner);
  CHECK(arena.used_blocks() == 0);
}

}  // namespace arena_storm_test
