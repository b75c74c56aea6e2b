// SPDX-License-Identifier: BSL-1.0
// Who this process is, and whose child.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/pidfd.hpp>
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
inline Identity*& current() {
  static Identity* identity = nullptr;
  return identity;
}
inline Identity& main_process() {
  static auto* const identity = new Identity;  // outlives all static destructors
  return *identity;
}
inline int& generation() {
  static int generation = 0;
  return generation;
}
}  // namespace identity_detail

/// Tells this process from its ancestors, also from one whose pid it was given again. Objects that
/// are good for their creator only remember it.
struct Incarnation {
  pid_t pid;
  int generation;

  friend bool operator==(Incarnation const&, Incarnation const&) = default;
};

inline Incarnation this_incarnation() { return {os::this_pid(), identity_detail::generation()}; }

inline Identity& identity() {
  auto* const current = identity_detail::current();
  return current != nullptr ? *current : identity_detail::main_process();
}

/// Called in a child before any thread can look. `who` stays as long as the process.
inline void become(Identity& who) noexcept {
  identity_detail::current() = &who;
  ++identity_detail::generation();
}

/// A descriptor of this process's parent; null when that has ended. Throws: std::system_error.
inline std::shared_ptr<os::Fd const> open_parent(Identity const& who) {
  if (who.parent_pidfd != nullptr) return who.parent_pidfd;
  if (os::parent_pid() != who.parent_pid) return nullptr;
  auto pidfd = std::make_shared<os::Fd const>(os::open_pidfd(who.parent_pid));
  // Still our parent after the open: so it is the parent that was opened.
  return os::parent_pid() == who.parent_pid ? pidfd : nullptr;
}

/// A child of the calling process, of which only name and daemon flag may still change.
inline std::shared_ptr<Identity> new_child_identity() {
  auto& parent = identity();
  auto child = std::make_shared<Identity>();
  int const count = parent.children_started.fetch_add(1) + 1;
  child->number = (parent.number.empty() ? "" : parent.number + ":") + std::to_string(count);
  child->name = "Process-" + child->number;
  child->daemon = parent.daemon;
  child->parent_pid = os::this_pid();
  child->parent_name = parent.name;
  return child;
}

}  // namespace multiprocessing::launch
