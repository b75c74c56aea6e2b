// SPDX-License-Identifier: BSL-1.0
// How children are made, and which way is the program's.
#pragma once

#include <array>
#include <atomic>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <multiprocessing/base/errors.hpp>

namespace multiprocessing {

/// fork: the child is a copy of its parent, with one thread; everything can be its argument. The
/// cheapest for a small parent with one thread.
/// spawn: the child is another run of the program; arguments are sent. Takes nothing along,
/// whatever the parent's size and threads. forkserver: the child is a copy of a small process with
/// one thread that was spawned once. The latter two need init(argc, argv) at the beginning of
/// main(). Python: the strings "fork", "spawn" and "forkserver".
enum class StartMethod { fork, spawn, forkserver };

/// "fork", "spawn", "forkserver".
inline constexpr std::string_view to_string(StartMethod method) noexcept {
  constexpr std::array<std::string_view, 3> kNames{"fork", "spawn", "forkserver"};
  return kNames[static_cast<std::size_t>(method)];
}
inline std::ostream& operator<<(std::ostream& out, StartMethod method) {
  return out << to_string(method);
}

namespace launch {

/// The program's own choice. Threads: safe. Fork: inherited.
class DefaultMethod {
 public:
  static DefaultMethod& instance() noexcept {
    static DefaultMethod instance;
    return instance;
  }

  /// False: another has been chosen already, or asked for, which fixes it.
  bool choose(StartMethod method) noexcept {
    auto none = kNone;
    return chosen_.compare_exchange_strong(none, static_cast<int>(method));
  }
  void force(StartMethod method) noexcept { chosen_ = static_cast<int>(method); }

  StartMethod get() noexcept {
    // Looked at first: also an exchange that changes nothing has the page copied after a fork.
    if (chosen_.load() == kNone) choose(StartMethod::fork);
    return static_cast<StartMethod>(chosen_.load());
  }

 private:
  static constexpr int kNone = -1;
  std::atomic<int> chosen_{kNone};
};

}  // namespace launch

}  // namespace multiprocessing
