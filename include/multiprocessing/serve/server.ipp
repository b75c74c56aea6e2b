// SPDX-License-Identifier: BSL-1.0
// The bodies of server.hpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/message.hpp>
#include <multiprocessing/channel/pipe_end.hpp>
#include <multiprocessing/channel/queue_end.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/serve/object_table.hpp>
#include <multiprocessing/serve/request.hpp>
#include <multiprocessing/serve/server.hpp>
#include <multiprocessing/serve/visits.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/encoder.hpp>
#include <multiprocessing/wire/parcel.hpp>

namespace multiprocessing::serve {

MULTIPROCESSING_INLINE void ServerState::begin() {
  auto& heap = shm::Heap::instance();
  auto const me = heap.me();
  process = (std::uint64_t{me} + 1) << 32 | heap.arena().participant(me).generation();
}

MULTIPROCESSING_INLINE bool ServerState::has_ended() const {
  auto const who = process.load();
  if (who == 0) return false;
  auto const number = static_cast<shm::Number>((who >> 32) - 1);
  return shm::Heap::instance().arena().is_dead(number, static_cast<std::uint32_t>(who));
}

MULTIPROCESSING_INLINE ServerAddress ServerAddress::make() {
  return {shm::Shared<ServerState>::make(0),
          channel::QueueState::make({.messages = 0, .chunks = 0, .weight = 0})};
}
namespace server_detail {

MULTIPROCESSING_INLINE void send_reply(channel::PipeEnd& end, Message reply) {
  try {
    channel::Outgoing message(kPlain, reply.bytes, reply.parcel);
    channel::send_message(end, kServe, message, base::Deadline::never());
  } catch (std::bad_alloc const&) {
    channel::Outgoing nothing(kPlain, {});
    channel::send_message(end, kServe, nothing, base::Deadline::never());
  }
}

}  // namespace server_detail

MULTIPROCESSING_INLINE Server* Server::of_this_process() noexcept {
  auto* const server = current().load();
  return server != nullptr && server->forks_ == os::fork_generation() ? server : nullptr;
}

MULTIPROCESSING_INLINE std::atomic<Server*>& Server::current() noexcept {
  static std::atomic<Server*> server{nullptr};
  return server;
}

MULTIPROCESSING_INLINE void Server::refuse(channel::PipeEnd& end) noexcept {
  try {
    wire::Bytes bytes;
    wire::Parcel nothing;
    Message const reply{bytes, nothing};
    write_exception(reply);
    server_detail::send_reply(end, reply);
  } catch (std::exception const&) {  // it sees that the end has gone
  }
}

MULTIPROCESSING_INLINE void Server::serve(Visit& visit) noexcept {
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

MULTIPROCESSING_INLINE bool Server::answer_next(Visit& visit) {
  channel::Scratch scratch;
  wire::Parcel parcel;
  Message const reply{scratch.bytes(), parcel};
  {
    channel::Received request;
    auto const take = [&](channel::Incoming const& incoming) { return request.take(incoming); };
    if (!visit.set_answering(false)) return false;
    static_cast<void>(visit.end().receive(server_detail::kServe, take, base::Deadline::never()));
    if (!visit.set_answering(true)) return false;
    if (request.bytes().size() == sizeof(std::uint64_t)) {  // the last proxy of an object has gone
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

}  // namespace multiprocessing::serve
