// SPDX-License-Identifier: BSL-1.0
// The bodies of life_line.hpp.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <csignal>
#include <string>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/life_line.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/signals.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/os/thread.hpp>

namespace multiprocessing::launch {

MULTIPROCESSING_INLINE int LifeLine::reader() {
  os::ForkGateGuard const gate;
  auto& line = instance();
  if (!line.writer) {
    static bool registered = false;  // guarded by the fork gate
    if (!registered) os::register_fork_handlers(nullptr, nullptr, &close_in_child);
    registered = true;
    line = os::create_pipe();
    // Children open it anew, also those that are somebody else by then.
    constexpr mode_t kForAll = 0444;
    ::fchmod(line.reader.get(), kForAll);
  }
  return line.reader.get();
}

MULTIPROCESSING_INLINE os::Pipe& LifeLine::instance() {
  static auto* const line = new os::Pipe;  // outlives all static destructors
  return *line;
}

MULTIPROCESSING_INLINE void die_with(int reader) {
  // A description of its own: whom the kernel tells is noted there.
  auto const path = "/proc/self/fd/" + std::to_string(reader);
  static auto* const own = new os::Fd;  // open as long as the process lives
  *own = os::above_standard(static_cast<int>(
      os::retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); })));
  if (!*own) os::throw_errno("open", path);
  auto const set = [&](int command, int value) {
    if (::fcntl(own->get(), command, value) == -1) os::throw_errno("fcntl", path);
  };
  set(F_SETOWN, os::this_pid());
  set(F_SETSIG, SIGKILL);
  set(F_SETFL, O_ASYNC | O_NONBLOCK);
  bool const is_late = os::is_readable(*own);
  if (is_late) os::raise_kill();
}

}  // namespace multiprocessing::launch
