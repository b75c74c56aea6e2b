// SPDX-License-Identifier: BSL-1.0
// The bodies of request.hpp.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/serve/end_of_copy.hpp>
#include <multiprocessing/serve/object_table.hpp>
#include <multiprocessing/serve/request.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing::serve {

MULTIPROCESSING_INLINE void begin_reply(Message reply, ReplyKind kind) {
  reply.bytes.assign(1, static_cast<std::byte>(kind));
  reply.parcel = {};
}

MULTIPROCESSING_INLINE void write_exception(Message reply) {
  begin_reply(reply, ReplyKind::Exception);
  auto record = wire::record_current_exception();
  wire::add_origin(record, {launch::identity().name, os::this_pid(), {}});
  reply.write(record);
}

MULTIPROCESSING_INLINE void answer(ObjectTable& objects, std::span<std::byte const> request,
                                   wire::Parcel const& parcel, Message reply) noexcept {
  try {
    begin_reply(reply, ReplyKind::Value);
    RequestHead head;
    if (request.size() < sizeof head) throw UnpicklingError("Manager: the request has no head");
    std::memcpy(&head, request.data(), sizeof head);
    auto const modules = os::ModuleTable::now();
    auto* const code = wire::function_at<Answer>(head.code, modules);
    if (code == nullptr) throw UnpicklingError("Manager: the request is for no function");
    Request its{objects, modules, head.object, request.subspan(sizeof head), parcel, reply};
    EndOfCopy const end_copy;  // that decoding has made
    code(its);
  } catch (...) {
    try {
      write_exception(reply);
    } catch (...) {  // no memory: an empty reply says so
      reply.bytes.clear();
    }
  }
}

}  // namespace multiprocessing::serve
