// SPDX-License-Identifier: BSL-1.0
// Who this process is, and whose child.
#pragma once

#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/pidfd.hpp>

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
inline std::shared_ptr<Identity>& current() {
  static auto* const identity = new std::shared_ptr<Identity>(std::make_shared<Identity>());
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

inline Incarnation this_incarnation() { return {::getpid(), identity_detail::generation()}; }

inline std::shared_ptr<Identity> identity() { return identity_detail::current(); }

/// Called in a child before any thread can look.
inline void become(std::shared_ptr<Identity> who) {
  identity_detail::current() = std::move(who);
  ++identity_detail::generation();
}

/// A child of the calling process, of which only name and daemon flag may still change.
inline std::shared_ptr<Identity> new_child_identity() {
  auto const parent = identity();
  auto child = std::make_shared<Identity>();
  int const count = parent->children_started.fetch_add(1, std::memory_order_relaxed) + 1;
  child->number = (parent->number.empty() ? "" : parent->number + ":") + std::to_string(count);
  child->name = "Process-" + child->number;
  child->daemon = parent->daemon;
  child->parent_pid = ::getpid();
  child->parent_name = parent->name;
  return child;
}

}  // namespace multiprocessing::launch
