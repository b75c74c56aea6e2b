// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/errors.hpp>

#include <csignal>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"

namespace errors_test {

namespace mp = multiprocessing;

static_assert(std::is_base_of_v<std::runtime_error, mp::Error>);
static_assert(std::is_base_of_v<mp::Error, mp::ProcessDied>);
static_assert(std::is_base_of_v<mp::ProcessDied, mp::WorkerDied>);
static_assert(std::is_base_of_v<mp::Error, mp::BrokenProcessPool>);
static_assert(std::is_base_of_v<mp::Error, mp::CancelledError>);
static_assert(std::is_base_of_v<mp::Error, mp::RemoteError>);
static_assert(std::is_base_of_v<mp::Error, mp::RemoteTraceback>);
static_assert(std::is_base_of_v<mp::Error, mp::PicklingError>);
static_assert(std::is_base_of_v<mp::Error, mp::UnpicklingError>);
static_assert(std::is_base_of_v<mp::Error, mp::TypeError>);
static_assert(std::is_base_of_v<mp::Error, mp::TimeoutError>);
static_assert(std::is_base_of_v<mp::Error, mp::Empty>);
static_assert(std::is_base_of_v<mp::Error, mp::Full>);
static_assert(std::is_base_of_v<mp::Error, mp::ShutDown>);
static_assert(std::is_base_of_v<mp::Error, mp::EOFError>);
static_assert(std::is_base_of_v<mp::Error, mp::BrokenPipeError>);
static_assert(std::is_base_of_v<mp::Error, mp::BufferTooShort>);
static_assert(std::is_base_of_v<mp::Error, mp::AuthenticationError>);

TEST_CASE("a death by signal tells the signal, an exit its code", "[errors]") {
  mp::WorkerDied const killed("text", 12, -SIGKILL);
  CHECK(killed.pid() == 12);
  CHECK(killed.signal() == SIGKILL);
  CHECK(killed.exitcode() == -SIGKILL);
  CHECK(std::string(killed.what()) == "text");
  CHECK(mp::ProcessDied("", 1, 3).signal() == 0);
  CHECK(mp::ProcessDied("", 1, 3).exitcode() == 3);
}

TEST_CASE("a worker's death tells where it was, when that is known", "[errors]") {
  mp::WorkerDied const plain("text", 12, 3);
  CHECK_FALSE(plain.fault_address());
  CHECK(plain.backtrace().empty());
  CHECK_FALSE(plain.peak_memory());
  mp::WorkerDied const crash("text", 12, -SIGSEGV, {std::uintptr_t{0}, {"inner", "outer"}, 4096});
  auto const copy = crash;
  CHECK(copy.fault_address() == std::uintptr_t{0});
  CHECK(copy.backtrace() == std::vector<std::string>{"inner", "outer"});
  CHECK(copy.peak_memory() == std::uint64_t{4096});
  CHECK(copy.signal() == SIGSEGV);
  static_assert(std::is_nothrow_copy_constructible_v<mp::WorkerDied>);
}

TEST_CASE("a buffer that is too short tells what the message needs", "[errors]") {
  mp::BufferTooShort const error("text", 4096);
  CHECK(error.size() == 4096);
  CHECK(std::string(error.what()) == "text");
}

TEST_CASE("a remote error shows the type that is unknown here", "[errors]") {
  mp::RemoteError const error("app::Oops", "it broke");
  CHECK(error.type_name() == "app::Oops");
  CHECK(std::string(error.what()) == "app::Oops: it broke");
}

TEST_CASE("an exception is printed with its causes and where it came from", "[errors]") {
  std::exception_ptr exception;
  try {
    try {
      try {
        throw mp::RemoteTraceback("PoolWorker-1", 812, "Pool.map, item 3 of 10");
      } catch (...) {
        std::throw_with_nested(std::out_of_range("7"));
      }
    } catch (...) {
      std::throw_with_nested(std::runtime_error("no such row"));
    }
  } catch (...) {
    exception = std::current_exception();
  }
  CHECK(mp::format_exception(exception) ==
        "std::runtime_error: no such row\n"
        "caused by std::out_of_range: 7\n"
        "in process 'PoolWorker-1' (pid 812), Pool.map, item 3 of 10\n");
  CHECK(mp::format_exception(nullptr) == "no exception\n");
}

TEST_CASE("register_exception can stand at namespace scope", "[errors]") {
  class Here : public std::runtime_error {
   public:
    explicit Here(std::string const& text) : std::runtime_error(text) {}
  };
  static bool const known = mp::register_exception<Here>();
  CHECK(known);
}

}  // namespace errors_test
