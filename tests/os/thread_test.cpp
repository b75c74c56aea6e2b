// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/thread.hpp>

#include <thread>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace thread_test {

namespace os = multiprocessing::os;

namespace {
bool knows_itself() { return os::this_thread_id() == static_cast<pid_t>(::syscall(SYS_gettid)); }
}  // namespace

TEST_CASE("a thread knows its number also in a forked child and in its child", "[thread]") {
  CHECK(os::this_thread_id() == ::getpid());  // Catch2 runs tests in the main thread
  bool known = false;
  pid_t number = 0;
  std::thread([&] {
    known = knows_itself() && knows_itself();
    number = os::this_thread_id();
  }).join();
  CHECK(known);
  CHECK(number != os::this_thread_id());

  support::RawChild child([] {
    if (!knows_itself()) return 1;
    support::RawChild grandchild([] { return knows_itself() ? 0 : 2; });
    if (grandchild.wait() != 0) return 2;
    return knows_itself() ? 0 : 3;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("the child of a thread that is not the first knows its number", "[thread]") {
  int status = -1;
  std::thread([&] {
    static_cast<void>(os::this_thread_id());
    support::RawChild child(
        [] { return knows_itself() && os::this_thread_id() == ::getpid() ? 0 : 1; });
    status = child.wait();
  }).join();
  CHECK(status == 0);
}

TEST_CASE("the fork generation grows in children only", "[thread]") {
  os::count_forks();
  auto const generation = os::fork_generation();
  support::RawChild child([=] {
    if (os::fork_generation() <= generation) return 1;
    auto const mine = os::fork_generation();
    support::RawChild grandchild([=] { return os::fork_generation() > mine ? 0 : 2; });
    if (grandchild.wait() != 0) return 2;
    return os::fork_generation() == mine ? 0 : 3;
  });
  CHECK(child.wait() == 0);
  CHECK(os::fork_generation() == generation);
}

TEST_CASE("a thread's process is found as long as the thread lives", "[thread]") {
  support::Pipe number;
  support::Pipe end;
  pid_t thread_id = 0;
  std::thread thread([&] {
    thread_id = os::this_thread_id();
    number.tell();
    end.hear();
  });
  number.hear();
  CHECK(thread_id != ::getpid());
  CHECK(os::process_of_thread(thread_id) == ::getpid());
  end.tell();
  thread.join();
  CHECK(os::process_of_thread(::getpid()) == ::getpid());

  support::RawChild child([&] { end.hear(); });
  pid_t const pid = child.pid();
  CHECK(os::process_of_thread(pid) == pid);
  end.tell();
  child.wait();
  CHECK(os::process_of_thread(pid) == 0);
  CHECK(os::process_of_thread(0x3fffffff) == 0);
}

TEST_CASE("fork handlers run before a fork and after it in both processes", "[thread]") {
  support::Pipe pipe;
  support::RawChild process([&] {  // handlers stay for good
    static support::Pipe* out;
    out = &pipe;
    os::register_fork_handlers([] { out->tell('b'); }, [] { out->tell('p'); },
                               [] { out->tell('c'); });
    os::register_fork_handlers(nullptr, nullptr, nullptr);
    support::RawChild child([] { out->tell('.'); });
    child.wait();
  });
  CHECK(process.wait() == 0);
  auto const order = pipe.drain();
  CHECK(order.size() == 4);
  CHECK(order[0] == 'b');
  CHECK(order.find('p') != std::string::npos);
  CHECK(order.find("c") < order.find("."));
}

}  // namespace thread_test
