// SPDX-License-Identifier: BSL-1.0
// What the kernel has: pipes, sockets, message queues. With the capacities it gives by default,
// where these let a message through.
#pragma once

#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <system_error>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>

#include "peer.hpp"

namespace bench {

using SharedFd = std::shared_ptr<multiprocessing::os::Fd>;
inline SharedFd share(int fd) { return std::make_shared<multiprocessing::os::Fd>(fd); }

inline ssize_t checked(char const* call, ssize_t result) {
  if (result < 0) multiprocessing::os::throw_errno(call, "");
  return result;
}

/// A stream of bytes: of a message, a part may come, or go, alone.
struct ByteStreamEnd : Buffered {
  void send(Message const& message) {
    for (std::size_t done = 0; done < message.size();) {
      done += static_cast<std::size_t>(
          checked("write", ::write(out->get(), message.data() + done, message.size() - done)));
    }
  }
  void receive(Message& message) {
    for (std::size_t done = 0; done < message.size();) {
      done += static_cast<std::size_t>(
          checked("read", ::read(in->get(), message.data() + done, message.size() - done)));
    }
  }
  SharedFd out;
  SharedFd in;
};

class KernelPipePeer {
 public:
  static bool carries(Plan const& plan) { return plan.is_one_to_one() || plan.size <= PIPE_BUF; }
  explicit KernelPipePeer(Plan const&) {
    for (unsigned side : {0U, 1U}) {
      std::array<int, 2> fds;
      checked("pipe2", ::pipe2(fds.data(), O_CLOEXEC));
      readers_[side] = share(fds[0]);
      writers_[side] = share(fds[1]);
    }
  }
  ByteStreamEnd open(Role role) const {
    return {{}, writers_[role.side()], readers_[1 - role.side()]};
  }

 private:
  std::array<SharedFd, 2> readers_;  ///< of what side 0, and side 1, writes
  std::array<SharedFd, 2> writers_;
};

inline std::array<SharedFd, 2> socket_pair(int type) {
  std::array<int, 2> fds;
  checked("socketpair", ::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds.data()));
  return {share(fds[0]), share(fds[1])};
}

class StreamSocketPeer {
 public:
  static bool carries(Plan const& plan) { return plan.is_one_to_one(); }
  explicit StreamSocketPeer(Plan const&) {}
  ByteStreamEnd open(Role role) const { return {{}, ends_[role.side()], ends_[role.side()]}; }

 private:
  std::array<SharedFd, 2> ends_ = socket_pair(SOCK_STREAM);
};

class SeqpacketPeer {
 public:
  static bool carries(Plan const&) { return true; }
  explicit SeqpacketPeer(Plan const& plan) {
    for (auto const& end : ends_) require_room(end->get(), plan.size);
    Buffered::Message const message(plan.size);
    if (::send(ends_[0]->get(), message.data(), message.size(), MSG_DONTWAIT) < 0) {
      throw Unsupported("packets of such a size are refused");
    }
    checked("recv", ::recv(ends_[1]->get(), nullptr, 0, MSG_TRUNC));
  }

  struct End : Buffered {
    void send(Message const& message) {
      checked("send", ::send(end->get(), message.data(), message.size(), 0));
    }
    void receive(Message& message) {
      auto const size = checked("recv", ::recv(end->get(), message.data(), message.size(), 0));
      require_whole(static_cast<std::size_t>(size), message.size());
    }
    SharedFd end;
  };

  End open(Role role) const { return {{}, ends_[role.side()]}; }

 private:
  static void require_room(int fd, std::size_t size) {
    int room = 0;
    socklen_t length = sizeof room;
    ::getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &length);
    constexpr std::size_t kOverhead = 4096;
    if (static_cast<std::size_t>(room) >= size + kOverhead) return;
    room = static_cast<int>(size + kOverhead);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  }

  std::array<SharedFd, 2> ends_ = socket_pair(SOCK_SEQPACKET);
};

class PosixQueuePeer {
 public:
  static bool carries(Plan const&) { return true; }
  explicit PosixQueuePeer(Plan const& plan) {
    rlimit const unlimited{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_MSGQUEUE, &unlimited);  // without privilege the default stays
    for (auto& queue : queues_) queue = make(plan.size);
  }

  struct End : Buffered {
    void send(Message const& message) {
      auto const* const data = reinterpret_cast<char const*>(message.data());
      checked("mq_send", ::mq_send(out->get(), data, message.size(), 0));
    }
    void receive(Message& message) {
      auto* const data = reinterpret_cast<char*>(message.data());
      auto const size =
          checked("mq_receive", ::mq_receive(in->get(), data, message.size(), nullptr));
      require_whole(static_cast<std::size_t>(size), message.size());
    }
    SharedFd out;
    SharedFd in;
  };

  End open(Role role) const { return {{}, queues_[role.side()], queues_[1 - role.side()]}; }

 private:
  // In Linux it is a file descriptor, which children inherit.
  static SharedFd make(std::size_t size) {
    static unsigned made = 0;
    auto const name = "/bench_channel." + std::to_string(::getpid()) + "." + std::to_string(++made);
    constexpr std::size_t kUnprivileged = 10;
    for (auto const depth : {depth_for(size), kUnprivileged}) {
      mq_attr attributes{};
      attributes.mq_maxmsg = static_cast<long>(depth);
      attributes.mq_msgsize = static_cast<long>(size);
      mqd_t const queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
      if (queue == -1) continue;
      ::mq_unlink(name.c_str());
      return share(queue);
    }
    throw Unsupported("messages of such a size are refused");
  }

  std::array<SharedFd, 2> queues_;
};

}  // namespace bench
