// SPDX-License-Identifier: BSL-1.0
// A descriptor that any process can make readable that knows its number, without having it: a
// datagram socket under a name that the kernel made up and forgets with it. Names are the network
// namespace's: a process in another one rings in vain.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// Threads: all members safe.
class Doorbell {
 public:
  /// Throws: std::system_error.
  Doorbell() : fd_(above_standard(::socket(AF_UNIX, kDatagrams, 0))) {
    if (!fd_) throw_errno("socket", "AF_UNIX");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // Of this length: the kernel chooses a name, "\0" and five hexadecimal digits.
    if (::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) == -1) {
      throw_errno("bind", "a name of the kernel's choice");
    }
    socklen_t length = sizeof address;
    if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length) == -1) {
      throw_errno("getsockname", "AF_UNIX");
    }
    std::string const digits(address.sun_path + 1, length - offsetof(sockaddr_un, sun_path) - 1);
    number_ = static_cast<std::uint32_t>(std::strtoul(digits.c_str(), nullptr, 16));
  }

  int fd() const noexcept { return fd_.get(); }
  std::uint32_t number() const noexcept { return number_; }

  /// Not readable any more, until it is rung again.
  void silence() const noexcept {
    char rings[16];
    while (retry_eintr([&] { return ::recv(fd_.get(), rings, sizeof rings, MSG_DONTWAIT); }) >= 0) {
    }
  }

  /// Makes the doorbell of this number readable, if there is one; where too many have rung already
  /// it is. Needs a descriptor for a moment: false when there is none.
  [[nodiscard]] static bool ring(std::uint32_t number) noexcept {
    int const errno_before = errno;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    auto const digits = std::snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%05x",
                                      static_cast<unsigned>(number));
    auto const length = offsetof(sockaddr_un, sun_path) + 1 + static_cast<std::size_t>(digits);
    Fd const finger = above_standard(::socket(AF_UNIX, kDatagrams, 0));
    if (finger) {
      retry_eintr([&] {
        return ::sendto(finger.get(), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL,
                        reinterpret_cast<sockaddr const*>(&address),
                        static_cast<socklen_t>(length));
      });
    }
    errno = errno_before;
    return static_cast<bool>(finger);
  }

 private:
  static constexpr int kDatagrams = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

  Fd fd_;
  std::uint32_t number_ = 0;
};

}  // namespace multiprocessing::os
