// SPDX-License-Identifier: BSL-1.0
// The bodies of fork_server.hpp.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/launch/child.hpp>
#include <multiprocessing/launch/child_setup.hpp>
#include <multiprocessing/launch/fork_child.hpp>
#include <multiprocessing/launch/fork_server.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/letter.hpp>
#include <multiprocessing/launch/server_target.hpp>
#include <multiprocessing/launch/sigint_policy.hpp>
#include <multiprocessing/launch/spawn_child.hpp>
#include <multiprocessing/launch/start_method.hpp>
#include <multiprocessing/launch/target.hpp>
#include <multiprocessing/os/fd_message.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/handoff.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/signals.hpp>

namespace multiprocessing::launch {
namespace fork_server_detail {

MULTIPROCESSING_INLINE Server::Server(os::Fd control) : control_(std::move(control)) {
  if (auto parent = open_parent(identity())) owner_ = std::move(parent);
}

MULTIPROCESSING_INLINE void Server::serve() {
  while (owner_ != nullptr && (control_ || !children_.empty())) {
    std::vector<pollfd> fds{{control_.get(), POLLIN, 0}, {owner_->get(), POLLIN, 0}};
    bool all_are_seen = true;
    for (auto const& each : children_) {
      fds.push_back({each.child->sentinel_if_any(), POLLIN, 0});
      all_are_seen &= fds.back().fd >= 0;
    }
    os::poll_until(fds,
                   all_are_seen ? base::Deadline::never() : base::Deadline::after(kBetweenLooks));
    report_ends();
    if (fds[1].revents != 0) return;
    if (fds[0].revents != 0) take_order();
  }
}

MULTIPROCESSING_INLINE void Server::take_order() {
  std::byte order{};
  auto message = os::receive_with_fds(control_, std::span(&order, 1));
  if (message.size == 0) control_.reset();  // no more of them
  // Without a descriptor to spare there is no socket: that it is closed tells the owner.
  if (message.fds.size() == 1) start(std::move(message.fds[0]));
}

MULTIPROCESSING_INLINE void Server::start(os::Fd socket) {
  auto const body = [&] {
    os::Fd own = std::move(socket);
    auto const owner = owner_;
    children_.clear();
    control_.reset();
    return live_by_letter(own, owner);
  };
  // Until the letter says who it is.
  auto who = std::make_shared<Identity>();
  who->name.clear();
  who->parent_pid = identity().parent_pid;
  Started started{0, 0};
  std::unique_ptr<Child> child;
  try {
    child = fork_child(std::move(who), body);
    started.pid = child->pid();
  } catch (std::system_error const& error) {
    started.error = error.code().value();
  }
  int const pidfd = child == nullptr ? -1 : child->sentinel_if_any();
  // This user may not have so many descriptors under way: the pid has to do.
  if (pidfd < 0 || !tell(socket, started, std::span(&pidfd, 1))) tell(socket, started);
  if (child != nullptr) children_.push_back({std::move(child), std::move(socket)});
}

MULTIPROCESSING_INLINE void Server::report_ends() {
  std::erase_if(children_, [](Known& each) {
    auto const end = each.child->poll_end();
    if (end) tell(each.socket, *end);
    return end.has_value();
  });
}

MULTIPROCESSING_INLINE void serve() {
  os::ignore_signal(SIGTERM);  // as SIGINT, which it ignores from its birth on
  Server(std::move(os::handoff())).serve();
}

}  // namespace fork_server_detail

MULTIPROCESSING_INLINE ForkServer& ForkServer::of_this_process() {
  // Never freed, and made anew after a fork: the parent's mutex may be locked there.
  static std::atomic<ForkServer*> instance{nullptr};
  auto* current = instance.load();
  if (current != nullptr && current->owner_ == this_incarnation()) return *current;
  auto* const fresh = new ForkServer;
  if (current != nullptr) fresh->target_ = current->target_;
  if (instance.compare_exchange_strong(current, fresh)) return *fresh;
  delete fresh;
  return *current;
}

MULTIPROCESSING_INLINE void ForkServer::preload(std::shared_ptr<Target const> target) {
  std::lock_guard const guard(mutex_);
  target_ = std::move(target);
}

MULTIPROCESSING_INLINE void ForkServer::start_ahead() {
  spawn_detail::require_init();
  std::lock_guard const guard(mutex_);
  if (is_down()) bring_up();
}

MULTIPROCESSING_INLINE std::unique_ptr<Child> ForkServer::start(Birth const& birth) {
  spawn_detail::require_init();
  // The server that is there may have been killed; several in a row are a reason to give up.
  constexpr int kMostServers = 3;
  for (int attempt = 1;; ++attempt) {
    // A new one each time: who has the old one may be late.
    WrittenLetter const letter(birth.who, birth.setup, birth.fds, birth.target);
    std::shared_ptr<Child> server;
    if (auto child = try_start(letter, birth.who.name, server)) return child;
    auto const status = server->wait_until(base::Deadline::after(kDyingTakes));
    if (!status) os::throw_error(EMFILE, "fork server", "it has no descriptor for one more child");
    if (attempt < kMostServers) continue;
    throw ProcessDied("Process.start: the fork server " + status->to_string(), server->pid(),
                      status->exitcode());
  }
}

MULTIPROCESSING_INLINE void ForkServer::stop() {
  std::lock_guard const guard(mutex_);
  control_.reset();
  if (server_ != nullptr) retired_.push_back(std::move(server_));
  for (auto const& server : retired_) {
    server->send(SIGKILL);
    server->wait_until(base::Deadline::never());
  }
  retired_.clear();
}

MULTIPROCESSING_INLINE std::optional<pid_t> ForkServer::pid() {
  std::lock_guard const guard(mutex_);
  if (server_ == nullptr || server_->poll()) return std::nullopt;
  return server_->pid();
}

MULTIPROCESSING_INLINE std::unique_ptr<Child> ForkServer::try_start(
    WrittenLetter const& letter, std::string const& name, std::shared_ptr<Child>& server) {
  for (;;) {
    std::shared_ptr<Control> control;
    {
      std::lock_guard const guard(mutex_);
      std::erase_if(retired_, [](auto const& each) { return each->poll().has_value(); });
      if (is_down()) bring_up();
      server = server_;
      control = control_;
    }
    if (auto near = order(letter, *control)) return await(std::move(*near), letter, name, server);
    std::array<pollfd, 2> fds{
        {{control->fd.get(), POLLOUT, 0}, {server->sentinel_if_any(), POLLIN, 0}}};
    os::poll_until(fds, base::Deadline::never());
    if (fds[1].revents != 0) return nullptr;
  }
}

MULTIPROCESSING_INLINE std::optional<os::Fd> ForkServer::order(WrittenLetter const& letter,
                                                               Control const& control) {
  os::ForkGateGuard const gate;  // no other child keeps the far end
  auto pair = os::SocketPair::create();
  letter.send(pair.near);
  std::byte const order{};
  int const far = pair.far.get();
  int const error =
      os::try_send_with_fds(control.fd, std::span(&order, 1), std::span(&far, 1), MSG_DONTWAIT);
  if (error == EAGAIN) return std::nullopt;
  // The server is about to be dead: that the far end is closed says so.
  if (error != 0 && error != EPIPE && error != ECONNRESET) {
    os::throw_error(error, "sendmsg", "to the fork server");
  }
  return std::move(pair.near);
}

MULTIPROCESSING_INLINE void ForkServer::bring_up() {
  control_.reset();
  if (server_ != nullptr) retired_.push_back(std::move(server_));
  Identity who;
  who.name = "ForkServer";
  who.parent_pid = os::this_pid();
  who.parent_name = identity().name;
  ChildSetup setup;
  setup.sigint = SigintPolicy::ignore;  // what reaches the whole group is the owner's to answer
  auto spawned = spawn_with_socket({who, *target_, setup, ChildFds({}, false)});
  control_ = std::make_shared<Control>(std::move(spawned.socket));
  channel::register_heirloom(control_);
  server_ = std::move(spawned.child);
  runs_as_ = ids();
}

MULTIPROCESSING_INLINE std::unique_ptr<Child> ForkServer::await(
    os::Fd near, WrittenLetter const& letter, std::string const& name,
    std::shared_ptr<Child> const& server) {
  using fork_server_detail::Started;
  std::optional<spawn_detail::Report> report;
  std::optional<os::ChildEnd> end;
  pid_t pid = 0;
  os::Fd pidfd;
  bool is_closed = false;
  auto const know = [&](pid_t child) {
    pid = child;
    if (!pidfd) pidfd = os::try_open_pidfd(pid);
    if (!pidfd) pidfd = os::try_create_readable();  // it has ended
  };
  while (!end && (!report || pid == 0)) {
    // Nobody may be waited for alone: copies of the far end are in whoever was forked meanwhile.
    std::array<pollfd, 3> fds{{{is_closed ? -1 : near.get(), POLLIN, 0},
                               {pid == 0 ? server->sentinel_if_any() : -1, POLLIN, 0},
                               {pidfd.get(), POLLIN, 0}}};
    if (!is_closed || pid != 0) os::poll_until(fds, base::Deadline::never());
    // Looked at again: what it said may have come between the looks at both.
    bool const is_message = !is_closed && os::is_readable(near);
    if (!is_message) {
      if (pid != 0) break;  // the child has ended, and said nothing
      auto const reader = letter.withdraw();
      if (!reader) return nullptr;
      know(*reader);
      continue;
    }
    std::array<std::byte, sizeof(spawn_detail::Report)> room;
    auto message = os::receive_with_fds(near, room);
    if (message.size == sizeof(Started)) {
      Started started;
      std::memcpy(&started, room.data(), sizeof started);
      if (started.error != 0) os::throw_error(started.error, "fork", "in the fork server");
      if (!message.fds.empty()) pidfd = std::move(message.fds[0]);
      know(started.pid);
    } else if (message.size == sizeof(spawn_detail::Report)) {
      std::memcpy(&report.emplace(), room.data(), sizeof(spawn_detail::Report));
      if (server->poll()) know(report->pid);
    } else if (message.size == sizeof(os::ChildEnd)) {
      std::memcpy(&end.emplace(), room.data(), sizeof(os::ChildEnd));
    } else {
      is_closed = true;
      if (report) know(report->pid);
    }
  }
  auto child = std::make_unique<Child>(pid, std::move(pidfd), std::move(near), server);
  if (end) child->note_end(*end);
  if (!report || !report->is_ready) {
    spawn_detail::throw_unready(*child, name,
                                report ? "can not begin: " + std::string(report->text.data()) : "");
  }
  return child;
}

MULTIPROCESSING_INLINE std::unique_ptr<Child> start_afresh(StartMethod method, Birth const& birth) {
  return method == StartMethod::spawn ? spawn_child(birth)
                                      : ForkServer::of_this_process().start(birth);
}

MULTIPROCESSING_INLINE void serve_forks() { fork_server_detail::serve(); }

MULTIPROCESSING_INLINE void set_server_target(std::shared_ptr<Target const> target) {
  ForkServer::of_this_process().preload(std::move(target));
}

}  // namespace multiprocessing::launch
