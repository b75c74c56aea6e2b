// SPDX-License-Identifier: BSL-1.0
// An open file, pipe or socket, to be sent to another process.
#pragma once

#include <fcntl.h>

#include <string>
#include <utility>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/wire/sent_fd.hpp>

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

  /// The descriptor, which stays its own; -1 when it has none.
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
    wire::save_fd(encoder, get());
  }
  template <class Decoder>
  static Fd decode_from(Decoder& decoder) {
    bool is_there = false;
    decoder(is_there);
    if (!is_there) return {};
    return Fd(wire::read_fd(decoder));
  }

 private:
  explicit Fd(os::Fd fd) noexcept : fd_(std::move(fd)) {}

  os::Fd fd_;
};

}  // namespace multiprocessing
