// SPDX-License-Identifier: BSL-1.0
// The clean slate that every child starts from: none of its parent's signal handlers, and nothing
// blocked.
#pragma once

#include <csignal>

#include <multiprocessing/os/signals.hpp>

namespace multiprocessing {

/// What Ctrl-C does to a child: a terminal sends SIGINT to all processes of its foreground job, the
/// children among them.
enum class SigintPolicy {
  terminate,  ///< ends it, unless its parent ignores SIGINT
  ignore,     ///< nothing: that is the parent's to answer
};

namespace launch {

/// What comes to be where the parent ignores it.
inline SigintPolicy as_parent_allows(SigintPolicy policy) noexcept {
  return os::is_ignored(SIGINT) ? SigintPolicy::ignore : policy;
}

/// In a child, before any code of the user's. What the parent ignores stays ignored, but for
/// SIGTERM and SIGCHLD.
[[gnu::hot]] inline void start_from_clean_slate(SigintPolicy sigint) noexcept {
  if (sigint == SigintPolicy::ignore) os::ignore_signal(SIGINT);
  os::reset_signals();
}

}  // namespace launch

}  // namespace multiprocessing
