// SPDX-License-Identifier: BSL-1.0
// An open file, pipe or socket, to be sent to another process.
#pragma once

#include <fcntl.h>

#include <string>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing {

/// Owns a descriptor: closes it when destroyed. Move-only; -1 is "none".
///
/// A message, or an argument, takes a duplicate along: the sender keeps its own, and may exit at
/// once; the receiver gets another number for the same open file, with the same position in it.
/// When the message is never received, the duplicate is closed with it, or, where others were sent
/// before it, when the next one is sent or received; of a dead process, when its end was seen (a
/// join(), say). At most 256 files, and 256 others, are under way at a time among the processes of
/// a family: one more throws std::system_error (ENOBUFS, or ETOOMANYREFS where this user may not
/// have so many). Who may have no more descriptors when it receives one gets std::system_error
/// (EMFILE), and the message is lost.
///
/// Threads: distinct objects safe. Fork: both processes own one of the same number.
/// Python: multiprocessing.reduction.DupFd
class Fd {
  struct UnderWay {};  // the shared object that the descriptor belongs to, meanwhile

 public:
  Fd() = default;
  /// Takes `fd` over.
  explicit Fd(int fd) noexcept : fd_(fd) {}

  /// Another descriptor of the same open file, close-on-exec; `fd` stays its owner's: a
  /// Process::sentinel(), say. Throws: std::system_error.
  static Fd duplicate(int fd) {
    os::Fd copy = os::above_standard(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) os::throw_errno("Fd.duplicate", std::to_string(fd));
    return Fd(std::move(copy));
  }

  int get() const noexcept { return fd_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  /// Gives it up: the caller closes it.
  [[nodiscard]] int release() noexcept { return fd_.release(); }
  void close() noexcept { fd_.reset(); }

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    encoder.parcel("an Fd");  // first: throws where there is none
    encoder(static_cast<bool>(*this));
    if (!*this) return;
    auto const under_way = shm::Shared<UnderWay>::make(0);
    shm::Heap::instance().vault().put(under_way.lease()->block(), get());
    wire::save_handle(encoder, under_way, "an Fd");
  }
  template <class Decoder>
  static Fd decode_from(Decoder& decoder) {
    bool is_there = false;
    decoder(is_there);
    if (!is_there) return {};
    auto const under_way = wire::read_handle<UnderWay>(decoder);
    os::Fd fd = shm::Heap::instance().vault().take(under_way.lease()->block());
    if (!fd) throw UnpicklingError("decoding meets an Fd that has been received already");
    return Fd(std::move(fd));
  }

 private:
  explicit Fd(os::Fd fd) noexcept : fd_(std::move(fd)) {}

  os::Fd fd_;
};

}  // namespace multiprocessing
