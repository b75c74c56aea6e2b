// SPDX-License-Identifier: BSL-1.0
// A session with the server of another program: a connection for each call that is under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/address.hpp>
#include <multiprocessing/channel/authentication.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/connector.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/serve/network_request.hpp>
#include <multiprocessing/serve/network_streams.hpp>

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
  explicit NetworkClient(NetworkAddress address);
  NetworkClient(NetworkClient const&) = delete;
  NetworkClient& operator=(NetworkClient const&) = delete;
  ~NetworkClient();

  NetworkAddress const& server() const noexcept { return server_; }
  bool is_of_this_process() const noexcept { return forks_ == os::fork_generation(); }

  static wire::Bytes encoded(NetworkRequest const& request);

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
  void release(std::uint64_t object) noexcept;

 private:
  using Stream = channel::SocketStream;

  // More are closed when their call is over: each takes a thread of the server, and descriptors.
  static constexpr std::size_t kMostIdle = 16;

  struct Idle {
    unsigned forks;
    std::shared_ptr<Stream> stream;
  };

  base::Deadline to_connect() const;
  std::shared_ptr<Stream> connect(base::Deadline deadline) const;
  /// One more connection. Throws: BrokenPipeError when the server, or the session, has gone.
  std::shared_ptr<Stream> join(channel::Call call) const;

  wire::Bytes exchange(Stream& stream, channel::Call call, std::span<std::byte const> request,
                       base::Deadline deadline) const;
  [[noreturn]] void throw_ended(channel::Call call) const;
  /// REQUIRES: called while `error` is handled.
  [[noreturn]] void throw_unreachable(channel::Call call, std::exception const& error) const;

  /// Null when there is none. Those of the parent are dropped in a forked child.
  std::shared_ptr<Stream> take_idle();
  /// Tells it first what was released meanwhile.
  void keep(std::shared_ptr<Stream> stream);
  /// False: the stream is of no use any more.
  bool tell_released(Stream& stream) noexcept;

  void put_back(std::uint64_t object) noexcept;

  NetworkAddress const server_;
  unsigned forks_;
  SessionKey key_;
  std::shared_ptr<NetworkStreams> const streams_ = NetworkStreams::make();

  // guarded by the gate: a child finds them whole
  std::vector<Idle> idle_;
  std::vector<std::uint64_t> released_;
};

}  // namespace multiprocessing::serve

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/serve/network_client.ipp>
#endif
