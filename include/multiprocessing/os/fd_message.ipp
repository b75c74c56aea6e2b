// SPDX-License-Identifier: BSL-1.0
// The bodies of fd_message.hpp.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/fd_message.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

MULTIPROCESSING_INLINE SocketPair SocketPair::create(int flags) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0, ends) == -1) {
    throw_errno("socketpair");
  }
  SocketPair pair{above_standard(ends[0]), above_standard(ends[1])};
  if (!pair.near || !pair.far) throw_errno("fcntl", "F_DUPFD_CLOEXEC");
  return pair;
}

MULTIPROCESSING_INLINE int try_send_with_fds(Fd const& socket, std::span<std::byte const> bytes,
                                             std::span<int const> fds, int flags) noexcept {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * FdMessage::kMostFds)> control{};
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    auto* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  auto const sent =
      retry_eintr([&] { return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL | flags); });
  return sent == -1 ? errno : 0;
}

MULTIPROCESSING_INLINE void send_with_fds(Fd const& socket, std::span<std::byte const> bytes,
                                          std::span<int const> fds, int flags) {
  int const error = try_send_with_fds(socket, bytes, fds, flags);
  if (error != 0) throw_error(error, "sendmsg", "to another process");
}

MULTIPROCESSING_INLINE FdMessage receive_with_fds(Fd const& socket, std::span<std::byte> room,
                                                  int flags) {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * FdMessage::kMostFds)> control{};
  iovec part{room.data(), room.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  auto const receive = [&] {
    return retry_eintr([&] { return ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC | flags); });
  };
  auto length = receive();
  // The other side has left something unread. That is told first, and once; what it sent is there.
  if (length == -1 && errno == ECONNRESET) length = receive();
  if (length == -1 && errno == ECONNRESET) return {};
  if (length == -1) throw_errno("recvmsg", "from another process");
  FdMessage received;
  received.size = static_cast<std::size_t>(length);
  received.is_cut = (message.msg_flags & MSG_CTRUNC) != 0;
  std::array<Fd, FdMessage::kMostFds> fds;
  std::size_t count = 0;
  auto const* const header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fds[i] = Fd(fd);
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    Fd fd = above_standard(fds[i].release());
    if (!fd) received.is_cut = true;
    if (!received.is_cut) received.fds.push_back(std::move(fd));
  }
  if (received.is_cut) received.fds.clear();
  return received;
}

}  // namespace multiprocessing::os
