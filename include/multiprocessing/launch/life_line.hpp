// SPDX-License-Identifier: BSL-1.0
// Processes that end with their parent, however it ends, and whichever of its threads has started
// them. The parent has the writing end of a pipe, and nobody else has; the kernel sends a signal to
// who waits for that pipe when the end is closed.
//
// (PR_SET_PDEATHSIG would mean the thread that forked, not the process.)
#pragma once

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/poll.hpp>

namespace multiprocessing::launch {

/// Of the calling process; made when the first child wants it. Threads: safe. Fork: the child has
/// none yet.
class LifeLine {
 public:
  /// The reading end, for children. Throws: std::system_error.
  static int reader();

 private:
  static os::Pipe& instance();
  /// The reading end stays for who was handed it, until that has a description of its own.
  static void close_in_child() { instance().writer.reset(); }
};

/// The kernel kills this process when the one ends whose LifeLine::reader() this is a copy of; it
/// is killed now if that has happened already. Throws: std::system_error.
void die_with(int reader);

}  // namespace multiprocessing::launch

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/launch/life_line.ipp>
#endif
