// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/handler_list.hpp>

#include <atomic>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace handler_list_test {

namespace mp = multiprocessing;
using mp::launch::HandlerList;

namespace {

/// Calls a function.
class Calls final : public mp::LogHandler {
 public:
  explicit Calls(std::function<void(mp::LogRecord const&)> function)
      : function_(std::move(function)) {}
  void handle(mp::LogRecord const& record) override { function_(record); }

 private:
  std::function<void(mp::LogRecord const&)> function_;
};

/// Among the handlers as long as it lives.
class Added {
 public:
  explicit Added(std::function<void(mp::LogRecord const&)> function)
      : handler_(std::make_shared<Calls>(std::move(function))) {
    HandlerList::instance().add(handler_);
  }
  Added(Added const&) = delete;
  Added& operator=(Added const&) = delete;
  ~Added() { HandlerList::instance().remove(handler_); }
  std::shared_ptr<mp::LogHandler> const& handler() const { return handler_; }

 private:
  std::shared_ptr<mp::LogHandler> handler_;
};

void handle(std::string text) {
  HandlerList::instance().handle({mp::LogLevel::error, "P", ::getpid(), {}, std::move(text)});
}

}  // namespace

TEST_CASE("handlers are called in the order in which they came, each once", "[handler_list]") {
  std::string calls;
  Added const a([&](auto const& record) { calls += "a" + record.text; });
  Added const b([&](auto const& record) { calls += "b" + record.text; });
  HandlerList::instance().add(a.handler());
  CHECK(HandlerList::instance().contains(a.handler()));
  handle("1");
  CHECK(calls == "a1b1");
  HandlerList::instance().remove(a.handler());
  CHECK_FALSE(HandlerList::instance().contains(a.handler()));
  CHECK_FALSE(HandlerList::instance().empty());
  handle("2");
  CHECK(calls == "a1b1b2");
}

TEST_CASE("a handler that was removed is freed", "[handler_list]") {
  std::weak_ptr<mp::LogHandler> watched;
  {
    Added const added([](auto const&) {});
    watched = added.handler();
  }
  CHECK(watched.expired());
  CHECK(HandlerList::instance().empty());
}

TEST_CASE("a handler that throws harms nobody, and exit requests pass", "[handler_list]") {
  int calls = 0;
  Added const thrower([&](auto const& record) {
    ++calls;
    if (record.text == "exit") throw calls;
    throw std::runtime_error("no disk");
  });
  Added const other([&](auto const&) { ++calls; });
  handle("");
  CHECK(calls == 2);
  CHECK_THROWS_AS(handle("exit"), int);
  handle("");
  CHECK(calls == 5);
}

TEST_CASE("what a handler logs goes to the other ones", "[handler_list]") {
  std::string calls;
  Added const a([&](auto const& record) {
    calls += "a" + record.text;
    handle("A");
  });
  Added const b([&](auto const& record) {
    calls += "b" + record.text;
    handle("B");
  });
  handle("0");
  CHECK(calls == "a0bAb0aB");
}

TEST_CASE("handlers come and go inside of handlers", "[handler_list]") {
  int calls = 0;
  std::unique_ptr<Added> inner;
  Added const outer([&](auto const&) {
    if (inner == nullptr) {
      inner = std::make_unique<Added>([&](auto const&) { ++calls; });
    } else {
      inner.reset();
    }
  });
  handle("");
  CHECK(calls == 0);
  CHECK(inner != nullptr);
  handle("");  // it was there when this began
  CHECK(inner == nullptr);
  CHECK(calls == 1);
}

TEST_CASE("handlers come and go while others log", "[handler_list]") {
  std::atomic<bool> done{false};
  std::atomic<long> calls{0};
  Added const always([&](auto const&) { ++calls; });
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!done) handle("");
    });
  }
  for (int i = 0; i < 2000 || calls == 0; ++i) Added const passing([&](auto const&) { ++calls; });
  done = true;
  for (auto& thread : threads) thread.join();
  CHECK(calls > 0);
}

TEST_CASE("no child finds a handler's lock taken, however often its parent logs",
          "[handler_list]") {
  std::mutex mutex;
  long handled = 0;
  Added const locking([&](auto const&) {
    std::lock_guard const lock(mutex);
    ++handled;
  });
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!done) handle("parent");
    });
  }
  auto const rounds = support::setting("MULTIPROCESSING_TEST_FORKS", 300);
  for (long i = 0; i < rounds; ++i) {
    support::RawChild child([&] {
      handle("child");
      HandlerList::instance().remove(locking.handler());
      return HandlerList::instance().empty() ? 0 : 1;
    });
    REQUIRE(child.wait() == 0);
  }
  done = true;
  for (auto& thread : threads) thread.join();
  CHECK(handled > 0);
}

TEST_CASE("a handler may start a process, which logs by it, too", "[handler_list]") {
  support::Pipe out;
  int depth = 0;
  Added const forking([&](auto const& record) {
    out.tell(record.text[0]);
    if (depth++ > 0) return;
    support::RawChild child([] { handle("child"); });
    child.wait();
  });
  handle("parent");
  CHECK(out.hear() == 'p');
  CHECK(out.hear() == 'c');
}

}  // namespace handler_list_test
