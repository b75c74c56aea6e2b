// SPDX-License-Identifier: BSL-1.0
// The bodies of identity.hpp.
#pragma once

#include <memory>
#include <string>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/process.hpp>

namespace multiprocessing::launch {
namespace identity_detail {

MULTIPROCESSING_INLINE Identity*& current() {
  static Identity* identity = nullptr;
  return identity;
}

MULTIPROCESSING_INLINE Identity& main_process() {
  static auto* const identity = new Identity;  // outlives all static destructors
  return *identity;
}

MULTIPROCESSING_INLINE int& generation() {
  static int generation = 0;
  return generation;
}

}  // namespace identity_detail

MULTIPROCESSING_INLINE Identity& identity() {
  auto* const current = identity_detail::current();
  return current != nullptr ? *current : identity_detail::main_process();
}

MULTIPROCESSING_INLINE void become(Identity& who) noexcept {
  identity_detail::current() = &who;
  ++identity_detail::generation();
}

MULTIPROCESSING_INLINE std::shared_ptr<os::Fd const> open_parent(Identity const& who) {
  if (who.parent_pidfd != nullptr) return who.parent_pidfd;
  if (os::parent_pid() != who.parent_pid) return nullptr;
  auto pidfd = std::make_shared<os::Fd const>(os::open_pidfd(who.parent_pid));
  // Still our parent after the open: so it is the parent that was opened.
  return os::parent_pid() == who.parent_pid ? pidfd : nullptr;
}

MULTIPROCESSING_INLINE std::shared_ptr<Identity> new_child_identity() {
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
