// SPDX-License-Identifier: BSL-1.0
// A session with the server of another program: a connection for each call that is under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/address.hpp>
#include <multiprocessing/channel/authentication.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/connector.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/serve/network_request.hpp>
#include <multiprocessing/wire/archive.hpp>

namespace multiprocessing::serve {

/// Where a server is, and what proves that one may go there.
struct NetworkAddress {
  Address address;
  int family;
  AuthKey key;
  std::optional<base::Deadline::Clock::duration> timeout;  ///< to connect
};

/// Threads: all members safe. Fork: a child makes connections of its own, in the same session.
class NetworkClient {
 public:
  /// Begins a session. Throws: as channel::connect(); what the server says.
  explicit NetworkClient(NetworkAddress address) : server_(std::move(address)) {
    auto const deadline = to_connect();
    auto stream = connect(deadline);
    NetworkRequest request;
    request.verb = NetworkRequest::Verb::Begin;
    auto const reply = exchange(*stream, {"RemoteManager", "connect"}, encoded(request), deadline);
    auto value = value_of(reply);
    key_ = take_foreign<SessionKey>(value);
    keep(std::move(stream));
  }
  NetworkClient(NetworkClient const&) = delete;
  NetworkClient& operator=(NetworkClient const&) = delete;

  Address const& address() const noexcept { return server_.address; }

  static wire::Bytes encoded(NetworkRequest const& request) {
    wire::Bytes bytes;
    wire::encode(bytes, request);
    return bytes;
  }

  /// The encoded value of the reply. Blocks: until it has come. Throws: the exception that is in
  /// it; BrokenPipeError when the server has ended, ends meanwhile, or could not be reached any
  /// more: a call has happened then, or not.
  template <class Result>
  Result call(channel::Call call, std::span<std::byte const> request) {
    auto stream = take_idle();
    if (stream == nullptr) stream = join(call);
    auto const reply = exchange(*stream, call, request, base::Deadline::never());
    keep(std::move(stream));
    [[maybe_unused]] auto value = value_of(reply);
    if constexpr (!std::is_void_v<Result>) return take_foreign<Result>(value);
  }

  /// The session has no use for the object any more. Does not block for long, nor fail: a session
  /// that can not be told keeps it until it ends.
  void release(std::uint64_t object) noexcept {
    if (forks_ != os::fork_generation()) return;  // it is the parent's
    try {
      auto stream = take_idle();
      if (stream == nullptr) return;
      NetworkRequest request;
      request.verb = NetworkRequest::Verb::Release;
      request.object = object;
      send_network(*stream, encoded(request));
      keep(std::move(stream));
    } catch (std::exception const&) {  // it has ended
    }
  }

 private:
  using Stream = channel::SocketStream;

  struct Idle {
    unsigned forks;
    std::unique_ptr<Stream> stream;
  };

  base::Deadline to_connect() const {
    return server_.timeout ? base::Deadline::after(*server_.timeout) : base::Deadline::never();
  }
  std::unique_ptr<Stream> connect(base::Deadline deadline) const {
    return channel::connect(server_.address, server_.family, server_.key, deadline);
  }
  /// One more connection. Throws: BrokenPipeError when the server, or the session, has gone.
  std::unique_ptr<Stream> join(channel::Call call) const {
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
    } catch (std::bad_alloc const&) {
      throw;
    } catch (std::exception const& error) {
      std::throw_with_nested(
          BrokenPipeError(call.text() + ": \"" + server_.address.str() + "\": " + error.what()));
    }
  }

  wire::Bytes exchange(Stream& stream, channel::Call call, std::span<std::byte const> request,
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
  [[noreturn]] void throw_ended(channel::Call call) const {
    throw BrokenPipeError(call.text() + ": the manager at \"" + server_.address.str() +
                          "\" has ended the connection");
  }

  /// Null when there is none. Those of the parent are closed in a forked child.
  std::unique_ptr<Stream> take_idle() {
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
  void keep(std::unique_ptr<Stream> stream) {
    os::ForkGateGuard const gate;
    idle_.push_back({os::fork_generation(), std::move(stream)});
  }

  NetworkAddress const server_;
  unsigned const forks_ = os::fork_generation();
  SessionKey key_;

  std::vector<Idle> idle_;  // guarded by the gate: a child finds it whole
};

}  // namespace multiprocessing::serve
