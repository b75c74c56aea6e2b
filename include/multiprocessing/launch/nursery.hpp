// SPDX-License-Identifier: BSL-1.0
// A small single-threaded process that starts children on request, reaps them, and never outlives
// its owner. Nothing that happens to a child, and no thread of the owner, can get in its way.
//
// It is a copy of its owner, or another run of the program: then its children are copies of that.
//
//   owner                     nursery                          child #0..n-1
//   start_nursery ----------> body(Nursery&)
//                               start(#) --------------------> runs
//   wake() --- eventfd -----> wait(): Woken
//                             wait(): ended, status <--------- ends, any way
//   Failure   owner ends (any way, or by exec): wait() says owner_ended; the nursery kills
//             its children and leaves. Nursery ends (any way): the kernel kills its children.
#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/launch/child.hpp>
#include <multiprocessing/launch/child_setup.hpp>
#include <multiprocessing/launch/fork_child.hpp>
#include <multiprocessing/launch/fork_server.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/launch/sigint_policy.hpp>
#include <multiprocessing/launch/start_method.hpp>
#include <multiprocessing/launch/target.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/signals.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/sent_fd.hpp>

namespace multiprocessing::launch {

/// The nursery's own view. Threads: the nursery's only one.
class Nursery {
 public:
  Nursery(std::size_t children, std::shared_ptr<os::Fd const> owner, os::Fd const& owner_life,
          os::Fd const& wake)
      : owner_(std::move(owner)), owner_life_(&owner_life), wake_(&wake), children_(children) {}

  std::size_t size() const noexcept { return children_.size(); }
  bool is_running(std::size_t number) const noexcept { return children_[number] != nullptr; }
  pid_t pid(std::size_t number) const noexcept { return children_[number]->pid(); }

  /// For more children. Throws: std::bad_alloc.
  void grow(std::size_t size) {
    if (size > children_.size()) children_.resize(size);
  }

  std::size_t running() const noexcept {
    return static_cast<std::size_t>(std::count_if(children_.begin(), children_.end(),
                                                  [](auto const& c) { return c != nullptr; }));
  }

  /// Starts child `number` as `who`, to run `body` (which returns the exit code).
  /// Throws: std::system_error. REQUIRES: number < size(), !is_running(number).
  template <class Body>
  void start(std::size_t number, std::shared_ptr<Identity> who, Body& body,
             SigintPolicy sigint = SigintPolicy::ignore) {
    // To user code in a child, its parent is the process that the nursery works for.
    auto const& me = identity();
    who->parent_pid = me.parent_pid;
    who->parent_name = me.parent_name;
    who->parent_pidfd = owner_;
    pid_t const nursery = os::this_pid();
    auto const bound_body = [&] {
      os::die_with_parent(nursery);
      // The nursery ignores it, which stays so otherwise.
      if (sigint == SigintPolicy::terminate) os::handle_signal_by_default(SIGINT);
      return body();
    };
    children_[number] = fork_child(std::move(who), bound_body, sigint);
  }

  /// An eventfd; to signal it, also in a child, makes wait() return.
  os::Fd const& wake_fd() const noexcept { return *wake_; }

  struct Ended {
    std::size_t number;
    pid_t pid;
    ExitStatus status;
  };
  struct News {
    bool owner_ended = false;
    std::vector<Ended> ended;
  };

  /// Blocks: until the owner calls wake() or ends, a child ends, or the deadline passes.
  News wait(base::Deadline deadline) {
    // A negative descriptor is one that poll skips.
    auto const unless_ended = [this](os::Fd const& fd) { return owner_has_ended_ ? -1 : fd.get(); };
    std::vector<pollfd> fds{{unless_ended(*owner_), POLLIN, 0},
                            {unless_ended(*owner_life_), POLLIN, 0},
                            {wake_->get(), POLLIN, 0}};
    // No row for who has no descriptor: poll refuses more rows than there may be descriptors.
    constexpr std::size_t kNoRow = SIZE_MAX;
    std::vector<std::size_t> rows(children_.size(), kNoRow);
    for (std::size_t number = 0; number < children_.size(); ++number) {
      auto const& child = children_[number];
      if (!child) continue;
      if (int const fd = child->sentinel_if_any(); fd >= 0) {
        rows[number] = fds.size();
        fds.push_back({fd, POLLIN, 0});
      } else {
        deadline = earlier(deadline, base::Deadline::after(kBetweenLooks));
      }
    }
    os::poll_until(fds, deadline);
    News news;
    // Both stay readable: poll them no more.
    if (fds[0].revents != 0 || fds[1].revents != 0) owner_has_ended_ = true;
    news.owner_ended = owner_has_ended_;
    if (fds[2].revents != 0) os::drain_eventfd(*wake_);
    bool traced = false;  // a dead child that a debugger does not let go yet
    for (std::size_t number = 0; number < children_.size(); ++number) {
      auto& child = children_[number];
      bool const has_row = rows[number] != kNoRow;
      if (!child || (has_row && fds[rows[number]].revents == 0)) continue;
      if (auto const status = child->poll()) {
        news.ended.push_back({number, child->pid(), *status});
        if (!owner_has_ended_) {  // afterwards it is in a hurry, and stderr may take nothing
          log(LogLevel::debug, "child ", number, " (pid ", child->pid(), ") ended: ", *status);
        }
        child.reset();
      } else if (has_row) {
        traced = true;
      }
    }
    if (traced) os::poll_until({}, base::Deadline::after(kBetweenLooks));
    return news;
  }

  void send(std::size_t number, int signal) {
    if (children_[number]) children_[number]->send(signal);
  }
  void send_to_all(int signal) {
    for (auto const& child : children_) {
      if (child) child->send(signal);
    }
  }

 private:
  // For what no descriptor tells: the end of a child for which there was none left, and when a
  // tracer lets a dead one go.
  static constexpr std::chrono::milliseconds kBetweenLooks{1};

  std::shared_ptr<os::Fd const> owner_;
  bool owner_has_ended_ = false;
  os::Fd const* owner_life_;  // end of file: the owner has ended, or become another program
  os::Fd const* wake_;
  std::vector<std::unique_ptr<Child>> children_;  // null: none of this number runs
};

/// The owner's handle.
struct NurseryHandle {
  std::unique_ptr<Child> process;
  os::Fd wake_fd;
  std::shared_ptr<channel::Heirloom> life;  ///< nobody else has it, and no exec inherits it

  void wake() const noexcept { os::signal_eventfd(wake_fd); }
};

namespace nursery_detail {

/// The owner's end of the pipe that is closed with its life. Its forked children give it up.
struct Life final : channel::Heirloom {
  void give_up() noexcept override { writer.reset(); }
  os::Fd writer;
};

/// What an owner and its nursery have between them.
struct Bond {
  Bond() {
    channel::register_heirloom(life);
    os::ForkGateGuard const gate;  // no fork finds the end, and nobody to give it up
    auto pipe = os::create_pipe();
    life->writer = std::move(pipe.writer);
    life_reader = std::move(pipe.reader);
  }

  os::Fd wake = os::create_eventfd();
  std::shared_ptr<Life> life = std::make_shared<Life>();
  os::Fd life_reader;
};

/// Runs no user code, so there is nothing to run at its end.
template <class Body>
[[noreturn]] void live(Body& body, std::size_t children, std::shared_ptr<os::Fd const> owner,
                       os::Fd const& life, os::Fd const& wake) {
  // A service manager may ask the owner's whole group to end. The owner answers; its end is seen.
  os::ignore_signal(SIGTERM);
  if (owner == nullptr) os::exit_now(1);
  Nursery nursery(children, std::move(owner), life, wake);
  os::exit_now(body(nursery));
}

/// A nursery that is not a copy of its owner.
class NurseryTarget final : public Target {
 public:
  using Body = int(Nursery& nursery, std::vector<os::Fd> fds);

  /// `lent`: the reader of the life line, what wakes it, and what the body gets.
  NurseryTarget(Body* body, std::size_t children, std::vector<int> lent)
      : body_(body), children_(children), lent_(std::move(lent)) {}

  void run() override {
    auto const body = [this](Nursery& nursery) {
      auto const first = std::make_move_iterator(fds_.begin() + kOwn);
      return body_(nursery, {first, std::make_move_iterator(fds_.end())});
    };
    live(body, children_, open_parent(identity()), fds_[0], fds_[1]);
  }

  void save(wire::Bytes& bytes, wire::Parcel& parcel) const override {
    TargetReader* const reader = &read;
    wire::encode(bytes, reader, parcel);
    wire::encode(bytes, body_, parcel);
    wire::encode(bytes, children_, parcel);
    wire::encode(bytes, LentFds{lent_}, parcel);
  }

 private:
  static constexpr std::size_t kOwn = 2;

  /// Written as numbers, read as duplicates.
  struct LentFds {
    std::vector<int> numbers;
    std::vector<os::Fd> fds = {};

    using DecodesItself = void;
    template <class Encoder>
    void save(Encoder& encoder) const {
      encoder(numbers.size());
      for (int const number : numbers) wire::save_fd(encoder, number);
    }
    template <class Decoder>
    static LentFds decode_from(Decoder& decoder) {
      LentFds lent;
      std::size_t count = 0;
      for (decoder(count); count > 0; --count) lent.fds.push_back(wire::read_fd(decoder));
      return lent;
    }
  };

  static std::unique_ptr<Target> read(std::span<std::byte const>& bytes,
                                      wire::Parcel const& parcel) {
    auto const modules = os::ModuleTable::now();
    auto* const body = wire::decode<Body*>(bytes, parcel, &modules);
    auto const children = wire::decode<std::size_t>(bytes, parcel);
    auto target = std::make_unique<NurseryTarget>(body, children, std::vector<int>());
    target->fds_ = wire::decode<LentFds>(bytes, parcel).fds;
    if (target->fds_.size() < kOwn) throw UnpicklingError("a nursery lacks its descriptors");
    return target;
  }

  Body* body_;
  std::size_t children_;
  std::vector<int> lent_;    // by the owner
  std::vector<os::Fd> fds_;  // in the nursery
};

}  // namespace nursery_detail

/// Forks a nursery for `children` children that runs `body(Nursery&)`, which returns its exit code.
/// Throws: std::system_error.
template <class Body>
NurseryHandle fork_nursery(std::shared_ptr<Identity> who, std::size_t children, Body body) {
  nursery_detail::Bond bond;
  pid_t const owner = os::this_pid();
  auto const nursery_main = [&] {
    channel::keep_only({});  // not the life line's other end, either
    auto owner_pidfd = std::make_shared<os::Fd const>(os::try_open_pidfd(owner));
    // Still our parent: so the pid was not reused before the descriptor was opened.
    if (!*owner_pidfd || os::parent_pid() != owner) owner_pidfd = nullptr;
    nursery_detail::live(body, children, std::move(owner_pidfd), bond.life_reader, bond.wake);
    return 0;
  };
  auto process = fork_child(std::move(who), nursery_main, SigintPolicy::ignore);
  return {std::move(process), std::move(bond.wake), std::move(bond.life)};
}

/// What the body of a nursery is that is not forked: it gets duplicates of the descriptors.
using NurseryBody = nursery_detail::NurseryTarget::Body;

/// Starts a nursery for `children` children by another method than fork. Throws: as start_afresh().
inline NurseryHandle start_nursery(StartMethod method, std::shared_ptr<Identity> const& who,
                                   std::size_t children, NurseryBody* body,
                                   std::vector<int> const& fds) {
  nursery_detail::Bond bond;
  std::vector<int> lent{bond.life_reader.get(), bond.wake.get()};
  lent.insert(lent.end(), fds.begin(), fds.end());
  nursery_detail::NurseryTarget const target(body, children, std::move(lent));
  ChildFds const no_streams({}, false);
  ChildSetup setup;
  setup.sigint = SigintPolicy::ignore;
  auto process = start_afresh(method, {*who, target, setup, no_streams});
  return {std::move(process), std::move(bond.wake), std::move(bond.life)};
}

}  // namespace multiprocessing::launch
