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
#include <system_error>
#include <type_traits>
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
#include <multiprocessing/serve/network_streams.hpp>
#include <multiprocessing/wire/archive.hpp>

namespace multiprocessing::serve {

/// Where a server is, and what proves that one may go there.
struct NetworkAddress {
  Address address;
  int family;
  AuthKey key;
  std::optional<base::Deadline::Clock::duration> timeout;  ///< to connect
};

/// Threads: all members safe. Fork: in a child, call() makes connections of its own, in the same
/// session.
class NetworkClient {
 public:
  /// Begins a session. Throws: as channel::connect(); what the server says.
  explicit NetworkClient(NetworkAddress address) : server_(std::move(address)) {
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
  NetworkClient(NetworkClient const&) = delete;
  NetworkClient& operator=(NetworkClient const&) = delete;
  ~NetworkClient() {
    if (!is_of_this_process()) return;
    for (auto const& each : idle_) {  // also for processes that were forked meanwhile
      try {
        each.stream->hang_up();
      } catch (std::exception const&) {  // it has gone
      }
    }
  }

  NetworkAddress const& server() const noexcept { return server_; }
  bool is_of_this_process() const noexcept { return forks_ == os::fork_generation(); }

  static wire::Bytes encoded(NetworkRequest const& request) {
    wire::Bytes bytes;
    wire::encode(bytes, request);
    return bytes;
  }

  /// The value of the reply. Blocks: until it has come. Throws: the exception that is in it;
  /// BrokenPipeError when the server has ended, ends meanwhile, or could not be reached any more: a
  /// call has happened then, or not. std::system_error when this process has no descriptor left.
  template <class Result>
  Result call(channel::Call call, std::span<std::byte const> request) {
    auto stream = take_idle();
    if (stream == nullptr) stream = join(call);
    auto const reply = exchange(*stream, call, request, base::Deadline::never());
    keep(std::move(stream));
    [[maybe_unused]] auto value = value_of(reply);
    if constexpr (!std::is_void_v<Result>) return take_foreign<Result>(value);
  }

  /// The session has no use for the object any more. Does not block, nor fail: when no connection
  /// can take it now, the next one that is used does. REQUIRES: it was made in this process.
  void release(std::uint64_t object) noexcept {
    put_back(object);
    try {
      if (auto stream = take_idle()) keep(std::move(stream));
    } catch (std::exception const&) {  // the next call tells it
    }
  }

 private:
  using Stream = channel::SocketStream;

  // More are closed when their call is over: each takes a thread of the server, and descriptors.
  static constexpr std::size_t kMostIdle = 16;

  struct Idle {
    unsigned forks;
    std::shared_ptr<Stream> stream;
  };

  base::Deadline to_connect() const {
    return server_.timeout ? base::Deadline::after(*server_.timeout) : base::Deadline::never();
  }
  std::shared_ptr<Stream> connect(base::Deadline deadline) const {
    std::shared_ptr<Stream> stream =
        channel::connect(server_.address, server_.family, server_.key, deadline);
    streams_->add(stream);
    return stream;
  }
  /// One more connection. Throws: BrokenPipeError when the server, or the session, has gone.
  std::shared_ptr<Stream> join(channel::Call call) const {
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
  /// REQUIRES: called while `error` is handled.
  [[noreturn]] void throw_unreachable(channel::Call call, std::exception const& error) const {
    std::throw_with_nested(
        BrokenPipeError(call.text() + ": \"" + server_.address.str() + "\": " + error.what()));
  }

  /// Null when there is none. Those of the parent are dropped in a forked child.
  std::shared_ptr<Stream> take_idle() {
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
  /// Tells it first what was released meanwhile.
  void keep(std::shared_ptr<Stream> stream) {
    if (is_of_this_process() && !tell_released(*stream)) return;
    os::ForkGateGuard const gate;
    if (idle_.size() < kMostIdle) idle_.push_back({os::fork_generation(), std::move(stream)});
  }
  /// False: the stream is of no use any more.
  bool tell_released(Stream& stream) noexcept {
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
        stream.send(channel::Kind::Value, kNetworkProtocol, encoded(request),
                    base::Deadline::now());
      } catch (TimeoutError const&) {  // there is no room now
        put_back(object);
        return !stream.is_cut_off();
      } catch (std::exception const&) {  // it has ended
        put_back(object);
        return false;
      }
    }
  }

  void put_back(std::uint64_t object) noexcept {
    try {
      os::ForkGateGuard const gate;
      released_.push_back(object);
    } catch (std::exception const&) {  // no memory: the session keeps it
    }
  }

  NetworkAddress const server_;
  unsigned forks_;
  SessionKey key_;
  std::shared_ptr<NetworkStreams> const streams_ = NetworkStreams::make();

  // guarded by the gate: a child finds them whole
  std::vector<Idle> idle_;
  std::vector<std::uint64_t> released_;
};

}  // namespace multiprocessing::serve
