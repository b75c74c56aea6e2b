// SPDX-License-Identifier: BSL-1.0
// The other side of an acceptor.
#pragma once

#include <memory>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/address.hpp>
#include <multiprocessing/channel/authentication.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/os/fd.hpp>

namespace multiprocessing::channel {

namespace connector_detail {

os::Fd connect_to_any(Address const& address, int family, base::Deadline deadline);

}  // namespace connector_detail

/// Blocks: until the listener has accepted, where there is a key; else until it has room for one
/// more to wait. Peer death: EOFError, or std::system_error with ECONNREFUSED. Throws: TimeoutError
/// when the deadline passes; AuthenticationError when one side does not know the other's key, or
/// belongs to another user; std::invalid_argument for what can not be connected to, or not without
/// a key; std::system_error.
std::unique_ptr<SocketStream> connect(Address const& address, int family, AuthKey const& key,
                                      base::Deadline deadline);

}  // namespace multiprocessing::channel

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/channel/connector.ipp>
#endif
