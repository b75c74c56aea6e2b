// SPDX-License-Identifier: BSL-1.0
// SIGKILL at each moment, see support/scenes.hpp, of everything that changes what keeps a block: no
// block is lost, none is freed that something keeps, and none stays that nothing keeps.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <multiprocessing/shm/arena.hpp>

#include "../support/arena_member.hpp"
#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/scenes.hpp"

namespace kill_in_arena_test {

using multiprocessing::shm::Arena;
using multiprocessing::shm::Content;
using multiprocessing::shm::Number;

namespace {
constexpr std::uint64_t kRoom = std::uint64_t{4} << 30;
constexpr std::uint64_t kLarge = 40'000;
constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;

/// An arena with a participant that this process speaks for, `me`, and a block of it that others
/// belong to: the queue, in a manner of speaking. In its memory the victim notes what it makes.
struct Scene {
  static constexpr Number kNone = Arena::kNobody;

  Arena arena{"test", kRoom};
  support::ArenaMember member{arena};
  Number me = member.number();
  Number queue = arena.allocate(me, 1000);
  std::uint64_t queue_id = arena.id(queue);
  Number* notes = reinterpret_cast<Number*>(arena.data(queue));

  Scene() { std::fill_n(notes, 10, kNone); }

  bool is_in_queue(Number block) const { return arena.owner_of(block) == queue_id; }

  Number give_to_queue(Number who, Number block) {
    arena.give(block, queue_id);
    arena.release(who, block);
    return block;
  }

  void begin() {}
  void victim(Number) {}
  void check() {}

  /// Everything that is left goes with the queue, and `others` blocks stay.
  void end(Number others) {
    arena.release(me, queue);
    arena.bury_the_dead();
    REQUIRE(arena.used_blocks() == others);
    std::vector<Number> blocks;
    for (std::uint64_t const size : {std::uint64_t{100}, kLarge, kLarge}) {
      blocks.push_back(arena.allocate(me, size));
      auto* const data = arena.data(blocks.back());
      REQUIRE(std::all_of(data, data + size, [](std::byte each) { return each == std::byte{}; }));
      std::memset(data, 1, size);
    }
    REQUIRE(blocks[1] != blocks[2]);
    for (Number const block : blocks) arena.release(me, block);
    REQUIRE(arena.used_blocks() == others);
  }
};

/// Runs `body(place)` in a participant of its own, and kills it after `run(stepper, pid)`. What
/// that returned.
template <class Body, class Run>
bool kill_in(Arena& arena, Body const& body, Run const& run) {
  support::Pipe ready;
  support::Pipe go;
  Number const place = arena.claim(Arena::kNobody);
  auto const generation = arena.participant(place).generation();
  support::RawChild victim([&] {
    if (!arena.enter(place, generation)) return;
    ready.tell();
    go.hear();
    body(place);
    for (;;) ::pause();
  });
  arena.participant(place).set_pid(victim.pid(), generation);
  ready.hear();
  support::wait_until_asleep(victim.pid());
  support::Stepper stepper(victim.pid());
  go.tell();
  bool const result = run(stepper, victim.pid());
  stepper.kill();
  return result;
}

/// For Stepper: `n` instructions.
auto steps(long n) {
  return [n](support::Stepper& stepper, pid_t) { return stepper.step(n) == n; };
}

template <class Scene, class Run>
bool play(Run const& run) {
  Scene scene;
  scene.begin();
  bool const result = kill_in(
      scene.arena, [&](Number place) { scene.victim(place); }, run);
  scene.arena.bury_the_dead();
  scene.check();
  return result;
}

template <class Scene>
void kill_at_every_step(long usual_stride = 1) {
  auto const attempts = support::for_every_change(support::stride(usual_stride),
                                                  [](auto const& run) { return play<Scene>(run); });
  CHECK(attempts > 1);
}
}  // namespace

TEST_CASE("a block is given away: killed at every step", "[faults]") {
  struct Give : Scene {
    void victim(Number place) {
      notes[0] = arena.allocate(place, 100, Content::Any);
      give_to_queue(place, notes[0]);
    }
    void check() {
      REQUIRE(arena.used_blocks() == (notes[0] != kNone && is_in_queue(notes[0]) ? 2 : 1));
      end(0);
    }
  };
  kill_at_every_step<Give>();
}

TEST_CASE("a block is adopted, or disowned, and freed: killed at every step", "[faults]") {
  struct Adopt : Scene {
    Number block = give_to_queue(me, arena.allocate(me, kLarge, Content::Any));
    void victim(Number place) {
      arena.adopt(place, block);
      arena.release(place, block);
    }
    void check() {
      REQUIRE(arena.used_blocks() == (is_in_queue(block) ? 2 : 1));
      end(0);
    }
  };
  struct Disown : Adopt {
    void victim(Number) { arena.disown(block); }
  };
  kill_at_every_step<Adopt>();
  kill_at_every_step<Disown>();
}

TEST_CASE("an owner is freed: killed at every step", "[faults]") {
  struct Free : Scene {
    std::array<Number, 4> blocks{};
    Number held = 0;
    void begin() {
      for (Number& block : blocks) block = arena.allocate(me, 100);
      held = blocks[3];
      arena.give(blocks[0], queue_id);
      arena.give(blocks[1], arena.id(blocks[0]));  // in front of ..
      arena.give(blocks[2], arena.id(blocks[1]));
      arena.give(held, arena.id(blocks[0]));
      for (Number const block : blocks) {
        if (block != held) arena.release(me, block);
      }
    }
    void victim(Number place) {
      arena.hold(place, queue);
      notes[1] = 1;
      arena.release(me, queue);  // for this process
      arena.release(place, queue);
    }
    void check() {
      // The notes are gone, too.
      if (arena.holds(me, queue)) {
        REQUIRE(arena.used_blocks() == 5);
      } else {
        REQUIRE(arena.used_blocks() == 1);
      }
      end(1);
      arena.release(me, held);
      REQUIRE(arena.used_blocks() == 0);
    }
  };
  kill_at_every_step<Free>();
}

namespace {
/// A message with two references: to a block of this process, and to one that only it keeps.
struct Message : Scene {
  Number mine = arena.allocate(me, 100);

  Number send(Number who, Number* keeps) {
    Number const target = *keeps = arena.allocate(who, kLarge, Content::Any);
    if (who != me) arena.hold(who, mine);
    Number const envelope = arena.allocate(who, 1000, Content::Any);
    arena.refer(envelope, std::array{mine, target, mine});
    give_to_queue(who, envelope);
    if (who != me) arena.release(who, mine);
    arena.release(who, target);
    return envelope;
  }
  /// The message is there with all that it needs, or nothing of it is.
  void check_whole(bool is_there) {
    REQUIRE(arena.used_blocks() == (is_there ? 4 : 2));
    REQUIRE(arena.is_referenced(mine) == is_there);
    end(1);
    REQUIRE_FALSE(arena.is_referenced(mine));
    arena.release(me, mine);
    REQUIRE(arena.used_blocks() == 0);
  }
};
}  // namespace

TEST_CASE("a message with references is sent: killed at every step", "[faults]") {
  struct Send : Message {
    void victim(Number place) { notes[1] = send(place, &notes[0]); }
    void check() {
      bool is_there = false;
      for (Number block = 0; block < 4; ++block) {
        is_there |= arena.exists(arena.id(block)) && is_in_queue(block);
      }
      check_whole(is_there);
    }
  };
  kill_at_every_step<Send>(2);
}

TEST_CASE("a message with references is received: killed at every step", "[faults]") {
  struct Receive : Message {
    Number target = 0;
    Number envelope = send(me, &target);
    void victim(Number place) {
      arena.adopt(place, envelope);
      auto const references = arena.references_of(envelope);
      for (Number const each : references) arena.hold(place, each);
      arena.release(place, envelope);
      arena.release(place, mine);
      arena.release(place, target);
    }
    void check() { check_whole(is_in_queue(envelope)); }
  };
  struct Drop : Receive {
    void victim(Number) { arena.disown(envelope); }
  };
  kill_at_every_step<Receive>(2);
  kill_at_every_step<Drop>();
}

TEST_CASE("a hold is taken and given back: killed at every step", "[faults]") {
  struct Hold : Scene {
    void victim(Number place) {
      arena.hold(place, queue);  // its first: memory for it has to be had
      arena.release(place, queue);
      arena.hold(place, queue);
    }
    void check() {
      REQUIRE(arena.used_blocks() == 1);
      end(0);
    }
  };
  kill_at_every_step<Hold>();
}

TEST_CASE("memory is kept warm, grows and is given back: killed at every step", "[faults]") {
  struct Warm : Scene {
    void begin() {
      std::array<Number, 14> blocks{};
      for (Number& block : blocks) block = arena.allocate(me, 14 * kMegabyte, Content::Any);
      for (Number const block : blocks) arena.release(me, block);
      arena.release(me, arena.allocate(me, 11 * kMegabyte, Content::Any));
      arena.release(me, arena.allocate(me, 33'000, Content::Any));
    }
    void victim(Number place) {
      arena.release(place, arena.allocate(place, 39'000, Content::Any));  // grows
      Number const large = arena.allocate(place, 7 * kMegabyte, Content::Any);
      arena.release(place, large);  // costs another one its memory
    }
    void check() {
      REQUIRE(arena.used_blocks() == 1);
      REQUIRE(arena.memory() < 209 * kMegabyte);
      arena.trim();
      REQUIRE(arena.memory() < kMegabyte);
      end(0);
    }
  };
  // Too much memory to look for changes in.
  auto const attempts = support::for_every_step(0, std::max(101L, support::stride(443)),
                                                [](long n) { return play<Warm>(steps(n)); });
  CHECK(attempts > 1);
}

TEST_CASE("what a killed process left half done is repaired: killed at every step", "[faults]") {
  struct Repair : Message {
    Number target = 0;
    Number envelope = send(me, &target);
  };
  // The first is killed about everywhere, so often inside; the second when it repairs that.
  long const stride = support::stride(3);
  for (long first = 100; first < 6000; first += stride == 1 ? 499 : 1499) {
    auto const attempts = support::for_every_change(stride, [&](auto const& run) {
      Repair scene;
      auto const disown_and_send = [&](Number place) {
        scene.arena.disown(scene.envelope);
        scene.send(place, &scene.notes[0]);
      };
      kill_in(scene.arena, disown_and_send, steps(first));
      bool const all_taken = kill_in(
          scene.arena, [&](Number) { scene.arena.bury_the_dead(); }, run);
      scene.arena.bury_the_dead();
      bool is_there = false;
      for (Number block = 0; block < 8; ++block) {
        is_there |= scene.arena.exists(scene.arena.id(block)) && scene.is_in_queue(block);
      }
      scene.check_whole(is_there);
      return all_taken;
    });
    CHECK(attempts > 1);
  }
}

}  // namespace kill_in_arena_test
