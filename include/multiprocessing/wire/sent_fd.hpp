// SPDX-License-Identifier: BSL-1.0
// A descriptor in a message: the kernel keeps a duplicate of it with a block, which the message
// takes along.
#pragma once

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing::wire {

namespace sent_fd_detail {
struct UnderWay {};  // the shared object that the descriptor belongs to, meanwhile
}  // namespace sent_fd_detail

/// `fd` stays the caller's. Throws: PicklingError when the message can not take it along,
/// std::system_error when too many are under way.
template <class Encoder>
void save_fd(Encoder& encoder, int fd) {
  auto const under_way = shm::Shared<sent_fd_detail::UnderWay>::make(0);
  shm::Heap::instance().vault().put(under_way.lease()->block(), fd);
  save_handle(encoder, under_way, "an Fd");
}

/// Throws: UnpicklingError when it has been taken already, std::system_error.
template <class Decoder>
os::Fd read_fd(Decoder& decoder) {
  auto const under_way = read_handle<sent_fd_detail::UnderWay>(decoder);
  os::Fd fd = shm::Heap::instance().vault().take(under_way.lease()->block());
  if (!fd) throw UnpicklingError("decoding meets an Fd that has been received already");
  return fd;
}

}  // namespace multiprocessing::wire
