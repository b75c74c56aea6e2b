// SPDX-License-Identifier: BSL-1.0
// A service for tests of managers that programs of elsewhere call.
#pragma once

#include <unistd.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/base_manager.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>

#include "helpers.hpp"
#include "in_shared_memory.hpp"

namespace support {

namespace mp = multiprocessing;

class Account {
 public:
  explicit Account(int balance) : balance_(balance) { ++*alive; }
  Account(Account const&) = delete;
  Account& operator=(Account const&) = delete;
  ~Account() { --*alive; }

  int deposit(int amount) {
    if (amount < 0) throw std::invalid_argument("a deposit is positive");
    return balance_ += amount;
  }
  int balance() const noexcept { return balance_; }
  std::string echo(std::string const& text) const { return text; }
  std::size_t size_of(std::string const& text) const { return text.size(); }
  void not_registered() {}

  /// How many there are, in whatever process.
  static inline InSharedMemory<std::atomic<int>> const alive{0};

 private:
  int balance_;
};

class Jobs {
 public:
  void put(std::string const& job) { jobs_.put(job); }
  std::string get() { return jobs_.get(); }

 private:
  mp::Queue<std::string> jobs_;
};

/// Starts a process that ends with nobody but its parent.
struct Starter {
  int start() {
    process.start();
    return static_cast<int>(*process.pid());
  }
  mp::Process process{[] { ::pause(); }};
};

/// A forked copy of the process comes out of its destructor.
struct Forker {
  ~Forker() { copy = ::fork(); }
  pid_t copy = 0;
  int nothing() { return 0; }
};

/// What can not be made by others.
struct Gate {
  Gate(PipeElsewhere its_begun, PipeElsewhere its_go) : begun(its_begun), go(its_go) {}
  int pass() {
    begun.tell();
    go.hear();
    return 7;
  }
  PipeElsewhere begun;
  PipeElsewhere go;
};

inline mp::BaseManager bank() {
  mp::BaseManager manager;
  manager.register_type<Account, int>("Account")
      .method("deposit", &Account::deposit)
      .method("balance", &Account::balance)
      .method("echo", &Account::echo)
      .method("size_of", &Account::size_of)
      .method("double", [](Account& account) { return account.deposit(account.balance()); });
  manager.register_type<Jobs>({.thread_safe = true}, "Jobs")
      .method("put", &Jobs::put)
      .method("get", &Jobs::get);
  manager.register_type<Gate>("Gate").method("pass", &Gate::pass);
  manager.register_type<Starter>("Starter").method("start", &Starter::start);
  manager.register_type<Forker>("Forker").method("nothing", &Forker::nothing);
  return manager;
}

/// Serves in another process, with an account "reserve", jobs "jobs" and a gate "gate".
class Bank {
 public:
  explicit Bank(mp::ManagerServerOptions const& options = {})
      : process_([&] { serve(options); }), address_(hear_address()) {}

  mp::Address const& address() const { return address_; }
  mp::RemoteManager connect() const { return bank().connect({.address = address()}); }
  RawChild& process() { return process_; }
  Pipe& passing() { return begun_; }
  Pipe& go() { return go_; }
  void shut_down() { shutdown_.tell(); }

 private:
  void serve(mp::ManagerServerOptions const& options) const {
    *Account::alive = 0;  // a killed server's are there no more
    auto server = bank().serve(options);
    server.share("reserve", std::make_shared<Account>(1000));
    server.share("jobs", std::make_shared<Jobs>());
    server.share("gate", std::make_shared<Gate>(PipeElsewhere::of(begun_), PipeElsewhere::of(go_)));
    for (auto const c : server.address().str()) up_.tell(c);
    up_.tell('\n');
    std::jthread const ends([&] {
      shutdown_.hear();
      server.shutdown();
    });
    server.serve_forever();
  }
  std::string hear_address() const {
    std::string text;
    for (char c; (c = up_.hear()) != '\n';) text += c;
    return text;
  }

  Pipe up_;
  Pipe begun_;
  Pipe go_;
  Pipe shutdown_;
  RawChild process_;  // only it has the server: a listening socket would outlive it elsewhere
  mp::Address address_;
};

}  // namespace support
