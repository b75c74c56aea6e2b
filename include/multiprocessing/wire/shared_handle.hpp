// SPDX-License-Identifier: BSL-1.0
// Handles of shared objects in messages: the block goes into the parcel, the bytes say which one it
// is and where in it the object lies.
//
// A class of handles has `using DecodesItself = void`, a member `save` that calls save_handle(),
// and a static `decode_from` that calls read_handle(); both are templates, so that its header needs
// no archive.
#pragma once

#include <cstdint>
#include <new>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/parcel.hpp>

namespace multiprocessing::wire {

namespace shared_handle_detail {
struct Place {
  std::uint32_t lease;   ///< in the parcel
  std::uint32_t offset;  ///< of the object, in the block
};
}  // namespace shared_handle_detail

/// `what`: for the error, with its article: "a Lock".
/// Throws: PicklingError when the message can not take it along.
template <class Encoder, class T>
void save_handle(Encoder& encoder, shm::Shared<T> const& handle, char const* what) {
  static_assert(
      requires { encoder.parcel(what); },
      "multiprocessing: a shared object can be written by this library's archives only");
  shared_handle_detail::Place const place{encoder.parcel(what).add(handle.lease()),
                                          handle.offset()};
  encoder.write(&place, sizeof place);
}

/// A handle that is equal to the one that was sent. Throws: UnpicklingError.
template <class T, class Decoder>
shm::Shared<T> read_handle(Decoder& decoder) {
  shared_handle_detail::Place place;
  decoder.read(&place, sizeof place);
  auto const& lease = decoder.parcel().lease(place.lease);
  auto const size = lease->size();
  if (place.offset % alignof(T) != 0 || size < sizeof(T) || place.offset > size - sizeof(T)) {
    throw UnpicklingError("decoding meets a shared object that does not lie in its block");
  }
  return shm::Shared<T>::at(lease, place.offset);
}

}  // namespace multiprocessing::wire
