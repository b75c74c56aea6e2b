// SPDX-License-Identifier: BSL-1.0
// Who this process is, and whose child.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/process.hpp>

namespace multiprocessing::launch {

/// Threads: safe once a process runs; it changes only where a child becomes itself.
struct Identity {
  std::string name = "MainProcess";
  bool daemon = false;
  pid_t parent_pid = 0;  ///< 0: not started by this library
  std::string parent_name;
  /// Of the parent, where it is not the process that forked this one (a pool's workers).
  std::shared_ptr<os::Fd const> parent_pidfd;
  /// "1:2" of "Process-1:2"; empty in the main process.
  std::string number;
  std::atomic<int> children_started{0};
};

namespace identity_detail {
// Never freed, and constants before the first use: a child that becomes someone touches one page.
Identity*& current();
Identity& main_process();
int& generation();
}  // namespace identity_detail

/// Tells this process from its ancestors, also from one whose pid it was given again. Objects that
/// are good for their creator only remember it.
struct Incarnation {
  pid_t pid;
  int generation;

  friend bool operator==(Incarnation const&, Incarnation const&) = default;
};

inline Incarnation this_incarnation() { return {os::this_pid(), identity_detail::generation()}; }

Identity& identity();

/// Called in a child before any thread can look. `who` stays as long as the process.
void become(Identity& who) noexcept;

/// A descriptor of this process's parent; null when that has ended. Throws: std::system_error.
std::shared_ptr<os::Fd const> open_parent(Identity const& who);

/// A child of the calling process, of which only name and daemon flag may still change.
std::shared_ptr<Identity> new_child_identity();

}  // namespace multiprocessing::launch

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/launch/identity.ipp>
#endif
