// SPDX-License-Identifier: BSL-1.0
// The bodies of socket.hpp.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/socket.hpp>
#include <multiprocessing/os/socket_address.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {
namespace socket_detail {

MULTIPROCESSING_INLINE void set_option(Fd const& socket, int level, int option, int value) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof value) == -1) {
    throw_errno("setsockopt", std::to_string(option));
  }
}

MULTIPROCESSING_INLINE Fd create(int family) {
  Fd fd = above_standard(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw_errno("socket", std::to_string(family));
  return fd;
}

MULTIPROCESSING_INLINE void prepare_connection(Fd const& socket, int family) {
  if (family != AF_INET && family != AF_INET6) return;
  constexpr int kSilence = 60;                      // seconds
  constexpr int kInterval = 5;                      // seconds
  constexpr int kQuestions = 6;                     // without an answer
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);  // messages do not wait for each other
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, kSilence);
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, kInterval);
  set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, kQuestions);
  set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000 * (kSilence + kInterval * kQuestions));
}

MULTIPROCESSING_INLINE bool means_peer_is_gone(int error) noexcept {
  return error == EPIPE || error == ECONNRESET || error == ECONNABORTED || error == ETIMEDOUT ||
         error == EHOSTUNREACH || error == ENETUNREACH || error == ENETDOWN;
}

}  // namespace socket_detail

MULTIPROCESSING_INLINE Fd listen_at(SocketAddress const& address, int backlog) {
  Fd socket = socket_detail::create(address.family());
  // accept_from() asks poll first, and another process may be faster: it must not block then.
  if (::fcntl(socket.get(), F_SETFL, O_NONBLOCK) == -1) throw_errno("fcntl", "O_NONBLOCK");
  if (address.family() != AF_UNIX) socket_detail::set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(socket.get(), address.get(), address.size()) == -1) {
    throw_errno("bind", address.text());
  }
  if (::listen(socket.get(), backlog) == -1) throw_errno("listen", address.text());
  return socket;
}

MULTIPROCESSING_INLINE FolderLock::FolderLock(std::string const& path) {
  auto const slash = path.find_last_of('/');
  auto const folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  folder_ =
      Fd(retry_eintr([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  // What is done under it takes a moment; who has it for longer is none of ours.
  auto const deadline = base::Deadline::after(std::chrono::seconds(1));
  constexpr timespec kPause{0, 1'000'000};
  // Not by ::flock(): its header's function hides the struct.
  while (folder_ && !is_mine_) {
    is_mine_ = ::syscall(SYS_flock, folder_.get(), LOCK_EX | LOCK_NB) == 0;
    if (is_mine_ || deadline.passed()) break;
    ::nanosleep(&kPause, nullptr);
  }
}

MULTIPROCESSING_INLINE FolderLock::~FolderLock() {
  if (is_mine_) ::syscall(SYS_flock, folder_.get(), LOCK_UN);
}

MULTIPROCESSING_INLINE bool remove_stale_path(std::string const& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == -1) return errno == ENOENT;
  if (!S_ISSOCK(status.st_mode)) return false;
  Fd const probe = socket_detail::create(AF_UNIX);
  if (::fcntl(probe.get(), F_SETFL, O_NONBLOCK) == -1) throw_errno("fcntl", "O_NONBLOCK");
  auto const address = SocketAddress::path(path);
  if (::connect(probe.get(), address.get(), address.size()) == 0) return false;
  return errno == ECONNREFUSED && ::unlink(path.c_str()) == 0;
}

MULTIPROCESSING_INLINE SocketAddress local_address(Fd const& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == -1) {
    throw_errno("getsockname");
  }
  return {&address, size};
}

MULTIPROCESSING_INLINE std::optional<Accepted> accept_from(int listening) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto const fd = retry_eintr([&] {
    size = sizeof address;
    return ::accept4(listening, reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC);
  });
  if (fd == -1) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
    // Linux hands over what has happened to the connection already; it is not there any more.
    if (socket_detail::means_peer_is_gone(errno) || errno == EPROTO) return std::nullopt;
    throw_errno("accept4");
  }
  Accepted accepted{above_standard(fd), {&address, size}};
  if (!accepted.socket) throw_errno("fcntl", "F_DUPFD_CLOEXEC");
  socket_detail::prepare_connection(accepted.socket, address.ss_family);
  return accepted;
}

MULTIPROCESSING_INLINE Fd connect_to(SocketAddress const& address, base::Deadline deadline) {
  Fd socket = socket_detail::create(address.family());
  bool const is_local = address.family() == AF_UNIX;
  // A place in the backlog of a local listener can not be polled for, but the call has a timeout.
  if (!is_local && ::fcntl(socket.get(), F_SETFL, O_NONBLOCK) == -1) {
    throw_errno("fcntl", "O_NONBLOCK");
  }
  auto const connected = retry_eintr([&] {
    if (is_local && !deadline.is_never()) {
      auto const left = std::max(std::chrono::ceil<std::chrono::microseconds>(deadline.remaining()),
                                 std::chrono::microseconds(1));  // 0 would mean never
      constexpr long kMillion = 1'000'000;
      timeval const timeout{left.count() / kMillion, left.count() % kMillion};
      ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    }
    return ::connect(socket.get(), address.get(), address.size());
  });
  int error = connected == -1 ? errno : 0;
  if (is_local && error == EAGAIN) return {};
  if (error == EINPROGRESS) {
    pollfd entry{.fd = socket.get(), .events = POLLOUT, .revents = 0};
    if (poll_until({&entry, 1}, deadline) == 0) return {};
    socklen_t size = sizeof error;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == -1) error = errno;
  }
  if (error != 0) throw_error(error, "connect", address.text());
  if (!is_local && ::fcntl(socket.get(), F_SETFL, 0) == -1) throw_errno("fcntl", "0");
  socket_detail::prepare_connection(socket, address.family());
  return socket;
}

MULTIPROCESSING_INLINE uid_t peer_user(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == -1) {
    throw_errno("getsockopt", "SO_PEERCRED");
  }
  return credentials.uid;
}
namespace socket_detail {

MULTIPROCESSING_INLINE Transferred transferred(ssize_t length, char const* call) {
  if (length >= 0) return {Transfer::Some, static_cast<std::size_t>(length)};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {Transfer::WouldBlock};
  if (means_peer_is_gone(errno)) return {Transfer::PeerGone};
  throw_errno(call);
}

}  // namespace socket_detail

MULTIPROCESSING_INLINE Transferred send_some(int socket, std::span<iovec> parts) {
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  return socket_detail::transferred(
      retry_eintr([&] { return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT); }),
      "sendmsg");
}

MULTIPROCESSING_INLINE Transferred receive_some(int socket, std::span<std::byte> room) {
  auto const result = socket_detail::transferred(
      retry_eintr([&] { return ::recv(socket, room.data(), room.size(), MSG_DONTWAIT); }), "recv");
  if (result.result == Transfer::Some && result.bytes == 0) return {Transfer::PeerGone};
  return result;
}

}  // namespace multiprocessing::os
