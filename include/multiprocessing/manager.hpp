// SPDX-License-Identifier: BSL-1.0
// A process that has objects for others: dictionaries, lists, sets, and any of yours.
//
//   auto d = manager.dict<std::string, int>();
//     DictProxy -----serve::Remote-----> std::map in the Manager's process
//        copies, in any process, are the same dictionary
//
//   Failure   who calls is killed: the call has happened, or not, and others go on. The manager is
//             killed: every call throws BrokenPipeError. Its owner ends, any way: so does it.
//   Shutdown  shutdown(), or the end of its scope: objects are destroyed, calls throw from then on.
#pragma once

#include <sys/types.h>

#include <any>
#include <chrono>
#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/array.hpp>
#include <multiprocessing/barrier.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/queue_end.hpp>
#include <multiprocessing/condition.hpp>
#include <multiprocessing/dict_proxy.hpp>
#include <multiprocessing/event.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/list_proxy.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/namespace_proxy.hpp>
#include <multiprocessing/object_proxy.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/semaphore.hpp>
#include <multiprocessing/serve/remote.hpp>
#include <multiprocessing/serve/server.hpp>
#include <multiprocessing/set_proxy.hpp>
#include <multiprocessing/start_method.hpp>
#include <multiprocessing/value.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/wire/refusal.hpp>

namespace multiprocessing {

class PoolProxy;
struct PoolOptions;

/// What can be said of its process.
struct ManagerOptions {
  /// Default: what set_start_method() says.
  std::optional<StartMethod> start_method = std::nullopt;
  /// How long calls may still run once it is shut down; then its process is killed.
  std::chrono::milliseconds grace = std::chrono::seconds(1);
};

namespace manager_detail {

/// Says that it is up, or why not; then serves.
template <class F, class... Args>
void run(serve::ServerAddress const& address, Connection<wire::ExceptionRecord, void> const& up,
         F initializer, Args... args) {
  try {
    initializer(std::move(args)...);
  } catch (...) {
    up.send(wire::record_current_exception());
    return;
  }
  serve::Server server(address);
  server.run([&] {
    up.send({});
    up.close();
  });
}

inline void nothing() {}

}  // namespace manager_detail

/// Has a process of its own, a daemon, from its construction to the end of its scope. Ctrl-C does
/// not reach that.
/// Threads: all members safe, but the end of its life. Processes: its creator only; proxies are for
/// all. Peer death: see above.
/// Python: multiprocessing.Manager. Differs: typed; locks, queues and values are what they are
/// without a manager, in shared memory: there is no process between.
class Manager {
 public:
  /// Blocks: until its process serves, or has ended. Throws: as Process::start().
  explicit Manager(ManagerOptions options = {}) : Manager(options, &manager_detail::nothing) {}
  /// The same, and calls `initializer(args...)` in the process first, however long that takes.
  /// Throws: what that throws, as tasks do; ProcessDied when it has ended the process.
  template <class F, class... Args>
  Manager(ManagerOptions options, F initializer, Args... args)
      : grace_(options.grace), address_(serve::ServerAddress::make()) {
    auto [reader, writer] = Pipe<wire::ExceptionRecord>(one_way);
    process_.emplace(ProcessOptions{.name = "Manager",
                                    .daemon = true,
                                    .start_method = options.start_method,
                                    .sigint = SigintPolicy::ignore},
                     &manager_detail::run<F, Args...>, address_, std::move(writer),
                     std::move(initializer), std::move(args)...);
    process_->start();
    wire::ExceptionRecord failure;
    try {
      failure = reader.recv();
    } catch (EOFError const&) {
      process_->join();
      throw ProcessDied("Manager: its process " + process_->exit_status()->to_string(),
                        *process_->pid(), *process_->exitcode());
    }
    if (!failure.chain.empty()) {
      process_->join();
      wire::throw_recorded(failure);
    }
  }
  Manager(Manager const&) = delete;
  Manager& operator=(Manager const&) = delete;
  ~Manager() {
    try {
      shutdown();
    } catch (std::exception const&) {  // it goes with this process
    }
  }

  // Objects of its process.

  /// A container in its process, with these items. Throws: as create().
  template <class Key, class Value>
  DictProxy<Key, Value> dict(std::map<Key, Value> const& items = {}) const {
    wire::require_picklable<Key>();
    wire::require_picklable<Value>();
    using Map = std::map<Key, Value>;
    return DictProxy<Key, Value>(make<Map>("dict", items));
  }
  template <class T>
  ListProxy<T> list(std::vector<T> const& values = {}) const {
    wire::require_picklable<T>();
    return ListProxy<T>(make<std::vector<T>>("list", values));
  }
  template <class T>
  SetProxy<T> set(std::set<T> const& values = {}) const {
    wire::require_picklable<T>();
    return SetProxy<T>(make<std::set<T>>("set", values));
  }
  NamespaceProxy Namespace() const {
    return NamespaceProxy(make<std::map<std::string, std::any>>("Namespace"));
  }
  /// A T(args...), made there. Throws: what its constructor throws.
  template <class T, class... Args>
  ObjectProxy<T> create(Args const&... args) const {
    (wire::require_picklable<Args>(), ...);
    static_assert(std::is_constructible_v<T, Args...>,
                  "multiprocessing: the class can not be made from these arguments");
    return ObjectProxy<T>(make<T>("create", args...));
  }

  /// A pool of that process. Needs <multiprocessing/pool_proxy.hpp>. Throws: as Pool's constructor;
  /// TypeError for an initializer that can not be sent.
  PoolProxy Pool() const;
  PoolProxy Pool(int processes) const;
  PoolProxy Pool(PoolOptions const& options) const;

  // Shared objects, which need no process. They stay when it has gone.

  /// As the classes of these names, made by this process.
  template <class T>
  multiprocessing::Queue<T> Queue(std::size_t maxsize = 0) const {
    return multiprocessing::Queue<T>(maxsize);
  }
  template <class T>
  multiprocessing::JoinableQueue<T> JoinableQueue(std::size_t maxsize = 0) const {
    return multiprocessing::JoinableQueue<T>(maxsize);
  }
  template <class T>
  multiprocessing::Value<T> Value(T const& value = T{}) const {
    return multiprocessing::Value<T>(value);
  }
  template <class T>
  multiprocessing::Array<T> Array(std::vector<T> const& values) const {
    return multiprocessing::Array<T>(values);
  }
  multiprocessing::Lock Lock() const { return multiprocessing::Lock(); }
  multiprocessing::RLock RLock() const { return multiprocessing::RLock(); }
  multiprocessing::Event Event() const { return multiprocessing::Event(); }
  multiprocessing::Condition Condition() const { return multiprocessing::Condition(); }
  multiprocessing::Semaphore Semaphore(int value = 1) const {
    return multiprocessing::Semaphore(value);
  }
  multiprocessing::BoundedSemaphore BoundedSemaphore(int value = 1) const {
    return multiprocessing::BoundedSemaphore(value);
  }
  multiprocessing::Barrier Barrier(int parties) const { return multiprocessing::Barrier(parties); }

  /// Ends its process: objects are destroyed, once no call is at one. Calls throw from now on.
  /// Blocks: until it has ended; when the grace is over, it is killed. A second time it does
  /// nothing. Throws: std::logic_error in another process than its creator's.
  void shutdown() {
    if (owner_ != launch::this_incarnation()) {
      throw std::logic_error("Manager.shutdown: it belongs to another process");
    }
    channel::QueueEnd(address_.reception).shut_down_now();
    if (process_->join_for(grace_)) return;
    process_->kill();
    process_->join();
  }

  /// Of its process.
  pid_t pid() const { return *process_->pid(); }
  bool is_alive() const { return process_->is_alive(); }

 private:
  template <class T, class... Args>
  serve::Remote<T> make(char const* verb, Args const&... args) const {
    return serve::Remote<T>::create({"Manager", verb}, address_, args...);
  }

  launch::Incarnation const owner_ = launch::this_incarnation();
  std::chrono::milliseconds const grace_;
  serve::ServerAddress const address_;
  std::optional<Process> process_;
};

}  // namespace multiprocessing
