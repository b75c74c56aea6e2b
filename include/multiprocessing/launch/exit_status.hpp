// SPDX-License-Identifier: BSL-1.0
// How a process ended, as a value.
#pragma once

#include <sys/wait.h>

#include <ostream>
#include <string>

#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/signals.hpp>

namespace multiprocessing {

/// Exactly one of exited(), signaled() and unknown() is true.
class ExitStatus {
 public:
  static ExitStatus from(os::ChildEnd const& end) noexcept {
    if (end.state != os::ChildEnd::State::Ended) return {Kind::Unknown, kUnknownExitcode, false};
    if (end.code == CLD_EXITED) return {Kind::Exited, end.status, false};
    return {Kind::Signaled, end.status, end.code == CLD_DUMPED};
  }

  /// It returned, called exit, or threw.
  bool exited() const noexcept { return kind_ == Kind::Exited; }
  /// A signal killed it.
  bool signaled() const noexcept { return kind_ == Kind::Signaled; }
  /// Somebody else in the parent reaped it (a wait() for all children, or SIGCHLD ignored), and the
  /// kernel tells the end of a process only once.
  bool unknown() const noexcept { return kind_ == Kind::Unknown; }

  /// The code it exited with, `-signum` when a signal killed it, 255 when unknown.
  int exitcode() const noexcept { return signaled() ? -value_ : value_; }
  /// The signal that killed it, or 0.
  int signal() const noexcept { return signaled() ? value_ : 0; }
  bool core_dumped() const noexcept { return core_dumped_; }

  /// "exited with code 3", "was killed by SIGKILL", "was killed by SIGSEGV (core dumped)".
  std::string to_string() const {
    if (unknown()) return "ended in an unknown way (another part of the program reaped it)";
    if (exited()) return "exited with code " + std::to_string(value_);
    return "was killed by " + os::signal_name(value_) + (core_dumped_ ? " (core dumped)" : "");
  }

  friend std::ostream& operator<<(std::ostream& out, ExitStatus const& status) {
    return out << status.to_string();
  }
  friend bool operator==(ExitStatus const&, ExitStatus const&) = default;

 private:
  enum class Kind { Exited, Signaled, Unknown };

  static constexpr int kUnknownExitcode = 255;  // what Python's forkserver says then

  ExitStatus(Kind kind, int value, bool core_dumped) noexcept
      : kind_(kind), value_(value), core_dumped_(core_dumped) {}

  Kind kind_;
  int value_;
  bool core_dumped_;
};

}  // namespace multiprocessing
