// SPDX-License-Identifier: BSL-1.0
// SIGKILL at each moment of what a child does in a scene, and what must be right afterwards.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <vector>

#include "helpers.hpp"
#include "shared_state.hpp"
#include "stepper.hpp"

namespace support {

inline bool has_ended(RawChild const& child) {
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOHANG | WNOWAIT);
  return info.si_pid != 0;
}

/// Children that do something which blocks, and exit with what it returns.
class Survivors {
 public:
  /// Returns when all of them sleep.
  template <class Body>
  Survivors(int count, Body const& body) {
    for (int i = 0; i < count; ++i) {
      children_.push_back(std::make_unique<RawChild>(body));
      wait_until_asleep(children_.back()->pid());
    }
  }

  /// Waits until they have ended, or `are_right` to sleep on; true: ended. The watchdog bites when
  /// they sleep and are wrong.
  template <class AreRight>
  bool end_unless(AreRight const& are_right) const {
    for (;;) {
      if (std::all_of(children_.begin(), children_.end(), [](auto& c) { return has_ended(*c); })) {
        return true;
      }
      for (auto const& child : children_) {
        if (!has_ended(*child)) wait_until_asleep_or_ended(child->pid());
      }
      if (are_right()) return false;
    }
  }
  int ended() const {
    return static_cast<int>(std::count_if(children_.begin(), children_.end(),
                                          [](auto const& child) { return has_ended(*child); }));
  }
  /// Blocks until all have ended; the sum of their exit codes.
  int wait() {
    int sum = 0;
    for (auto& child : children_) {
      int const status = child->wait();
      sum += WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
    }
    return sum;
  }

 private:
  std::vector<std::unique_ptr<RawChild>> children_;
};

enum class Steps {
  OfTheCall,       ///< from its first instruction until it returns, or sleeps
  AfterItsWaking,  ///< the call sleeps; from where `wake` wakes it until it returns
};

/// What a scene has, and does not care for.
struct Scene {
  void prepare() {}  ///< run by the victim before
  void begin() {}    ///< run by this process then
  void victim() {}   ///< run by the child that is killed
  void wake() {}     ///< for Steps::AfterItsWaking
};

namespace scenes_detail {
/// Plays a scene until `run(stepper, victim)`, kills the victim there, and looks at what is left.
/// What `run` returned.
template <Steps steps, class Make, class Run>
bool play(Make const& make, Run const& run) {
  auto scene = make();
  Pipe ready;
  Pipe go;
  RawChild victim([&] {
    scene.prepare();
    ready.tell();
    if (steps == Steps::OfTheCall) go.hear();
    scene.victim();
    for (;;) ::pause();
  });
  ready.hear();
  wait_until_asleep(victim.pid());
  scene.begin();
  Stepper stepper(victim.pid());
  go.tell();
  if (steps == Steps::AfterItsWaking) scene.wake();
  bool const result = run(stepper, victim.pid());
  stepper.kill();
  victim.forget();  // the stepper has reaped it
  scene.check();
  return result;
}
}  // namespace scenes_detail

/// `play(run)` plays a scene until `run(stepper, victim)`, kills the victim there, looks at what is
/// left, and returns what `run` did. Once for each moment that others can tell from the one before:
/// the victim has not begun, or has just changed what it shares with others, or made a system call;
/// of these, every `stride`th. How many there were.
template <class Play>
long for_every_change(long stride, Play const& play_as_it_is) {
  auto const play = [&](auto const& run) {
    // Who wants a large piece of memory joins all the small ones that were freed. Here, or the
    // victim does it: 600'000 steps that nobody else sees.
    void* volatile const large = std::malloc(1 << 16);
    std::free(large);
    return play_as_it_is(run);
  };
  std::set<SharedLine> lines;
  play([&](Stepper& stepper, pid_t victim) {  // to its end, to learn where it writes
    SharedState state(victim, lines);
    state.changed_anywhere();
    while (stepper.step(1) == 1) state.changed_anywhere();
    return true;
  });
  // It may take another way now and then: the fifth, for there may be few, then every 50th.
  constexpr long kBetweenFullLooks = 50;
  return for_every_step(0, stride, [&](long n) {
    bool const is_full = n / stride % kBetweenFullLooks == 4;
    return play([&](Stepper& stepper, pid_t victim) {
      SharedState state(victim, lines);
      if (is_full) state.changed_anywhere();
      for (long changes = 0; changes < n;) {
        bool const is_call = stepper.is_at_system_call();
        if (stepper.step(1) != 1) return false;
        bool const has_changed = is_full ? state.changed_anywhere() : state.changed();
        if (has_changed || is_call) ++changes;
      }
      return true;
    });
  });
}

/// The same with scenes that `make()` returns; check() is run afterwards.
template <Steps steps = Steps::OfTheCall, class Make>
long kill_at_every_step(long stride, Make const& make) {
  return for_every_change(stride,
                          [&](auto const& run) { return scenes_detail::play<steps>(make, run); });
}

/// How many of the moments make a test: one of `usual`, so that it takes some seconds; odd where
/// there are loops, so that not always the same steps of them are met. The sanitizers are slow.
///   MULTIPROCESSING_TEST_STRIDE=1      all of them
inline long stride(long usual) {
  long const in_slow_motion = usual == 1 ? 1 : 4 * usual - 1;  // where there are few, all of them
  return setting("MULTIPROCESSING_TEST_STRIDE", kSanitized ? in_slow_motion : usual);
}

}  // namespace support
