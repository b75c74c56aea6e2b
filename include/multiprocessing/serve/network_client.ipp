// SPDX-License-Identifier: BSL-1.0
// The bodies of network_client.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/address.hpp>
#include <multiprocessing/channel/authentication.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/connector.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/serve/network_client.hpp>
#include <multiprocessing/serve/network_request.hpp>
#include <multiprocessing/serve/network_streams.hpp>
#include <multiprocessing/wire/archive.hpp>

namespace multiprocessing::serve {

MULTIPROCESSING_INLINE NetworkClient::NetworkClient(NetworkAddress address)
    : server_(std::move(address)) {
  os::count_forks();
  forks_ = os::fork_generation();
  auto const deadline = to_connect();
  auto stream = connect(deadline);
  NetworkRequest request;
  request.verb = NetworkRequest::Verb::Begin;
  auto const reply = exchange(*stream, {"RemoteManager", "connect"}, encoded(request), deadline);
  auto value = value_of(reply);
  key_ = take_foreign<SessionKey>(value);
  keep(std::move(stream));
}

MULTIPROCESSING_INLINE NetworkClient::~NetworkClient() {
  if (!is_of_this_process()) return;
  for (auto const& each : idle_) {  // also for processes that were forked meanwhile
    try {
      each.stream->hang_up();
    } catch (std::exception const&) {  // it has gone
    }
  }
}

MULTIPROCESSING_INLINE wire::Bytes NetworkClient::encoded(NetworkRequest const& request) {
  wire::Bytes bytes;
  wire::encode(bytes, request);
  return bytes;
}

MULTIPROCESSING_INLINE void NetworkClient::release(std::uint64_t object) noexcept {
  put_back(object);
  try {
    if (auto stream = take_idle()) keep(std::move(stream));
  } catch (std::exception const&) {  // the next call tells it
  }
}

MULTIPROCESSING_INLINE base::Deadline NetworkClient::to_connect() const {
  return server_.timeout ? base::Deadline::after(*server_.timeout) : base::Deadline::never();
}

MULTIPROCESSING_INLINE std::shared_ptr<NetworkClient::Stream> NetworkClient::connect(
    base::Deadline deadline) const {
  std::shared_ptr<Stream> stream =
      channel::connect(server_.address, server_.family, server_.key, deadline);
  streams_->add(stream);
  return stream;
}

MULTIPROCESSING_INLINE std::shared_ptr<NetworkClient::Stream> NetworkClient::join(
    channel::Call call) const {
  try {
    auto const deadline = to_connect();
    auto stream = connect(deadline);
    NetworkRequest request;
    request.verb = NetworkRequest::Verb::Join;
    request.session = key_;
    value_of(exchange(*stream, call, encoded(request), deadline));
    return stream;
  } catch (BrokenPipeError const&) {
    throw;
  } catch (TimeoutError const&) {
    throw;
  } catch (std::bad_alloc const&) {
    throw;
  } catch (std::system_error const& error) {
    if (error.code() == std::errc::too_many_files_open ||
        error.code() == std::errc::too_many_files_open_in_system) {
      throw;
    }
    throw_unreachable(call, error);
  } catch (std::exception const& error) {
    throw_unreachable(call, error);
  }
}

MULTIPROCESSING_INLINE wire::Bytes NetworkClient::exchange(Stream& stream, channel::Call call,
                                                           std::span<std::byte const> request,
                                                           base::Deadline deadline) const {
  try {
    send_network(stream, request);
    return receive_network(stream, deadline);
  } catch (BrokenPipeError const&) {
    throw_ended(call);
  } catch (EOFError const&) {
    throw_ended(call);
  }
}

MULTIPROCESSING_INLINE void NetworkClient::throw_ended(channel::Call call) const {
  throw BrokenPipeError(call.text() + ": the manager at \"" + server_.address.str() +
                        "\" has ended the connection");
}

MULTIPROCESSING_INLINE void NetworkClient::throw_unreachable(channel::Call call,
                                                             std::exception const& error) const {
  std::throw_with_nested(
      BrokenPipeError(call.text() + ": \"" + server_.address.str() + "\": " + error.what()));
}

MULTIPROCESSING_INLINE std::shared_ptr<NetworkClient::Stream> NetworkClient::take_idle() {
  std::vector<Idle> gone;
  os::ForkGateGuard const gate;
  while (!idle_.empty()) {
    auto last = std::move(idle_.back());
    idle_.pop_back();
    if (last.forks == os::fork_generation()) return std::move(last.stream);
    gone.push_back(std::move(last));
  }
  return nullptr;
}

MULTIPROCESSING_INLINE void NetworkClient::keep(std::shared_ptr<Stream> stream) {
  if (is_of_this_process() && !tell_released(*stream)) return;
  os::ForkGateGuard const gate;
  if (idle_.size() < kMostIdle) idle_.push_back({os::fork_generation(), std::move(stream)});
}

MULTIPROCESSING_INLINE bool NetworkClient::tell_released(Stream& stream) noexcept {
  for (;;) {
    std::uint64_t object = 0;
    {
      os::ForkGateGuard const gate;
      if (released_.empty()) return true;
      object = released_.back();
      released_.pop_back();
    }
    try {
      NetworkRequest request;
      request.verb = NetworkRequest::Verb::Release;
      request.object = object;
      stream.send(channel::Kind::Value, kNetworkProtocol, encoded(request), base::Deadline::now());
    } catch (TimeoutError const&) {  // there is no room now
      put_back(object);
      return !stream.is_cut_off();
    } catch (std::exception const&) {  // it has ended
      put_back(object);
      return false;
    }
  }
}

MULTIPROCESSING_INLINE void NetworkClient::put_back(std::uint64_t object) noexcept {
  try {
    os::ForkGateGuard const gate;
    released_.push_back(object);
  } catch (std::exception const&) {  // no memory: the session keeps it
  }
}

}  // namespace multiprocessing::serve
