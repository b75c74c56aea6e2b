// SPDX-License-Identifier: BSL-1.0
// A memory barrier that one thread makes for all others. Who does something often leaves its own
// barrier out, and who has to be seen by it, which is rare, pays for both.
#pragma once

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace multiprocessing::os {

/// From now on barrier_everywhere(), called by any process, reaches this one's threads. False: the
/// kernel (before Linux 4.16) or a sandbox does not let us. Inherited by fork, not by exec; a
/// second call is cheap.
inline bool join_barriers() noexcept {
  return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
}

/// Returns once every thread of the processes that have joined has passed a full memory barrier
/// since the call, this one included. False: nothing has happened, as above. Takes a microsecond,
/// or some 50 where others run and the machine is virtual.
inline bool barrier_everywhere() noexcept {
  return ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0;
}

}  // namespace multiprocessing::os
