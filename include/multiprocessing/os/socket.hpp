// SPDX-License-Identifier: BSL-1.0
// Stream sockets: listening, connecting, and bytes in both directions. All are close-on-exec, and
// no write to a socket without a peer raises SIGPIPE.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/socket_address.hpp>

namespace multiprocessing::os {

namespace socket_detail {

void set_option(Fd const& socket, int level, int option, int value);

Fd create(int family);

/// What a connection needs. A machine that vanishes says nothing: after a minute of silence TCP
/// asks the other side whether it is there, and gives up after another half.
void prepare_connection(Fd const& socket, int family);

/// Errors by which the kernel says that the other side of a connection is not there.
bool means_peer_is_gone(int error) noexcept;

}  // namespace socket_detail

/// A socket that others can connect to; `backlog` of them wait until they are accepted. An address
/// whose last listener is gone can be had at once, but a path that is there can not.
/// Throws: std::system_error.
Fd listen_at(SocketAddress const& address, int backlog);

/// Held while a path is bound, or looked at and removed first: of two that find the same dead
/// listener there, the second would remove what the first has made; and one that is bound, but does
/// not listen yet, looks dead. Advisory; goes with its holder.
class FolderLock {
 public:
  /// Of the folder of `path`. Blocks: while another has it, for a second at most.
  explicit FolderLock(std::string const& path);
  FolderLock(FolderLock const&) = delete;
  FolderLock& operator=(FolderLock const&) = delete;
  /// Also where a child was forked meanwhile, and has a copy of the descriptor.
  ~FolderLock();

  bool is_mine() const noexcept { return is_mine_; }

 private:
  Fd folder_;
  bool is_mine_ = false;
};

/// Removes the file of a listener that is gone. False: somebody listens there, or it is no socket.
/// Throws: std::system_error. REQUIRES: a FolderLock.
bool remove_stale_path(std::string const& path);

inline void remove_file(std::string const& path) noexcept { ::unlink(path.c_str()); }

/// Where a socket is: with the port that the kernel chose. Throws: std::system_error.
SocketAddress local_address(Fd const& socket);

struct Accepted {
  Fd socket;
  SocketAddress peer;
};

/// The next one who has connected; nullopt when there is none. Does not block.
/// Throws: std::system_error, also when no descriptor is left; then the other one goes on waiting.
std::optional<Accepted> accept_from(int listening);

/// A socket connected to `address`; empty once the deadline has passed.
/// Blocks: while the backlog of the listener is full; over TCP, until the other machine answers.
/// Throws: std::system_error, ECONNREFUSED when nobody listens there.
Fd connect_to(SocketAddress const& address, base::Deadline deadline);

/// The user who has the other end of a local connection: who connected, or made the listener.
/// Throws: std::system_error.
uid_t peer_user(int socket);

inline uid_t this_user() noexcept { return ::geteuid(); }

/// What a transfer came to.
enum class Transfer {
  Some,
  WouldBlock,
  PeerGone,
};
struct [[nodiscard]] Transferred {
  Transfer result;
  std::size_t bytes = 0;
};

namespace socket_detail {
Transferred transferred(ssize_t length, char const* call);
}  // namespace socket_detail

/// Sends what there is room for, at least a byte. Does not block. Throws: std::system_error.
Transferred send_some(int socket, std::span<iovec> parts);

/// Receives what is there, at least a byte. Does not block. Throws: std::system_error.
/// REQUIRES: room for a byte.
Transferred receive_some(int socket, std::span<std::byte> room);

/// The other end sees the end of file behind what was sent, whoever else holds this one.
inline void end_sending(int socket) noexcept { ::shutdown(socket, SHUT_WR); }

/// Ends the connection in both directions, whoever else holds this end.
inline void end_connection(int socket) noexcept { ::shutdown(socket, SHUT_RDWR); }

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/socket.ipp>
#endif
