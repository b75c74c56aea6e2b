// SPDX-License-Identifier: BSL-1.0
// What tests of connections need.
#pragma once

#include <sys/socket.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/socket.hpp>
#include <multiprocessing/os/socket_address.hpp>

#include "bytes.hpp"
#include "helpers.hpp"

namespace support {

namespace os = multiprocessing::os;
using multiprocessing::base::Deadline;

inline os::Fd accept_one(os::Fd const& listening) {
  os::poll_readable(listening.get(), Deadline::never());
  return std::move(os::accept_from(listening.get()).value().socket);
}

/// Two ends of a connection.
using Ends = std::pair<os::Fd, os::Fd>;

inline Ends local_ends() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  return {os::Fd(fds[0]), os::Fd(fds[1])};
}
inline Ends tcp_ends() {
  auto const listening = os::listen_at(*os::SocketAddress::numeric("127.0.0.1", 0), 1);
  auto one = os::connect_to(os::local_address(listening), Deadline::never());
  auto other = accept_one(listening);
  return {std::move(one), std::move(other)};
}

/// Sends it all, past any framing.
inline void send_raw(int socket, std::string_view text) {
  while (!text.empty()) {
    auto const sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0) std::abort();
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

/// Interrupts this process with SIGUSR1, without rest, as long as it lives.
class SignalStorm {
 public:
  SignalStorm()
      : before_(install()), child_([parent = ::getpid()] {
          for (;;) {
            if (::kill(parent, SIGUSR1) != 0) return;
            ::poll(nullptr, 0, 0);
          }
        }) {}
  ~SignalStorm() {
    child_.kill();
    child_.wait();
    ::sigaction(SIGUSR1, &before_, nullptr);
  }
  static int count() { return count_; }

 private:
  static struct sigaction install() {
    count_ = 0;
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) { count_ = count_ + 1; };  // without SA_RESTART
    ::sigaction(SIGUSR1, &action, &before);
    return before;
  }

  static inline volatile std::sig_atomic_t count_ = 0;
  struct sigaction before_;
  RawChild child_;
};

}  // namespace support
