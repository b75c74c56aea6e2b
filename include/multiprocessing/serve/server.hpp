// SPDX-License-Identifier: BSL-1.0
// The process of a manager: has objects, and a thread for each thread elsewhere that calls them.
//
//   client thread                              server
//   makes a pipe; its far end ---reception---> accept(): a thread
//   waits for  <------------- hello ---------- serve(visit)
//   request ----------------------------------> answer(): one call at a time for each object
//   value, or exception <----------------------
//
//   Failure   a client ends, any way: its thread reads the end of file; objects that it alone had
//             go. The server ends, any way: every call that waits for it reads the end of file.
//   Shutdown  the reception is shut down; ends are given up, threads joined, objects destroyed.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/message.hpp>
#include <multiprocessing/channel/pipe_end.hpp>
#include <multiprocessing/channel/queue_end.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/serve/object_table.hpp>
#include <multiprocessing/serve/request.hpp>
#include <multiprocessing/serve/visits.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/encoder.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing::serve {

/// What all have of a server. Lives in a block of the heap.
struct ServerState {
  std::atomic<std::uint64_t> process{0};  ///< participant and generation; 0: it has not begun

  void begin() {
    auto& heap = shm::Heap::instance();
    auto const me = heap.me();
    process = (std::uint64_t{me} + 1) << 32 | heap.arena().participant(me).generation();
  }
  /// Whether it has begun, and ended.
  bool has_ended() const {
    auto const who = process.load();
    if (who == 0) return false;
    auto const number = static_cast<shm::Number>((who >> 32) - 1);
    return shm::Heap::instance().arena().is_dead(number, static_cast<std::uint32_t>(who));
  }
};

/// Where a server is found: goes in messages.
struct ServerAddress {
  shm::Shared<ServerState> state;
  shm::Shared<channel::QueueState> reception;

  static ServerAddress make() {
    return {shm::Shared<ServerState>::make(0),
            channel::QueueState::make({.messages = 0, .chunks = 0, .weight = 0})};
  }
  std::uint64_t id() const noexcept { return state.id(); }

  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    wire::save_handle(encoder, state, "an object of a Manager");
    wire::save_handle(encoder, reception, "an object of a Manager");
  }
  template <class Decoder>
  static ServerAddress decode_from(Decoder& decoder) {
    auto const state = wire::read_handle<ServerState>(decoder);
    return {state, wire::read_handle<channel::QueueState>(decoder)};
  }
};

/// The end that the server is to have.
struct Visitor {
  std::shared_ptr<channel::PipeEnd> end;

  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    end->save(encoder, {"Manager", "connect"}, "a connection");
  }
  template <class Decoder>
  static Visitor decode_from(Decoder& decoder) {
    return {channel::PipeEnd::read(decoder)};
  }
};

namespace server_detail {
inline constexpr channel::Call kServe{"Manager", "serve"};
inline constexpr channel::Content kPlain{.is_bytes = true};

/// Sends a reply; what can not be sent for want of memory, as an empty one.
inline void send_reply(channel::PipeEnd& end, Message reply) {
  try {
    channel::Outgoing message(kPlain, reply.bytes, reply.parcel);
    channel::send_message(end, kServe, message, base::Deadline::never());
  } catch (std::bad_alloc const&) {
    channel::Outgoing nothing(kPlain, {});
    channel::send_message(end, kServe, nothing, base::Deadline::never());
  }
}
}  // namespace server_detail

/// Threads: run() by one. One a process.
class Server {
 public:
  explicit Server(ServerAddress address) : address_(std::move(address)) {}
  Server(Server const&) = delete;
  Server& operator=(Server const&) = delete;

  /// That of this process; null when it is none, as a forked copy of one.
  static Server* of_this_process() noexcept {
    auto* const server = current().load();
    return server != nullptr && server->forks_ == os::fork_generation() ? server : nullptr;
  }
  std::uint64_t id() const noexcept { return address_.id(); }
  ObjectTable& objects() noexcept { return objects_; }

  /// Calls `up()` as soon as it can be called. Blocks: until the reception is shut down.
  template <class Up>
  void run(Up const& up) {
    current() = this;
    channel::QueueEnd reception(address_.reception);
    address_.state->begin();
    up();
    for (;;) {
      try {
        auto visitor = channel::receive_value<Visitor>(reception, server_detail::kServe,
                                                       base::Deadline::never());
        visits_.begin(
            std::move(visitor->end), [this](Visit& its) { serve(its); }, &refuse);
      } catch (ShutDown const&) {
        break;
      } catch (EOFError const&) {  // nobody is left who could call
        break;
      } catch (std::bad_alloc const&) {  // who it was sees that its end has gone
      } catch (std::system_error const&) {
      }
    }
    visits_.stop([](channel::PipeEnd& end) { end.give_up(); });
    visits_.join();  // waits for calls
    objects_.clear();
    current() = nullptr;
  }

 private:
  using Visit = serve::Visit<channel::PipeEnd>;

  static std::atomic<Server*>& current() noexcept {
    static std::atomic<Server*> server{nullptr};
    return server;
  }

  /// In place of a hello: why not. REQUIRES: called while an exception is handled.
  static void refuse(channel::PipeEnd& end) noexcept {
    try {
      wire::Bytes bytes;
      wire::Parcel nothing;
      Message const reply{bytes, nothing};
      write_exception(reply);
      server_detail::send_reply(end, reply);
    } catch (std::exception const&) {  // it sees that the end has gone
    }
  }

  void serve(Visit& visit) noexcept {
    try {
      wire::Bytes hello;
      wire::Parcel nothing;
      begin_reply({hello, nothing}, ReplyKind::Value);
      server_detail::send_reply(visit.end(), {hello, nothing});
      while (answer_next(visit)) {
      }
    } catch (std::exception const&) {  // it has gone, or is given up, or there is no memory
    }
    visit.drop_end();  // first: an answer that nobody has read may have an object
    try {
      shm::Heap::instance().arena().bury_the_dead();
    } catch (std::exception const&) {
    }
    objects_.sweep_all();
  }

  /// False: it has been stopped.
  bool answer_next(Visit& visit) {
    channel::Scratch scratch;
    wire::Parcel parcel;
    Message const reply{scratch.bytes(), parcel};
    {
      channel::Received request;
      auto const take = [&](channel::Incoming const& incoming) { return request.take(incoming); };
      if (!visit.set_answering(false)) return false;
      static_cast<void>(visit.end().receive(server_detail::kServe, take, base::Deadline::never()));
      if (!visit.set_answering(true)) return false;
      if (request.bytes().size() ==
          sizeof(std::uint64_t)) {  // the last proxy of an object has gone
        std::uint64_t object = 0;
        std::memcpy(&object, request.bytes().data(), sizeof object);
        objects_.forget(object);
        return true;
      }
      answer(objects_, request.bytes(), request.parcel(), reply);
    }
    server_detail::send_reply(visit.end(), reply);
    return true;
  }

  ServerAddress const address_;
  unsigned const forks_ = os::fork_generation();
  ObjectTable objects_;
  Visits<channel::PipeEnd> visits_;
};

}  // namespace multiprocessing::serve
