// SPDX-License-Identifier: BSL-1.0
// A handle of an object in a server.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/serve/client.hpp>
#include <multiprocessing/serve/request.hpp>
#include <multiprocessing/serve/server.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::serve {

/// Makes an object of the server, of what a call of it has made there. REQUIRES: this is its
/// process.
template <class T>
TokenHandle held(T value) {
  return {Server::of_this_process()->objects().add(std::make_shared<Held<T>>(std::move(value)))};
}

/// What all handles of a T in a process that are copies of each other have.
class Possession {
 public:
  Possession(ServerAddress address, shm::Shared<Token> const& token)
      : address_(std::move(address)), token_(token) {}
  Possession(Possession const&) = delete;
  Possession& operator=(Possession const&) = delete;
  ~Possession() {
    auto const id = token_->id();
    token_.reset();
    if (!shm::Heap::instance().arena().exists(id)) Client::note_gone(address_, id);
  }

  ServerAddress const& address() const noexcept { return address_; }
  shm::Shared<Token> const& token() const noexcept { return *token_; }

 private:
  ServerAddress const address_;
  std::optional<shm::Shared<Token>> token_;  // none: at its end
};

/// A copy is the same object, also in a process that is started with it, or receives it. The object
/// lives as long as any of them, in processes that live.
/// Threads, processes: all members safe.
template <class T>
class Remote {
 public:
  /// Makes a T(args...) in the server.
  template <class... Args>
  static Remote create(channel::Call call, ServerAddress const& address, Args const&... args) {
    auto const made = Client::call<CreateObject<T, Args...>>(call, address, 0, args...);
    return Remote(std::make_shared<Possession>(address, made.token));
  }

  /// f(object, args...) there, while no other call is at the object. Throws: as Client::call().
  template <class F, class... Args>
  typename CallObject<T, F, Args...>::Result call(channel::Call call, F const& f,
                                                  Args const&... args) const {
    return Client::call<CallObject<T, F, Args...>>(call, possession_->address(),
                                                   possession_->token().id(), f, args...);
  }

  /// The U that f(object, args...) has held(): as call().
  template <class U, class F, class... Args>
  Remote<U> made_by(channel::Call call, F const& f, Args const&... args) const {
    auto const made = this->call(call, f, args...);
    return Remote<U>(std::make_shared<Possession>(possession_->address(), made.token));
  }

  friend bool operator==(Remote const& a, Remote const& b) noexcept {
    return a.possession_->token() == b.possession_->token();
  }

  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    possession_->address().save(encoder);
    TokenHandle{possession_->token()}.save(encoder);
  }
  template <class Decoder>
  static Remote decode_from(Decoder& decoder) {
    auto address = ServerAddress::decode_from(decoder);
    auto const its = TokenHandle::decode_from(decoder);
    return Remote(std::make_shared<Possession>(std::move(address), its.token));
  }

 private:
  template <class U>
  friend class Remote;

  explicit Remote(std::shared_ptr<Possession const> possession)
      : possession_(std::move(possession)) {}

  std::shared_ptr<Possession const> possession_;
};

}  // namespace multiprocessing::serve
