// SPDX-License-Identifier: BSL-1.0
// One end of a pipe, as one process holds it: two lanes, and who holds the other end.
//
//   this end --- lane[side] ------> the other end       Token[side], Token[1 - side]: blocks that
//            <-- lane[1 - side] ---                     those hold who hold the ends
//
// End of file   nobody who lives holds the other token, and no message under way has it along.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/audience.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/channel/lane.hpp>
#include <multiprocessing/channel/pollable.hpp>
#include <multiprocessing/channel/wait.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing::channel {

/// What holding an end is.
struct Token {};

/// Lives in a block of the heap.
struct PipeState {
  PipeState(std::uint64_t home, std::array<std::uint64_t, 2> token_ids, Lane::Limits limits)
      : tokens(token_ids), forth(home, 0, limits), back(home, 1, limits) {}

  static shm::Shared<PipeState> make(std::array<std::uint64_t, 2> token_ids, Lane::Limits limits) {
    auto lease = std::make_shared<shm::Lease const>(sizeof(PipeState));
    new (lease->data()) PipeState(lease->id(), token_ids, limits);
    return shm::Shared<PipeState>::at(std::move(lease), 0);
  }

  // As much as a kernel's pipe holds several times over; and a few large messages, so that one is
  // written while another is read.
  static constexpr Lane::Limits kLimits{.messages = 0, .chunks = 4, .weight = 8U << 20};

  std::array<std::uint64_t, 2> const tokens;
  Lane forth;  ///< from side 0
  Lane back;

  /// In which `side` sends.
  Lane& lane_of(unsigned side) noexcept { return side == 0 ? forth : back; }
};

/// What an end may do.
struct Direction {
  bool can_send = true;
  bool can_receive = true;
};

/// Threads: all members safe.
class PipeEnd : public Heirloom {
  auto is_stopped() const noexcept {
    return [this] { return is_closed(); };
  }
  /// A wait is over when nobody has the other end; and it would never end when the one who could
  /// end it is the one who waits.
  auto is_over(Call call, base::Deadline deadline) const {
    return [this, call, deadline](Audience::Others const& others) {
      if (!others.is_empty) return false;
      if (!others_.is_there()) return true;
      if (!deadline.is_never() || os::thread_count() > 1) return false;
      os::throw_error(EDEADLK, call.text(), "nobody but the calling thread has the other end");
    };
  }
  auto is_readable() noexcept {
    return [this] {
      return incoming().has_message(sync::this_thread_seated()) || !others_.is_there();
    };
  }

 public:
  PipeEnd(shm::Shared<PipeState> const& pipe, shm::Shared<Token> const& token, unsigned side,
          Direction direction)
      : pipe_(pipe),
        token_(token),
        side_(side),
        direction_(direction),
        others_(pipe->tokens[1 - side]) {}
  ~PipeEnd() override { give_up(); }

  void give_up() noexcept override {
    if (closed_.exchange(true)) return;
    pollable_.close();
    {
      os::ForkGateGuard const gate;
      token_.reset();
    }
    pipe_->forth.tell_all();
    pipe_->back.tell_all();
  }

  bool is_closed() const noexcept { return closed_.load(); }
  Direction direction() const noexcept { return direction_; }

  /// Calls `attempt(Lane&, deadline)`, a put, until it is done. False: the deadline has passed.
  /// Throws: BrokenPipeError when nobody has the other end; std::system_error
  /// (bad_file_descriptor) when this one is closed, or can not send.
  template <class Attempt>
  bool send(Call call, std::uint64_t weight, Attempt const& attempt, base::Deadline deadline) {
    require(call, direction_.can_send, "only receives");
    if (!others_.is_there()) throw_broken(call);
    auto& lane = outgoing();
    auto const put = [&](base::Deadline until) { return attempt(lane, until); };
    switch (
        put_until(lane, others_, weight, put, is_over(call, deadline), is_stopped(), deadline)) {
      case Passed::Done:
        return true;
      case Passed::TimedOut:
        return false;
      case Passed::NobodyThere:
        throw_broken(call);
      default:
        throw_closed(call);
    }
  }

  /// Shows the next message to `take`, see Lane::get(), when it is there. Throws: EOFError when
  /// nobody has the other end and all is read; std::system_error as above.
  template <class Take>
  Passed receive(Call call, Take const& take, base::Deadline deadline) {
    require(call, direction_.can_receive, "only sends");
    auto const passed =
        get_until(incoming(), others_, take, is_over(call, deadline), is_stopped(), deadline);
    if (passed == Passed::NobodyThere) {
      throw EOFError(call.text() + ": nobody has the other end any more");
    }
    if (passed == Passed::Closed) throw_closed(call);
    if (passed == Passed::TimedOut) pollable_.arm(is_readable());
    return passed;
  }

  /// Whether receive() would not block: a message is there, or the end of file.
  bool is_ready(Call call) {
    require(call, direction_.can_receive, "only sends");
    return is_readable()();
  }
  /// Waits for that; when it is not so, the descriptor is armed.
  bool poll(Call call, base::Deadline deadline) {
    require(call, direction_.can_receive, "only sends");
    auto& lane = incoming();
    auto const& me = sync::this_thread_seated();
    auto const is_ready = [&] { return lane.has_message(me) || is_closed(); };
    auto const waited =
        wait_at(lane, lane.items(), others_, is_ready, is_over(call, deadline), deadline);
    if (is_closed()) throw_closed(call);
    if (waited != sync::Waited::TimedOut || !others_.is_there()) return true;
    pollable_.arm(is_readable());
    return false;
  }

  /// See Readiness.
  int fileno(Call call) {
    require(call, direction_.can_receive, "only sends");
    return pollable_.fileno(incoming(), others_, is_readable());
  }

  /// For the wire: see Connection::save(). Throws: std::system_error when it is closed,
  /// PicklingError.
  template <class Encoder>
  void save(Encoder& encoder, Call call, char const* what) {
    os::ForkGateGuard const gate;
    if (!token_) throw_closed(call);
    wire::save_handle(encoder, pipe_, what);
    wire::save_handle(encoder, *token_, what);
    Ticket const ticket{side_, direction_};
    encoder.write(&ticket, sizeof ticket);
  }
  /// Throws: UnpicklingError.
  template <class Decoder>
  static std::shared_ptr<PipeEnd> read(Decoder& decoder) {
    auto const pipe = wire::read_handle<PipeState>(decoder);
    auto const token = wire::read_handle<Token>(decoder);
    Ticket ticket;
    decoder.read(&ticket, sizeof ticket);
    if (ticket.side > 1 || pipe->tokens[ticket.side] != token.id()) {
      throw UnpicklingError("decoding meets an end of no pipe");
    }
    auto end = std::make_shared<PipeEnd>(pipe, token, ticket.side, ticket.direction);
    register_heirloom(end);
    return end;
  }

  Lane& incoming() noexcept { return pipe_->lane_of(1 - side_); }
  Lane& outgoing() noexcept { return pipe_->lane_of(side_); }

 private:
  void require(Call call, bool can, char const* what_it_does) const {
    if (is_closed()) throw_closed(call);
    if (!can) throw_can_not(call, what_it_does);
  }
  struct Ticket {
    unsigned side;
    Direction direction;
  };

  [[noreturn, gnu::noinline]] static void throw_can_not(Call call, char const* what_it_does) {
    os::throw_error(EBADF, call.text(), std::string("this end ") + what_it_does);
  }
  [[noreturn, gnu::noinline]] static void throw_closed(Call call) {
    os::throw_error(EBADF, call.text(),
                    "this end is closed, or was not given to this process: pass it to the "
                    "Process, or capture it by value");
  }
  [[noreturn, gnu::noinline]] static void throw_broken(Call call) {
    throw BrokenPipeError(call.text() + ": nobody has the other end any more");
  }

  shm::Shared<PipeState> const pipe_;
  std::optional<shm::Shared<Token>> token_;  // guarded by the fork gate, as Pollable is
  unsigned const side_;
  Direction const direction_;
  Audience const others_;
  std::atomic<bool> closed_{false};
  Pollable pollable_;
};

/// Both ends of a pipe; `first` is what the first may do. Throws: std::bad_alloc,
/// std::system_error.
inline std::pair<std::shared_ptr<PipeEnd>, std::shared_ptr<PipeEnd>> make_pipe(
    Direction first, Lane::Limits limits = PipeState::kLimits) {
  auto const left = shm::Shared<Token>::make(0);
  auto const right = shm::Shared<Token>::make(0);
  auto const pipe = PipeState::make({left.id(), right.id()}, limits);
  auto const end = [&](shm::Shared<Token> const& token, unsigned side, Direction direction) {
    auto made = std::make_shared<PipeEnd>(pipe, token, side, direction);
    register_heirloom(made);
    return made;
  };
  return {end(left, 0, first), end(right, 1, {first.can_receive, first.can_send})};
}

}  // namespace multiprocessing::channel
