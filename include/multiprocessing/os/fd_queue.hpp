// SPDX-License-Identifier: BSL-1.0
// Descriptors, each with a number, that nobody but the kernel holds: in the buffer of a socket
// pair. Whoever has inherited the pair, or was sent it, has the same queue.
#pragma once

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/fd_message.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// Threads and processes: external synchronization, also between those that share it. Nothing
/// blocks. Whoever is killed inside a member has done it, or not begun.
class FdQueue {
 public:
  /// Throws: std::system_error.
  FdQueue() {
    auto pair = SocketPair::create(SOCK_NONBLOCK);
    in_ = std::move(pair.near);
    out_ = std::move(pair.far);
    // As much as the machine allows: the room for descriptors follows from it.
    constexpr int kRoom = 1 << 20;
    ::setsockopt(in_.get(), SOL_SOCKET, SO_SNDBUF, &kRoom, sizeof kRoom);
  }

  /// The queue of whoever has sent the descriptors of its ends.
  FdQueue(Fd in, Fd out) noexcept : in_(std::move(in)), out_(std::move(out)) {}

  Fd const& in() const noexcept { return in_; }
  Fd const& out() const noexcept { return out_; }

  /// Appends a duplicate of `fd`. False: there is no room.
  /// Throws: std::system_error, ETOOMANYREFS when this user has as many under way as it may.
  bool push(std::uint64_t number, int fd) {
    int const error =
        try_send_with_fds(in_, std::as_bytes(std::span(&number, 1)), std::span(&fd, 1));
    if (error != 0 && error != EAGAIN) throw_error(error, "sendmsg", "a descriptor");
    return error == 0;
  }

  std::size_t size() const {
    int bytes = 0;
    if (::ioctl(out_.get(), FIONREAD, &bytes) == -1) throw_errno("ioctl", "FIONREAD");
    return static_cast<std::size_t>(bytes) / sizeof(std::uint64_t);
  }

  /// The number of the one at `index`, from the oldest on, which stays there.
  /// REQUIRES, here and below: there is one. Throws: std::system_error.
  std::uint64_t number_at(std::size_t index) const {
    look_at(index);
    return receive(MSG_PEEK);
  }

  /// A duplicate of the one at `index`, which stays there, also when this process may not have one
  /// more: then it throws.
  Fd fd_at(std::size_t index) const {
    look_at(index);
    std::uint64_t number = 0;
    auto message = receive_with_fds(out_, std::as_writable_bytes(std::span(&number, 1)), MSG_PEEK);
    if (message.fds.size() != 1) throw_error(EMFILE, "recvmsg", "a descriptor");
    return std::move(message.fds[0]);
  }

  /// Closes the oldest; this process never has it.
  void pop() { receive(0); }

 private:
  /// Where the next look is. Of the socket, so others may have left another place.
  void look_at(std::size_t index) const {
    int const offset = static_cast<int>(index * sizeof(std::uint64_t));
    if (::setsockopt(out_.get(), SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == -1) {
      throw_errno("setsockopt", "SO_PEEK_OFF");
    }
  }

  /// The bytes alone: the descriptor stays, or is closed.
  std::uint64_t receive(int flags) const {
    std::uint64_t number = 0;
    auto const length =
        retry_eintr([&] { return ::recv(out_.get(), &number, sizeof number, flags); });
    if (length != sizeof number) throw_errno("recv", "a descriptor");
    return number;
  }

  Fd in_;
  Fd out_;
};

}  // namespace multiprocessing::os
