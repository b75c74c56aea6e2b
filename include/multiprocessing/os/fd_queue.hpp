// SPDX-License-Identifier: BSL-1.0
// Descriptors, each with a number, that nobody but the kernel holds: in the buffer of a socket
// pair. Whoever has inherited the pair, or was sent it, has the same queue.
#pragma once

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// Threads and processes: external synchronization, also between those that share it. Nothing
/// blocks. Whoever is killed inside a member has done it, or not begun.
class FdQueue {
 public:
  /// Throws: std::system_error.
  FdQueue() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == -1) {
      throw_errno("socketpair");
    }
    in_ = above_standard(ends[0]);
    out_ = above_standard(ends[1]);
    if (!in_ || !out_) throw_errno("fcntl", "F_DUPFD_CLOEXEC");
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
    Control control;
    iovec part{&number, sizeof number};
    auto message = message_of(part, &control);
    auto* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    auto const sent = retry_eintr([&] { return ::sendmsg(in_.get(), &message, MSG_NOSIGNAL); });
    if (sent != -1) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    throw_errno("sendmsg", "a descriptor");
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
    return receive(MSG_PEEK, nullptr);
  }

  /// A duplicate of the one at `index`, which stays there, also when this process may not have one
  /// more: then it throws.
  Fd fd_at(std::size_t index) const {
    look_at(index);
    Control control;
    receive(MSG_PEEK | MSG_CMSG_CLOEXEC, &control);
    int fd = -1;
    if (control.header.cmsg_type == SCM_RIGHTS && control.header.cmsg_len == CMSG_LEN(sizeof fd)) {
      std::memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    }
    Fd owned = above_standard(fd);
    if (!owned) throw_error(EMFILE, "recvmsg", "a descriptor");
    return owned;
  }

  /// Closes the oldest; this process never has it.
  void pop() { receive(0, nullptr); }

 private:
  union Control {
    Control() : bytes{} {}
    std::byte bytes[CMSG_SPACE(sizeof(int))];
    cmsghdr header;
  };

  static msghdr message_of(iovec& part, Control* control) noexcept {
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (control != nullptr) {
      message.msg_control = control;
      message.msg_controllen = sizeof *control;
    }
    return message;
  }

  /// Where the next look is. Of the socket, so others may have left another place.
  void look_at(std::size_t index) const {
    int const offset = static_cast<int>(index * sizeof(std::uint64_t));
    if (::setsockopt(out_.get(), SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == -1) {
      throw_errno("setsockopt", "SO_PEEK_OFF");
    }
  }

  std::uint64_t receive(int flags, Control* control) const {
    std::uint64_t number = 0;
    iovec part{&number, sizeof number};
    auto message = message_of(part, control);
    auto const length = retry_eintr([&] { return ::recvmsg(out_.get(), &message, flags); });
    if (length != sizeof number) throw_errno("recvmsg", "a descriptor");
    return number;
  }

  Fd in_;
  Fd out_;
};

}  // namespace multiprocessing::os
