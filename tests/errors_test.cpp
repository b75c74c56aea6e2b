// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/errors.hpp>

#include <csignal>
#include <type_traits>

#include "support/catch.hpp"

namespace mp = multiprocessing;

static_assert(std::is_base_of_v<std::runtime_error, mp::Error>);
static_assert(std::is_base_of_v<mp::Error, mp::ProcessDied>);
static_assert(std::is_base_of_v<mp::ProcessDied, mp::WorkerDied>);
static_assert(std::is_base_of_v<mp::Error, mp::BrokenProcessPool>);
static_assert(std::is_base_of_v<mp::Error, mp::CancelledError>);
static_assert(std::is_base_of_v<mp::Error, mp::RemoteError>);

TEST_CASE("a death by signal tells the signal, an exit its code", "[errors]") {
  mp::WorkerDied const killed("text", 12, -SIGKILL);
  CHECK(killed.pid() == 12);
  CHECK(killed.signal() == SIGKILL);
  CHECK(killed.exitcode() == -SIGKILL);
  CHECK(std::string(killed.what()) == "text");
  CHECK(mp::ProcessDied("", 1, 3).signal() == 0);
  CHECK(mp::ProcessDied("", 1, 3).exitcode() == 3);
}

TEST_CASE("a remote error shows the type that is unknown here", "[errors]") {
  mp::RemoteError const error("app::Oops", "it broke");
  CHECK(error.type_name() == "app::Oops");
  CHECK(std::string(error.what()) == "app::Oops: it broke");
}
