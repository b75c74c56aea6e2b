// SPDX-License-Identifier: BSL-1.0
// The bodies of socket_address.hpp.
#pragma once

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/socket_address.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

MULTIPROCESSING_INLINE std::optional<SocketAddress> SocketAddress::numeric(std::string const& host,
                                                                           std::uint16_t port) {
  sockaddr_in v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return SocketAddress(&v4, sizeof v4);
  }
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return SocketAddress(&v6, sizeof v6);
  }
  return std::nullopt;
}

MULTIPROCESSING_INLINE SocketAddress::SocketAddress(void const* address, socklen_t size)
    : size_(size) {
  std::memcpy(&storage_, address, size);
}

MULTIPROCESSING_INLINE std::string SocketAddress::text() const {
  char buffer[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    auto const v4 = as<sockaddr_in>();
    ::inet_ntop(AF_INET, &v4.sin_addr, buffer, sizeof buffer);
    return std::string(buffer) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  if (family() == AF_INET6) {
    auto const v6 = as<sockaddr_in6>();
    ::inet_ntop(AF_INET6, &v6.sin6_addr, buffer, sizeof buffer);
    return "[" + std::string(buffer) + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  std::string_view name(reinterpret_cast<char const*>(&storage_), size_);
  name.remove_prefix(std::min(name.size(), offsetof(sockaddr_un, sun_path)));
  if (name.empty()) return {};
  if (name.front() == '\0') return "@" + std::string(name.substr(1));
  return std::string(name.substr(0, name.find('\0')));
}

MULTIPROCESSING_INLINE SocketAddress SocketAddress::local(std::size_t zeros,
                                                          std::string_view name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + zeros, name.data(), name.size());
  // The zero behind a path counts.
  return {&address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + 1)};
}

MULTIPROCESSING_INLINE std::vector<SocketAddress> resolve(std::string const& host,
                                                          std::uint16_t port, int family) {
  if (auto const address = SocketAddress::numeric(host, port)) {
    if (family == AF_UNSPEC || family == address->family()) return {*address};
    throw std::invalid_argument("'" + host + "' is no address of the family");
  }
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  auto const code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code == EAI_SYSTEM) throw_errno("getaddrinfo", host);
  if (code == EAI_AGAIN) throw_error(EAGAIN, "getaddrinfo", host);
  if (code != 0) {
    throw std::invalid_argument("getaddrinfo(" + host + "): " + ::gai_strerror(code));
  }
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> const owner(found, &::freeaddrinfo);
  std::vector<SocketAddress> addresses;
  for (auto const* one = found; one != nullptr; one = one->ai_next) {
    addresses.emplace_back(one->ai_addr, one->ai_addrlen);
  }
  return addresses;
}

}  // namespace multiprocessing::os
