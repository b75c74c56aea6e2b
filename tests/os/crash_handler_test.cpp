// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/crash_handler.hpp>

#include <sys/mman.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <thread>

#include <multiprocessing/os/code_name.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

// Exported, so that they have names.
namespace crash_handler_test {

[[gnu::noinline]] int write_to(int volatile* place) {
  *place = 1;
  return *place;
}
[[gnu::noinline]] int write_beyond(int volatile* place) {
  int const volatile result = write_to(place);  // so that it is no jump
  return result;
}
[[gnu::noinline]] int divide(int a, int b) { return a / b; }
[[gnu::noinline]] int call_blindly(int (*function)()) {
  int const volatile result = function();
  return result;
}
[[gnu::noinline]] int descend(int volatile* above) {
  int volatile here[100] = {};
  here[0] = *above + 1;
  return here[0] > 0 ? descend(here) + here[1] : 0;
}
[[gnu::noinline]] int smash_and_write() {
  auto* volatile frame = static_cast<unsigned char*>(__builtin_frame_address(0));
  std::memset(frame, 0x41, 1000);
  return write_to(nullptr);
}
[[gnu::noinline]] int give_up() { std::abort(); }

namespace os = multiprocessing::os;

namespace {

/// A record that a child shares.
class Shared {
 public:
  Shared()
      : record_(new (::mmap(nullptr, sizeof(os::CrashRecord), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0)) os::CrashRecord) {}
  Shared(Shared const&) = delete;
  Shared& operator=(Shared const&) = delete;
  ~Shared() { ::munmap(record_, sizeof *record_); }

  os::CrashRecord& operator*() const { return *record_; }
  os::CrashRecord* operator->() const { return record_; }

  std::string frame(std::size_t i) const { return os::code_name(record_->frames[i].load()); }
  bool names(std::string const& function) const {
    for (std::size_t i = 0; i < record_->frame_count.load(); ++i) {
      if (frame(i).find(function) != std::string::npos) return true;
    }
    return false;
  }

 private:
  os::CrashRecord* record_;
};

/// The exit code of a child that handles crashes, does this and returns.
template <class Crash>
int exitcode_after(Shared const& shared, Crash const& crash) {
  support::RawChild child([&] {
    os::reset_signals();  // the test program has handlers
    os::prepare_crash_handler();
    // As in a worker, the user's code is called by somebody else than who installs the handler.
    auto const install_and_crash = [&] {
      os::install_crash_handler(*shared);
      void (*volatile call)(Crash const&) = [](Crash const& what) { what(); };
      call(crash);
    };
    install_and_crash();
    return 0;
  });
  return child.exitcode();
}

}  // namespace

TEST_CASE("a bad address is recorded with the place and its callers", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  Shared shared;
  auto* const bad = reinterpret_cast<int*>(std::uintptr_t{0x1234});
  CHECK(exitcode_after(shared, [bad] { write_beyond(bad); }) == -SIGSEGV);
  CHECK(shared->signal == SIGSEGV);
  CHECK(shared->has_address);
  CHECK(shared->address == 0x1234);
  CHECK_THAT(shared.frame(0), ContainsSubstring("crash_handler_test::write_to"));
  CHECK(shared->frame_count.load() >= 2);
  CHECK_THAT(shared.frame(1), ContainsSubstring("crash_handler_test::write_beyond"));
}

TEST_CASE("every kind of crash is recorded, and ends the process as ever", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  {
    Shared shared;
    CHECK(exitcode_after(shared, [] { give_up(); }) == -SIGABRT);
    CHECK(shared->signal == SIGABRT);
    CHECK_FALSE(shared->has_address);
    CHECK(shared.names("give_up"));
  }
#if defined(__x86_64__)  // elsewhere it gives a number
  {
    Shared shared;
    CHECK(exitcode_after(shared, [] {
            int volatile const result = divide(1, 0);
            static_cast<void>(result);
          }) == -SIGFPE);
    CHECK(shared->signal == SIGFPE);
    CHECK_THAT(shared.frame(0), ContainsSubstring("divide"));
    CHECK(shared->address == shared->frames[0]);
  }
#endif
  {
    Shared shared;
    CHECK(exitcode_after(shared, [] {
            auto const fd = ::memfd_create("empty", 0);
            auto* const pages = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            write_to(static_cast<int*>(pages));
          }) == -SIGBUS);
    CHECK(shared->signal == SIGBUS);
    CHECK(shared->has_address);
    CHECK(shared.names("write_to"));
  }
  for (int const signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
    Shared shared;
    CHECK(exitcode_after(shared, [=] { ::kill(::getpid(), signal); }) == -signal);
    CHECK(shared->signal == signal);
    CHECK_FALSE(shared->has_address);
    CHECK(shared->frame_count.load() > 0);
  }
}

TEST_CASE("a stack without room is recorded by its innermost frames", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  Shared shared;
  CHECK(exitcode_after(shared, [] {
          int volatile begin = 0;
          descend(&begin);
        }) == -SIGSEGV);
  CHECK(shared->signal == SIGSEGV);
  CHECK(shared->frame_count == os::CrashRecord::kMostFrames);
  CHECK_THAT(shared.frame(0), ContainsSubstring("descend"));
  CHECK_THAT(shared.frame(os::CrashRecord::kMostFrames - 1), ContainsSubstring("descend"));
}

TEST_CASE("a smashed stack ends the process by the same signal", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  Shared shared;
  CHECK(exitcode_after(shared, [] { smash_and_write(); }) == -SIGSEGV);
  CHECK(shared->signal == SIGSEGV);
  CHECK(shared->address == 0);
  CHECK_THAT(shared.frame(0), ContainsSubstring("write_to"));
}

TEST_CASE("a second crash ends the process by the first one's signal", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  Shared shared;
  CHECK(exitcode_after(shared, [&] {
          shared->signal = SIGBUS;
          write_to(nullptr);
        }) == -SIGBUS);
  CHECK(shared->frame_count == 0);
}

TEST_CASE("an unwinder that does not end is ended by the same signal", "[crash_handler]") {
  support::RawChild child([] {
    os::reset_signals();
    os::crash_detail::end_in_time(SIGFPE);
    for (;;) ::pause();
  });
  CHECK(child.exitcode() == -SIGFPE);
}

TEST_CASE("a call of what is no function names the caller", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  Shared shared;
  CHECK(exitcode_after(shared, [] { call_blindly(nullptr); }) == -SIGSEGV);
  CHECK(shared->frames[0] == 0);
  CHECK(shared->frame_count == 2);
  CHECK_THAT(shared.frame(1), ContainsSubstring("call_blindly"));
}

TEST_CASE("frames of who installed the handler are left out", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  Shared shared;
  CHECK(exitcode_after(shared, [] { write_to(nullptr); }) == -SIGSEGV);
  CHECK_FALSE(shared.names("main"));
  CHECK_FALSE(shared.names("Catch::"));
}

TEST_CASE("a crash of another thread is recorded", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  Shared shared;
  CHECK(exitcode_after(shared, [] { std::thread([] { write_to(nullptr); }).join(); }) == -SIGSEGV);
  CHECK(shared.names("write_to"));
}

TEST_CASE("another thread's stack without room ends the process untold", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  Shared shared;
  CHECK(exitcode_after(shared, [] {
          std::thread([] {
            int volatile begin = 0;
            descend(&begin);
          }).join();
        }) == -SIGSEGV);
  CHECK(shared->signal == 0);
}

TEST_CASE("handlers of the user, before and after, win", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  Shared shared;
  CHECK(exitcode_after(shared, [] {
          std::signal(SIGSEGV, [](int) { ::_exit(7); });
          write_to(nullptr);
        }) == 7);
  support::RawChild child([&] {
    os::reset_signals();
    std::signal(SIGSEGV, [](int) { ::_exit(8); });
    std::signal(SIGABRT, SIG_IGN);
    os::prepare_crash_handler();
    os::install_crash_handler(*shared);
    ::kill(::getpid(), SIGABRT);
    return write_to(nullptr);
  });
  CHECK(child.exitcode() == 8);
  CHECK(shared->signal == 0);
}

TEST_CASE("a copy of the process writes nothing", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  Shared shared;
  CHECK(exitcode_after(shared, [] {
          for (int const signal : {SIGSEGV, SIGABRT}) {
            support::RawChild copy([=] {
              if (signal == SIGABRT) std::abort();
              return write_to(nullptr);
            });
            if (copy.exitcode() != -signal) ::_exit(1);
          }
        }) == 0);
  CHECK(shared->signal == 0);
}

TEST_CASE("without a stack prepared crashes are recorded, too", "[crash_handler]") {
  if (!os::kHandlesCrashes) return;
  Shared shared;
  support::RawChild child([&] {
    os::reset_signals();
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    ::sigaltstack(&none, nullptr);
    os::install_crash_handler(*shared);
    return write_to(nullptr);
  });
  CHECK(child.exitcode() == -SIGSEGV);
  CHECK(shared.names("write_to"));
}

TEST_CASE("a record that was cleared is as new", "[crash_handler]") {
  os::CrashRecord record;
  for (std::uintptr_t i = 0; i < 40; ++i) record.add_frame(i);
  CHECK(record.frame_count == os::CrashRecord::kMostFrames);
  record.signal = SIGSEGV;
  record.has_address = true;
  record.clear();
  CHECK(record.frame_count == 0);
  CHECK(record.signal == 0);
  CHECK_FALSE(record.has_address);
}

}  // namespace crash_handler_test
