// SPDX-License-Identifier: BSL-1.0
// Bytes and descriptors as one message between processes that share a socket.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <multiprocessing/os/fd.hpp>

namespace multiprocessing::os {

/// Both ends of a connection that keeps the boundaries of messages. Close-on-exec.
struct SocketPair {
  Fd near;
  Fd far;

  /// `flags`: SOCK_NONBLOCK. Throws: std::system_error.
  static SocketPair create(int flags = 0);
};

/// A message that was received. Of size 0: there is none, and none will come.
struct FdMessage {
  static constexpr std::size_t kMostFds = 16;

  std::size_t size = 0;
  std::vector<Fd> fds;  ///< close-on-exec, above the standard streams; all that were sent, or none
  bool is_cut = false;  ///< this process may not have so many
};

/// Blocks: while the other side's buffer is full, unless the socket or the flags say that it does
/// not. 0, or why it was not sent: EPIPE when there is no other side any more.
/// REQUIRES: at most FdMessage::kMostFds, one byte or more.
int try_send_with_fds(Fd const& socket, std::span<std::byte const> bytes,
                      std::span<int const> fds = {}, int flags = 0) noexcept;
/// The same. Throws: std::system_error.
void send_with_fds(Fd const& socket, std::span<std::byte const> bytes,
                   std::span<int const> fds = {}, int flags = 0);

/// Blocks: until a message comes, or the other side is gone. What does not fit `room` is lost, and
/// so are descriptors that this process may not have; see FdMessage::is_cut.
/// Throws: std::system_error, EAGAIN with MSG_DONTWAIT when there is no message yet.
FdMessage receive_with_fds(Fd const& socket, std::span<std::byte> room, int flags = 0);

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/fd_message.ipp>
#endif
