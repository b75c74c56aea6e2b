// SPDX-License-Identifier: BSL-1.0
// A descriptor that may be closed while other threads wait for it.
//
// close() ends their waits by an eventfd that they poll beside it, and leaves the closing to the
// last one of them, so that none ever works on a descriptor that was given the same number. Who was
// in the middle of a call is counted by process: of the threads that a fork leaves behind, none
// comes back.
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/process.hpp>

namespace multiprocessing::channel {

/// Threads: safe; REQUIRES: none is inside a call when it is destroyed. Fork: parent and child each
/// have a descriptor, and close it for themselves.
class ClosableFd {
 public:
  /// `name` is what the exceptions say is closed.
  ClosableFd(os::Fd fd, char const* name) noexcept
      : name_(name), number_(fd.get()), fd_(std::move(fd)) {}
  ClosableFd(ClosableFd const&) = delete;
  ClosableFd& operator=(ClosableFd const&) = delete;
  ~ClosableFd() { os::Fd const last(Waker(waker_.load()).fd()); }

  /// Keeps the descriptor open as long as it lives.
  class Use {
   public:
    explicit Use(ClosableFd& owner) noexcept : owner_(owner) {}
    Use(Use const&) = delete;
    Use& operator=(Use const&) = delete;
    ~Use() { owner_.leave(); }

    int get() const noexcept { return owner_.number_; }

   private:
    ClosableFd& owner_;
  };

  /// Throws: std::system_error, EBADF, when it is closed.
  [[nodiscard]] Use use() {
    if (!enter()) throw_closed();
    return Use(*this);
  }

  [[nodiscard]] bool closed() const noexcept { return (state_.load() & kClosed) != 0; }
  [[noreturn]] void throw_closed() const {
    throw std::system_error(std::make_error_code(std::errc::bad_file_descriptor),
                            std::string("the ") + name_ + " is closed");
  }

  /// -1 when it is closed.
  int fileno() const noexcept { return closed() ? -1 : number_; }

  /// Threads that wait() get the exception of use().
  void close() noexcept {
    auto const mine = process();
    auto state = state_.load();
    std::uint64_t next;
    do {
      next = of_this_process(state, mine) | kClosed;
    } while (!state_.compare_exchange_weak(state, next));
    if ((next & kUsers) == 0) {
      if ((state & kClosed) == 0) fd_.reset();
    } else if (Waker const waker(waker_.load()); waker.process() == mine) {
      os::signal_eventfd(waker.fd());
    }
  }

  /// Whether one of `events` came before the deadline. REQUIRES: called within a use().
  /// Throws: std::system_error, also when it was closed meanwhile.
  bool wait(short events, base::Deadline deadline) {
    pollfd entries[] = {{.fd = number_, .events = events, .revents = 0},
                        {.fd = waker(), .events = POLLIN, .revents = 0}};
    if (closed()) throw_closed();
    os::poll_until(entries, deadline);
    if (closed()) throw_closed();
    return entries[0].revents != 0;
  }

  /// Readable once close() was called. REQUIRES: as wait(). Throws: std::system_error.
  int waker() {
    auto const mine = process();
    auto word = waker_.load();
    if (Waker(word).process() == mine) return Waker(word).fd();
    os::Fd fresh = os::create_eventfd();
    if (waker_.compare_exchange_strong(word, Waker::pack(mine, fresh.get()))) {
      os::Fd const inherited(Waker(word).fd());  // it would wake the parent as well
      return fresh.release();
    }
    return Waker(word).fd();  // another thread was faster
  }

 private:
  // state: pid << 32 | closed << 31 | threads inside a use()
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 31;
  static constexpr std::uint64_t kUsers = kClosed - 1;

  // pid << 32 | descriptor + 1
  class Waker {
   public:
    explicit Waker(std::uint64_t word) noexcept : word_(word) {}
    static std::uint64_t pack(std::uint64_t process, int fd) noexcept {
      return process << 32 | static_cast<std::uint32_t>(fd + 1);
    }
    std::uint64_t process() const noexcept { return word_ >> 32; }
    int fd() const noexcept { return static_cast<int>(static_cast<std::uint32_t>(word_)) - 1; }

   private:
    std::uint64_t word_;
  };

  static std::uint64_t process() noexcept { return static_cast<std::uint64_t>(os::this_pid()); }

  static std::uint64_t of_this_process(std::uint64_t state, std::uint64_t mine) noexcept {
    return state >> 32 == mine ? state : mine << 32 | (state & kClosed);
  }

  bool enter() noexcept {
    auto const mine = process();
    auto state = state_.load();
    do {
      if ((state & kClosed) != 0) return false;
    } while (!state_.compare_exchange_weak(state, of_this_process(state, mine) + 1));
    return true;
  }
  void leave() noexcept {
    auto const left = state_.fetch_sub(1) - 1;
    if ((left & kClosed) != 0 && (left & kUsers) == 0) fd_.reset();
  }

  char const* const name_;
  int const number_;
  os::Fd fd_;  // reset by the last user of a closed one
  std::atomic<std::uint64_t> state_ = 0;
  std::atomic<std::uint64_t> waker_ = 0;
};

}  // namespace multiprocessing::channel
