// SPDX-License-Identifier: BSL-1.0

#include <multiprocessing/launch/process_record.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace process_record_test {

namespace launch = multiprocessing::launch;
using multiprocessing::base::Deadline;

namespace {

template <class F>
void start_and_drop(bool daemon, F f) {
  auto who = launch::new_child_identity();
  who->daemon = daemon;
  auto record = std::make_shared<launch::ProcessRecord>(
      std::move(who), launch::ProcessRecord::Options(),
      std::make_unique<launch::CallTarget<F>>(std::in_place, std::move(f)));
  launch::Children::of_this_process().start(record, [&] { record->run_target(); });
}

/// Runs `body` in a bare process that ends by std::exit, as a main program does.
template <class Body>
void run_program(Body const& body) {
  support::RawChild program([&]() -> int {
    // Whatever the test program itself has registered stays out of this.
    ::on_exit([](int code, void*) { ::_exit(code); }, nullptr);
    body();
    std::exit(0);
  });
  CHECK(program.wait() == 0);
}

void wait_for_ever() {
  for (;;) ::pause();
}

}  // namespace

TEST_CASE("a program that ends waits for the children it dropped", "[process_record]") {
  support::Pipe out;
  support::Pipe go;
  run_program([&] {
    start_and_drop(false, [&] {
      go.hear();
      out.tell('c');
    });
    std::atexit([] {});
    go.tell();
  });
  CHECK(out.drain() == "c");
}

TEST_CASE("a program that ends takes its daemons with it, obedient or not", "[process_record]") {
  support::Pipe alive;
  run_program([&] {
    start_and_drop(true, [&] {
      alive.tell();
      wait_for_ever();
    });
    start_and_drop(true, [&] {
      std::signal(SIGTERM, SIG_IGN);
      alive.tell();
      wait_for_ever();
    });
    alive.hear();
    alive.hear();
  });
  CHECK(alive.drain().empty());
}

TEST_CASE("a child that waits for a stubborn daemon does not hold up the end", "[process_record]") {
  run_program([] {
    static support::Pipe from_daemon;
    // Listed first, it waits for the end of file that only the daemon's end brings.
    start_and_drop(false, [] { from_daemon.drain(); });
    start_and_drop(true, [] {
      std::signal(SIGTERM, SIG_IGN);
      wait_for_ever();
    });
    from_daemon.writer.reset();
  });
}

TEST_CASE("a child that ends waits for its own children, too", "[process_record]") {
  support::Pipe out;
  run_program(
      [&] { start_and_drop(false, [&] { start_and_drop(false, [&] { out.tell('g'); }); }); });
  CHECK(out.drain() == "g");
}

TEST_CASE("a child knows nothing of its siblings", "[process_record]") {
  support::Pipe out;
  run_program([&] {
    start_and_drop(true, wait_for_ever);
    start_and_drop(
        false, [&] { out.tell(launch::Children::of_this_process().alive().empty() ? '0' : '1'); });
  });
  CHECK(out.drain() == "0");
}

TEST_CASE("ended children are reaped when the next one starts", "[process_record]") {
  run_program([] {
    for (int i = 0; i < 20; ++i) {
      support::Pipe ended;  // end of file: the child is gone, or a zombie
      start_and_drop(false, [] {});
      ended.drain();
    }
    auto& children = launch::Children::of_this_process();
    while (!children.alive().empty()) {
    }
    if (::waitpid(-1, nullptr, WNOHANG) != -1) ::_exit(1);  // ECHILD: no zombie is left
  });
}

}  // namespace process_record_test
