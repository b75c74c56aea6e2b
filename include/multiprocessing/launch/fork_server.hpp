// SPDX-License-Identifier: BSL-1.0
// A small process with one thread that was spawned once, and forks children from then on: so they
// cost as little as a small parent's, and no thread of a large one is in their way.
//
//   owner                          server                         child
//   spawn ----------------------->  preload
//   start: letter, socket pair
//   far end ---- control ------->   fork -------------------------> read the letter
//   pid, pidfd <------------------  started
//   ready <------------------------------------------------------- about to run
//                                   reap <------------------------ ends, any way
//   how it ended <----------------
//
// Failure   the server is killed: its children go on, and the next start brings another one; of
//           those children the end is seen, but not how. The owner ends: the server does.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/launch/child.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/letter.hpp>
#include <multiprocessing/launch/server_target.hpp>
#include <multiprocessing/launch/spawn_child.hpp>
#include <multiprocessing/launch/start_method.hpp>
#include <multiprocessing/launch/target.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/fd_message.hpp>

namespace multiprocessing::launch {

namespace fork_server_detail {

/// The server's word that the child exists; its pidfd comes along, where there was one to spare.
struct Started {
  pid_t pid;
  int error;  ///< of the fork; 0: it has worked
};

/// The server's own view: its one thread runs this until the owner is gone.
class Server {
 public:
  explicit Server(os::Fd control);

  void serve();

 private:
  static constexpr std::chrono::milliseconds kBetweenLooks{1};

  struct Known {
    std::unique_ptr<Child> child;
    os::Fd socket;
  };

  void take_order();

  void start(os::Fd socket);

  void report_ends();

  template <class T>
  static bool tell(os::Fd const& socket, T const& what, std::span<int const> fds = {}) noexcept {
    return os::try_send_with_fds(socket, std::as_bytes(std::span(&what, 1)), fds) == 0;
  }

  os::Fd control_;                       // none: nobody is going to be started
  std::shared_ptr<os::Fd const> owner_;  // null: it has ended
  std::vector<Known> children_;
};

void serve();

}  // namespace fork_server_detail

/// The owner's side: one server a process, made when the first child wants it.
/// Threads: safe. Fork: the child has none yet.
class ForkServer {
 public:
  static ForkServer& of_this_process();

  /// What a server runs first, from the next one on. Throws: TypeError when it can not be sent.
  void preload(std::shared_ptr<Target const> target);

  /// Starts the server now, unless it runs: children will have nothing of what this process does
  /// from here on. Blocks, throws: as spawn_child().
  void start_ahead();

  /// As spawn_child().
  std::unique_ptr<Child> start(Birth const& birth);

  /// Blocks: until there is none any more. Its children go on, but nobody will know how they ended.
  void stop();

  /// nullopt: none runs.
  std::optional<pid_t> pid();

 private:
  ForkServer() = default;

  /// Given up in forked children, so that the server sees its owner's end.
  struct Control final : channel::Heirloom {
    explicit Control(os::Fd end) : fd(std::move(end)) {}
    void give_up() noexcept override { fd.reset(); }
    os::Fd fd;
  };

  // From the moment that a process's descriptors are closed until it is seen to be dead.
  static constexpr std::chrono::seconds kDyingTakes{5};

  /// Null when there will be no child. `server`: the one that was asked.
  std::unique_ptr<Child> try_start(WrittenLetter const& letter, std::string const& name,
                                   std::shared_ptr<Child>& server);

  /// The near end of the socket that the child will have; nullopt: the server has to take other
  /// orders first.
  static std::optional<os::Fd> order(WrittenLetter const& letter, Control const& control);

  static std::pair<uid_t, gid_t> ids() noexcept { return {::geteuid(), ::getegid()}; }

  /// REQUIRES: mutex_, here and below.
  bool is_down() const { return server_ == nullptr || server_->poll() || runs_as_ != ids(); }
  void bring_up();

  /// Both the server and the child speak, in whichever order.
  static std::unique_ptr<Child> await(os::Fd near, WrittenLetter const& letter,
                                      std::string const& name,
                                      std::shared_ptr<Child> const& server);

  static void nothing() {}

  Incarnation const owner_ = this_incarnation();
  std::mutex mutex_;
  // guarded by mutex_
  std::shared_ptr<Target const> target_ = std::make_shared<ServerTarget<void (*)()>>(&nothing);
  std::shared_ptr<Child> server_;
  std::shared_ptr<Control> control_;
  std::pair<uid_t, gid_t> runs_as_;
  std::vector<std::shared_ptr<Child>> retired_;  // until they have been reaped
};

/// Starts a child that is no copy of this process. REQUIRES: the method is not fork. Blocks,
/// throws: as spawn_child() and ForkServer::start().
std::unique_ptr<Child> start_afresh(StartMethod method, Birth const& birth);

}  // namespace multiprocessing::launch

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/launch/fork_server.ipp>
#endif
