// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/initializer.hpp>

#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/launch/exit_request.hpp>
#include <multiprocessing/value.hpp>
#include <multiprocessing/wire/bind.hpp>
#include <multiprocessing/work/crew.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace initializer_test {

namespace mp = multiprocessing;
using namespace multiprocessing::work;

namespace {

int calls = 0;
void count() { ++calls; }
void fail() { throw std::runtime_error("no such database"); }

/// Waits until the crew is broken; why it is.
std::string why_broken(Crew& crew) {
  while (!crew.is_over()) std::this_thread::yield();
  auto const text = support::message_of<mp::BrokenProcessPool>([&] { crew.require_open("map"); });
  crew.close("test");
  crew.join("test");
  return text;
}

}  // namespace

TEST_CASE("no initializer is none, a callable is called", "[initializer]") {
  CHECK_FALSE(Initializer());
  Initializer const initializer(&count);
  CHECK(initializer);
  calls = 0;
  initializer();
  CHECK(calls == 1);
}

TEST_CASE("an initializer that was sent does what the one that was written does", "[initializer]") {
  mp::wire::Bytes bytes;
  calls = 0;
  int by = 5;
  Initializer([by] { calls += by; }).save(bytes);
  auto const read = Initializer::read(bytes);
  CHECK(read);
  read();
  CHECK(calls == 5);
}

TEST_CASE("an initializer with shared objects is not sent", "[initializer]") {
  mp::wire::Bytes bytes;
  mp::RawValue<int> const value(1);
  Initializer const initializer(mp::bind([](mp::RawValue<int> const& v) { v = 2; }, value));
  CHECK_THAT(support::message_of<mp::TypeError>([&] { initializer.save(bytes); }),
             ContainsSubstring("shared objects"));
  // By fork it is not sent.
  initializer();
  CHECK(value.value() == 2);
}

TEST_CASE("an initializer that can not be sent says so", "[initializer]") {
  mp::wire::Bytes bytes;
  auto const owner = std::make_shared<int>(3);
  Initializer const initializer([owner] { calls = *owner; });
  CHECK_THROWS_AS(initializer.save(bytes), mp::TypeError);
}

TEST_CASE("a failure is told once: the first text stays", "[initializer]") {
  Failure failure;
  CHECK_FALSE(failure.is_told());
  CHECK(failure.text().empty());
  failure.tell("the first");
  failure.tell("another one");
  CHECK(failure.is_told());
  CHECK(failure.text() == "the first");
}

TEST_CASE("a text that is too long is cut", "[initializer]") {
  Failure failure;
  failure.tell(std::string(100'000, 'x'));
  CHECK(failure.text().size() < 1000);
  CHECK(failure.text() == std::string(failure.text().size(), 'x'));
}

TEST_CASE("of many who tell a failure one is heard, whole", "[initializer][threads]") {
  for (int round = 0; round < 100; ++round) {
    Failure failure;
    std::vector<std::thread> threads;
    for (char letter = 'a'; letter < 'e'; ++letter) {
      threads.emplace_back([&failure, letter] { failure.tell(std::string(500, letter)); });
    }
    for (auto& thread : threads) thread.join();
    auto const text = failure.text();
    REQUIRE(text.size() == 500);
    REQUIRE(text == std::string(500, text[0]));
  }
}

TEST_CASE("an initializer that throws, exits or is killed breaks the crew, which says how",
          "[initializer]") {
  {
    Crew crew({.workers = 2, .initializer = &fail});
    CHECK_THAT(why_broken(crew),
               ContainsSubstring("has thrown") && ContainsSubstring("no such database"));
  }
  {
    Crew crew({.workers = 2, .initializer = [] { throw mp::launch::ExitRequest{3}; }});
    CHECK_THAT(why_broken(crew), ContainsSubstring("has exited with code 3"));
  }
  {
    Crew crew({.workers = 2, .initializer = [] { ::raise(SIGKILL); }});
    CHECK_THAT(why_broken(crew),
               ContainsSubstring("again and again") && ContainsSubstring("SIGKILL"));
  }
}

TEST_CASE("the initializer runs once in each worker, and in its successor", "[initializer]") {
  mp::Value<int> const runs(0);
  Crew crew({.workers = 2, .initializer = [&runs] { runs.update([](int& n) { ++n; }); }});
  while (runs.value() < 2) std::this_thread::yield();
  ::kill(crew.worker_pids("test")[0], SIGKILL);
  while (runs.value() < 3) std::this_thread::yield();
  crew.close("test");
  crew.join("test");
  CHECK(runs.value() == 3);
}

}  // namespace initializer_test
