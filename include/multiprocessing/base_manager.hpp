// SPDX-License-Identifier: BSL-1.0
// Classes whose objects other programs may have, by names: the same description in the program that
// serves them, and in those that call.
//
//   mp::BaseManager bank;
//   bank.register_type<Account, int>("Account").method("deposit", &Account::deposit);
//
//   auto server = bank.serve({.address = "/run/bank.sock"});        // one program
//   server.serve_forever();
//
//   auto remote = bank.connect({.address = "/run/bank.sock"});      // another one
//   remote.create<Account>(100).call(&Account::deposit, 5);
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <multiprocessing/manager_server.hpp>
#include <multiprocessing/remote_manager.hpp>
#include <multiprocessing/serve/exposed_type.hpp>

namespace multiprocessing {

/// Python: the keyword arguments of BaseManager.register.
struct RegisterOptions {
  /// Whether calls may be at an object at once. Otherwise each waits until the one before has
  /// returned: a call that waits for another one's effect would wait for ever.
  bool thread_safe = false;
};

/// What BaseManager::register_type() returns, to name what can be called.
template <class T>
class RegisteredType {
 public:
  /// Not called by users.
  explicit RegisteredType(serve::ExposedType& type) : type_(type) {}

  /// A pointer to a member function, or a function or lambda that takes a T& first. Others call it
  /// by its name; parameters and result are Picklable, and carry no functions.
  /// Throws: std::invalid_argument when the name is taken.
  template <class F>
  RegisteredType const& method(std::string const& name, F function) const {
    auto method = serve::describe_method<T>(std::move(function), type_.exclusion);
    if (!type_.methods.emplace(name, std::move(method)).second) {
      throw std::invalid_argument("RegisteredType.method: " + type_.name + " has a method \"" +
                                  name + "\" already");
    }
    return *this;
  }

 private:
  serve::ExposedType& type_;
};

/// Threads: one, or all that only serve and connect. Servers and clients have a copy of what was
/// registered before. Python: multiprocessing.managers.BaseManager. Differs: who serves, and who
/// connects, has an object of its own; to have a process that serves, run it in a Process.
class BaseManager {
 public:
  /// Others make a T(args...) by this name, if T has such a constructor.
  /// Throws: std::invalid_argument when the name, or T, is registered already.
  template <class T, class... Args>
  RegisteredType<T> register_type(std::string name) {
    return register_type<T, Args...>({}, std::move(name));
  }
  template <class T, class... Args>
  RegisteredType<T> register_type(RegisterOptions options, std::string name) {
    static_assert(sizeof...(Args) == 0 || std::is_constructible_v<T, std::decay_t<Args>...>,
                  "multiprocessing: the class can not be made from these arguments");
    auto const exclusion =
        options.thread_safe ? serve::Exclusion::ThreadSafe : serve::Exclusion::OneCallAtATime;
    return RegisteredType<T>(
        types_.add(serve::describe_type<T, Args...>(std::move(name), exclusion)));
  }

  /// Throws: as Listener's constructor.
  ManagerServer serve(ManagerServerOptions const& options = {}) const {
    return ManagerServer(copy_of_types(), options);
  }
  /// Blocks, throws: as Client().
  RemoteManager connect(RemoteManagerOptions const& options) const {
    return RemoteManager(copy_of_types(), options);
  }

 private:
  std::shared_ptr<multiprocessing::serve::ExposedTypes const> copy_of_types() const {
    return std::make_shared<multiprocessing::serve::ExposedTypes const>(types_);
  }

  multiprocessing::serve::ExposedTypes types_;
};

}  // namespace multiprocessing
