// SPDX-License-Identifier: BSL-1.0
// How a process ended, as a value.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <ostream>
#include <string>

#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/signals.hpp>

namespace multiprocessing {

/// What a process used in its life: peak_memory, user_time, system_time. Zeros when its end is
/// unknown(). Python: the third value of os.wait4
struct ResourceUsage : os::ChildUsage {
  /// "peak memory 12.5 MiB, processor time 0.250 s"
  friend std::ostream& operator<<(std::ostream& out, ResourceUsage const& usage) {
    constexpr double kMiB = 1024 * 1024;
    std::chrono::duration<double> const time = usage.user_time + usage.system_time;
    std::array<char, 100> text;
    std::snprintf(text.data(), text.size(), "peak memory %.1f MiB, processor time %.3f s",
                  static_cast<double>(usage.peak_memory) / kMiB, time.count());
    return out << text.data();
  }
};

/// Exactly one of exited(), signaled() and unknown() is true.
class ExitStatus {
 public:
  /// Not called by users.
  static ExitStatus from(os::ChildEnd const& end) noexcept {
    if (end.state != os::ChildEnd::State::Ended) return {Kind::Unknown, kUnknownExitcode, false};
    ResourceUsage const usage{end.usage};
    if (end.code == CLD_EXITED) return {Kind::Exited, end.status, false, usage};
    return {Kind::Signaled, end.status, end.code == CLD_DUMPED, usage};
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
  ResourceUsage const& usage() const noexcept { return usage_; }

  /// "exited with code 3", "was killed by SIGKILL", "was killed by SIGSEGV (core dumped)".
  std::string to_string() const {
    if (unknown()) return "ended in an unknown way (another part of the program reaped it)";
    if (exited()) return "exited with code " + std::to_string(value_);
    return "was killed by " + os::signal_name(value_) + (core_dumped_ ? " (core dumped)" : "");
  }

  friend std::ostream& operator<<(std::ostream& out, ExitStatus const& status) {
    return out << status.to_string();
  }
  /// Whether they ended alike, whatever they used.
  friend bool operator==(ExitStatus const& a, ExitStatus const& b) noexcept {
    return a.kind_ == b.kind_ && a.value_ == b.value_ && a.core_dumped_ == b.core_dumped_;
  }

 private:
  enum class Kind { Exited, Signaled, Unknown };

  static constexpr int kUnknownExitcode = 255;  // what Python's forkserver says then

  ExitStatus(Kind kind, int value, bool core_dumped, ResourceUsage const& usage = {}) noexcept
      : kind_(kind), value_(value), core_dumped_(core_dumped), usage_(usage) {}

  Kind kind_;
  int value_;
  bool core_dumped_;
  ResourceUsage usage_;
};

}  // namespace multiprocessing
