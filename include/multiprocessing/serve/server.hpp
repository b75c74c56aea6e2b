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
#include <memory>
#include <new>
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
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing::serve {

/// What all have of a server. Lives in a block of the heap.
struct ServerState {
  std::atomic<std::uint64_t> process{0};  ///< participant and generation; 0: it has not begun

  void begin();
  /// Whether it has begun, and ended.
  bool has_ended() const;
};

/// Where a server is found: goes in messages.
struct ServerAddress {
  shm::Shared<ServerState> state;
  shm::Shared<channel::QueueState> reception;

  static ServerAddress make();
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
void send_reply(channel::PipeEnd& end, Message reply);
}  // namespace server_detail

/// Threads: run() by one. One a process.
class Server {
 public:
  explicit Server(ServerAddress address) : address_(std::move(address)) {}
  Server(Server const&) = delete;
  Server& operator=(Server const&) = delete;

  /// That of this process; null when it is none, as a forked copy of one.
  static Server* of_this_process() noexcept;
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

  static std::atomic<Server*>& current() noexcept;

  /// In place of a hello: why not. REQUIRES: called while an exception is handled.
  static void refuse(channel::PipeEnd& end) noexcept;

  void serve(Visit& visit) noexcept;

  /// False: it has been stopped.
  bool answer_next(Visit& visit);

  ServerAddress const address_;
  unsigned const forks_ = os::fork_generation();
  ObjectTable objects_;
  Visits<channel::PipeEnd> visits_;
};

}  // namespace multiprocessing::serve

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/serve/server.ipp>
#endif
