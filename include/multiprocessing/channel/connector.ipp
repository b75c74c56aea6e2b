// SPDX-License-Identifier: BSL-1.0
// The bodies of connector.hpp.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/address.hpp>
#include <multiprocessing/channel/authentication.hpp>
#include <multiprocessing/channel/connector.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/socket.hpp>

namespace multiprocessing::channel {
namespace connector_detail {

MULTIPROCESSING_INLINE os::Fd connect_to_any(Address const& address, int family,
                                             base::Deadline deadline) {
  auto const places = address.resolve(family);
  for (std::size_t i = 0;; ++i) {
    try {
      return os::connect_to(places[i], deadline);
    } catch (std::system_error const&) {
      if (i + 1 == places.size()) throw;
    }
  }
}

}  // namespace connector_detail

MULTIPROCESSING_INLINE std::unique_ptr<SocketStream> connect(Address const& address, int family,
                                                             AuthKey const& key,
                                                             base::Deadline deadline) {
  if (address.is_none()) throw std::invalid_argument("connect: no address was given");
  require_proof(address.is_local(), key);
  auto socket = connector_detail::connect_to_any(address, family, deadline);
  if (!socket) throw TimeoutError("connect: '" + address.str() + "' did not answer in time");
  if (!key.is_there()) {
    check_peer_user(socket.get());
    return std::make_unique<SocketStream>(std::move(socket));
  }
  Handshake handshake(Handshake::Role::Client, std::make_unique<SocketStream>(std::move(socket)),
                      key);
  while (!handshake.advance()) {
    if (!handshake.stream().poll(deadline)) {
      throw TimeoutError("connect: '" + address.str() + "' did not accept in time");
    }
  }
  return handshake.take_stream();
}

}  // namespace multiprocessing::channel
