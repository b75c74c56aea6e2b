// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/crew.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include <multiprocessing/launch/fork_child.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace crew_test {

namespace mp = multiprocessing;
using multiprocessing::work::Crew;

namespace {
void close_and_join(Crew& crew) {
  crew.close("test");
  crew.join("test");
}
}  // namespace

TEST_CASE("a crew has as many workers as asked for, and none after the join", "[crew]") {
  Crew crew({.workers = 3});
  auto const pids = crew.worker_pids("test");
  CHECK(pids.size() == 3);
  for (int const pid : pids) CHECK(::kill(pid, 0) == 0);
  close_and_join(crew);
  CHECK(crew.worker_pids("test").empty());
}

TEST_CASE("a dead worker is replaced", "[crew]") {
  Crew crew({.workers = 2});
  auto const before = crew.worker_pids("test");
  ::kill(before[0], SIGKILL);
  for (;;) {
    auto const now = crew.worker_pids("test");
    if (now.size() == 2 && std::find(now.begin(), now.end(), before[0]) == now.end()) break;
  }
  close_and_join(crew);
}

TEST_CASE("a crew whose nursery is killed says that it is broken", "[crew]") {
  Crew crew({.workers = 1});
  auto const worker = crew.worker_pids("test")[0];
  // the worker's parent is the nursery
  std::string const stat_path = "/proc/" + std::to_string(worker) + "/stat";
  std::FILE* const file = std::fopen(stat_path.c_str(), "r");
  int nursery = 0;
  REQUIRE(std::fscanf(file, "%*d (%*[^)]) %*c %d", &nursery) == 1);
  std::fclose(file);
  ::kill(nursery, SIGKILL);
  while (!crew.board().nursery_life.holder_is_dead()) {
  }
  auto const text = support::message_of<mp::BrokenProcessPool>([&] { crew.require_open("map"); });
  CHECK_THAT(text, ContainsSubstring("map: the pool is broken") && ContainsSubstring("nursery"));
  close_and_join(crew);
}

TEST_CASE("a crew that gets no processes throws, and leaves none", "[crew]") {
  support::RawChild child([] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 0;  // root may always fork
    rlimit const limit{2, 2};
    ::setrlimit(RLIMIT_NPROC, &limit);
    try {
      Crew crew({.workers = 8});
    } catch (std::system_error const& error) {
      return error.code() == std::errc::resource_unavailable_try_again ? 0 : 2;
    }
    return 1;
  });
  CHECK(WEXITSTATUS(child.wait()) == 0);
}

TEST_CASE("a crew is of no use to a child of its owner", "[crew]") {
  Crew crew({.workers = 1});
  auto const use_it = [&] {
    auto const text = support::message_of<std::logic_error>([&] { crew.require_open("map"); });
    return text.find("belongs to process") != std::string::npos ? 0 : 1;
  };
  auto const child = mp::launch::fork_child(mp::launch::new_child_identity(), use_it);
  CHECK(child->wait_until(mp::base::Deadline::never())->exitcode() == 0);
  close_and_join(crew);
}

TEST_CASE("a join before the close, and work after it, are errors", "[crew]") {
  Crew crew({.workers = 1});
  CHECK_THAT(support::message_of<std::invalid_argument>([&] { crew.join("Pool.join"); }),
             ContainsSubstring("Pool.join: the pool is still running"));
  close_and_join(crew);
  CHECK_THAT(support::message_of<std::invalid_argument>([&] { crew.require_open("Pool.map"); }),
             ContainsSubstring("Pool.map: the pool is closed"));
  close_and_join(crew);  // again: nothing happens
}

}  // namespace crew_test
