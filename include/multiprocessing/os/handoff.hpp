// SPDX-License-Identifier: BSL-1.0
// What a process that was started by exec is left by whoever started it: a socket, under a number
// that its arguments tell.
//
//   program --multiprocessing-fork 3 Process-1      for people, in ps, the name
#pragma once

#include <sys/socket.h>

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/text_file.hpp>

namespace multiprocessing::os {

inline constexpr char kHandoffFlag[] = "--multiprocessing-fork";
/// Where the socket lies in the new program.
inline constexpr int kHandoffFd = 3;

/// Whether these are the arguments of a process that was started so. argv[0] counts.
inline bool has_handoff(int argc, char const* const* argv) noexcept {
  return argc >= 3 && argv[1] == std::string_view(kHandoffFlag);
}

/// The socket; empty in all other processes, and once somebody has emptied it. The first call
/// decides, before anybody else can have that number. Threads: the call is safe.
inline Fd& handoff() {
  static Fd* const socket = [] {
    auto fd = new Fd;  // outlives all static destructors
    std::string const arguments = read_text_file("/proc/self/cmdline");
    std::vector<std::string_view> argv;
    for (std::size_t begin = 0; begin < arguments.size();) {
      argv.emplace_back(arguments.c_str() + begin);
      begin += argv.back().size() + 1;
    }
    if (argv.size() < 3 || argv[1] != kHandoffFlag) return fd;
    int number = -1;
    auto const text = argv[2];
    if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc()) {
      return fd;
    }
    int type = 0;
    socklen_t length = sizeof type;
    bool const is_socket = ::getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
    if (!is_socket || type != SOCK_SEQPACKET) return fd;
    ::fcntl(number, F_SETFD, FD_CLOEXEC);
    *fd = Fd(number);
    return fd;
  }();
  return *socket;
}

}  // namespace multiprocessing::os
