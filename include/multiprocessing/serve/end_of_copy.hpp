// SPDX-License-Identifier: BSL-1.0
// User code that a server calls may fork behind its back. The copy would answer its clients, too,
// and locks of other threads may be locked for ever in it.
#pragma once

#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/thread.hpp>

namespace multiprocessing::serve {

/// Around user code: ends a forked copy of the process before that goes on, or unlocks anything.
class EndOfCopy {
 public:
  EndOfCopy() {
    os::count_forks();
    forks_ = os::fork_generation();
  }
  EndOfCopy(EndOfCopy const&) = delete;
  EndOfCopy& operator=(EndOfCopy const&) = delete;
  ~EndOfCopy() {
    if (forks_ != os::fork_generation()) os::exit_now(0);
  }

 private:
  unsigned forks_;
};

}  // namespace multiprocessing::serve
