// SPDX-License-Identifier: BSL-1.0
// The bodies of vault.hpp.
#pragma once

#include <cerrno>
#include <cstddef>
#include <exception>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/fd_queue.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/shm/arena.hpp>
#include <multiprocessing/shm/vault.hpp>

namespace multiprocessing::shm {

MULTIPROCESSING_INLINE void Vault::put(Number block, int fd) {
  os::ForkGateGuard const gate;
  Guarded const guarded(*this);
  close_unwanted();
  auto& fds = os::is_file(fd) ? files_ : others_;
  arena_.mark_vaulted(block);
  try {
    if (fds.size() < kMost && fds.push(arena_.id(block), fd)) return;
    os::throw_error(ENOBUFS, "send", "too many descriptors are under way that nobody receives");
  } catch (...) {
    arena_.unmark_vaulted(block);
    throw;
  }
}

MULTIPROCESSING_INLINE os::Fd Vault::take(Number block) {
  os::ForkGateGuard const gate;
  Guarded const guarded(*this);
  for (auto* const fds : {&files_, &others_}) {
    for (std::size_t index = 0, size = fds->size(); index < size; ++index) {
      if (fds->number_at(index) != arena_.id(block)) continue;
      auto fd = fds->fd_at(index);
      if (index > 0) arena_.vault_has_gaps() = true;
      arena_.unmark_vaulted(block);
      close_unwanted();
      return fd;
    }
  }
  return {};
}

MULTIPROCESSING_INLINE void Vault::tidy() noexcept {
  if (!arena_.take_freed_vaulted()) return;
  try {
    Guarded const guarded(*this);
    arena_.vault_has_gaps() = true;  // perhaps
    pop_unwanted();
  } catch (std::exception const&) {  // they stay until somebody comes
  }
}

MULTIPROCESSING_INLINE std::size_t Vault::size() {
  Guarded const guarded(*this);
  return files_.size() + others_.size();
}

MULTIPROCESSING_INLINE Vault::Guarded::Guarded(Vault& vault) : guard_(vault.arena_.vault_guard()) {
  if (guard_.lock() == os::Acquired::Recovered) vault.arena_.vault_has_gaps() = true;
}

MULTIPROCESSING_INLINE bool Vault::is_wanted_at(os::FdQueue const& fds, std::size_t index) const {
  return arena_.is_vaulted(fds.number_at(index));
}

MULTIPROCESSING_INLINE void Vault::pop_unwanted() {
  for (auto* const fds : {&files_, &others_}) {
    while (fds->size() > 0 && !is_wanted_at(*fds, 0)) fds->pop();
  }
}

MULTIPROCESSING_INLINE void Vault::close_unwanted() noexcept {
  try {
    pop_unwanted();
    if (!arena_.vault_has_gaps()) return;
    for (auto left = count_gaps(); left > 0;) {
      if (is_wanted_at(others_, 0)) {
        if (!others_.push(others_.number_at(0), others_.fd_at(0).get())) return;
      } else {
        --left;
      }
      others_.pop();
    }
    arena_.vault_has_gaps() = false;
  } catch (std::exception const&) {  // no descriptor to spare: the gaps are closed another time
  }
}

MULTIPROCESSING_INLINE std::size_t Vault::count_gaps() const {
  std::size_t gaps = 0;
  for (std::size_t index = 0, size = others_.size(); index < size; ++index) {
    gaps += is_wanted_at(others_, index) ? 0 : 1;
  }
  return gaps;
}

}  // namespace multiprocessing::shm
