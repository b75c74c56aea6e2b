// SPDX-License-Identifier: BSL-1.0
// Where a socket is: a path, a name that only the kernel keeps, or a TCP port.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

class SocketAddress {
 public:
  /// What fits: a path is followed by a zero, an abstract name preceded by one.
  static constexpr std::size_t kLongestName = sizeof(sockaddr_un::sun_path) - 1;

  /// REQUIRES: 1 to kLongestName characters, without zeros.
  static SocketAddress path(std::string_view name) { return local(0, name); }

  /// A name without a file, of this network namespace. REQUIRES: 1 to kLongestName characters.
  static SocketAddress abstract(std::string_view name) { return local(1, name); }

  /// An address in digits; nullopt when `host` is not.
  static std::optional<SocketAddress> numeric(std::string const& host, std::uint16_t port);

  /// REQUIRES: an address that the kernel gave.
  SocketAddress(void const* address, socklen_t size);

  sockaddr const* get() const noexcept { return reinterpret_cast<sockaddr const*>(&storage_); }
  socklen_t size() const noexcept { return size_; }
  int family() const noexcept { return storage_.ss_family; }

  /// "/path", "@name", "127.0.0.1:80", "[::1]:80"; empty for a socket without a name.
  std::string text() const;

 private:
  SocketAddress() = default;

  static SocketAddress local(std::size_t zeros, std::string_view name);

  template <class Sockaddr>
  Sockaddr as() const noexcept {
    Sockaddr address;
    std::memcpy(&address, &storage_, sizeof address);
    return address;
  }

  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

/// The addresses of a host, best first; digits without asking anybody. `family` AF_UNSPEC: any.
/// Blocks: as long as the system's resolver does. Throws: std::invalid_argument when there are
/// none.
std::vector<SocketAddress> resolve(std::string const& host, std::uint16_t port, int family);

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/socket_address.ipp>
#endif
