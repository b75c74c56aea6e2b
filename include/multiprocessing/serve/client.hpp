// SPDX-License-Identifier: BSL-1.0
// The way from a thread to a server: a pipe of its own, made at the first call.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/message.hpp>
#include <multiprocessing/channel/pipe_end.hpp>
#include <multiprocessing/channel/queue_end.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/serve/request.hpp>
#include <multiprocessing/serve/server.hpp>
#include <multiprocessing/wire/parcel.hpp>

namespace multiprocessing::serve {

/// Threads: each has its own. Fork: the child makes its own.
class Client {
 public:
  /// Code::answer with what Code::write writes of the parts, in the server; or here, where this is
  /// its process. Blocks: until it is done. Throws: what it throws; PicklingError, and nothing was
  /// sent; BrokenPipeError when the server has ended, or ends meanwhile, or has no memory to go on;
  /// std::bad_alloc.
  template <class Code, class... Parts>
  static typename Code::Result call(channel::Call call, ServerAddress const& address,
                                    std::uint64_t object, Parts const&... parts) {
    channel::Scratch request;
    wire::Parcel parcel;
    write_request<Code>({request.bytes(), parcel}, object, parts...);
    if (auto* const server = local(address)) {
      channel::Scratch reply;
      wire::Parcel with_reply;
      answer(server->objects(), request.bytes(), parcel, {reply.bytes(), with_reply});
      return read_reply<typename Code::Result>(reply.bytes(), with_reply);
    }
    channel::Received reply;
    with_client(call, address, [&](Client& client) {
      client.exchange(call, {request.bytes(), parcel}, reply);
    });
    return read_reply<typename Code::Result>(reply.bytes(), reply.parcel());
  }

  /// Tells the server that the object may have gone, if that costs no more than a message.
  static void note_gone(ServerAddress const& address, std::uint64_t object) noexcept;

 private:
  static constexpr channel::Content kPlain{.is_bytes = true};
  // Between two looks whether the server still runs: who was forked without this library may have
  // its end of a pipe, too, and outlive it.
  static constexpr std::chrono::milliseconds kBetweenLooks{100};

  Client(ServerAddress address, std::shared_ptr<channel::PipeEnd> end)
      : address_(std::move(address)), end_(std::move(end)) {}

  static Server* local(ServerAddress const& address) noexcept;

  /// All of a thread.
  struct OfThread {
    std::vector<std::unique_ptr<Client>> clients;
    ~OfThread() { is_gone() = true; }
  };
  static bool& is_gone() noexcept;
  /// Null for destructors of static objects, which may be proxies, behind those of the thread's.
  static OfThread* of_this_thread();
  static Client* find(ServerAddress const& address) noexcept;
  /// Hands this thread's one to `use`, which may have to be made.
  template <class Use>
  static void with_client(channel::Call call, ServerAddress const& address, Use const& use) {
    if (auto* const client = find(address)) return use(*client);
    auto* const own = of_this_thread();
    std::unique_ptr<Client> fresh(new Client(address, connect(call, address)));
    if (own == nullptr) return use(*fresh);
    std::erase_if(own->clients, [](auto const& client) { return !client->is_usable(); });
    own->clients.push_back(std::move(fresh));
    use(*own->clients.back());
  }

  bool is_usable() const noexcept { return forks_ == os::fork_generation() && !end_->is_closed(); }

  static std::shared_ptr<channel::PipeEnd> connect(channel::Call call,
                                                   ServerAddress const& address);

  /// Throws: EOFError, also when the server has ended.
  static void take(channel::Call call, ServerAddress const& address, channel::PipeEnd& end,
                   channel::Received& message);

  void exchange(channel::Call call, Message request, channel::Received& reply);

  [[noreturn]] static void throw_ended(channel::Call call);

  ServerAddress const address_;
  unsigned const forks_ = os::fork_generation();  // else it is the parent's
  std::shared_ptr<channel::PipeEnd> const end_;
};

}  // namespace multiprocessing::serve

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/serve/client.ipp>
#endif
