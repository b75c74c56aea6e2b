// SPDX-License-Identifier: BSL-1.0
// Tasks that go wrong: in each stage of their way, in each way, by each start method. The caller is
// told what it was, the pool goes on, and nothing is left.
#include <multiprocessing/pool.hpp>

#include <csignal>
#include <exception>
#include <stdexcept>
#include <utility>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/launch/fork_server.hpp>
#include <multiprocessing/process_pool_executor.hpp>
#include <multiprocessing/start_method.hpp>

#include "../support/catch.hpp"
#include "../support/faults.hpp"
#include "../support/helpers.hpp"
#include "../support/start_methods.hpp"
#include "../support/tasks.hpp"

namespace pool_faults_test {

namespace mp = multiprocessing;
using support::ByFork;
using support::ByForkServer;
using support::BySpawn;
using support::Fault;
using support::happen;
using support::kFaults;
using support::square;

namespace {

enum class Stage { EncodeArgument, DecodeArgument, Run, EncodeResult, DecodeResult };

struct Plan {
  Stage stage;
  Fault fault;
  void reach(Stage here) const {
    if (here == stage) happen(fault);
  }
};

/// Goes wrong on its way.
template <Stage encode, Stage decode>
struct Traveller {
  Plan plan{};
  template <class Archive>
  void save(Archive& archive) const {
    plan.reach(encode);
    archive(plan.stage, plan.fault);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(plan.stage, plan.fault);
    plan.reach(decode);
  }
};
using Argument = Traveller<Stage::EncodeArgument, Stage::DecodeArgument>;
using Result = Traveller<Stage::EncodeResult, Stage::DecodeResult>;

Result run(Argument const& argument) {
  argument.plan.reach(Stage::Run);
  return {argument.plan};
}

struct ByPool {
  explicit ByPool(mp::StartMethod method) : pool({.processes = 1, .start_method = method}) {}
  Result call(Argument const& argument) { return pool.apply_async(run, argument).get(); }
  int square_of(int x) { return pool.apply(square, x); }
  mp::Pool pool;
};
struct ByExecutor {
  explicit ByExecutor(mp::StartMethod method)
      : executor({.max_workers = 1, .start_method = method}) {}
  Result call(Argument const& argument) { return executor.submit(run, argument).result(); }
  int square_of(int x) { return executor.submit(square, x).result(); }
  mp::ProcessPoolExecutor executor;
};

/// 0: the call has failed as it should, and the next one works.
template <class Front>
int outcome(mp::StartMethod method, Plan plan) {
  Front front(method);
  try {
    front.call({plan});
    return 1;
  } catch (mp::WorkerDied const& death) {
    if (death.exitcode() != support::exitcode_after(plan.fault, 0)) return 2;
  } catch (std::runtime_error const& error) {
    if (plan.fault != Fault::Throw || error.what() != std::string("thrown")) return 3;
  }
  return front.square_of(3) == 9 ? 0 : 4;
}

template <class Way, class Front>
void check_all() {
  for (auto const stage : {Stage::EncodeArgument, Stage::DecodeArgument, Stage::Run,
                           Stage::EncodeResult, Stage::DecodeResult}) {
    for (auto const fault : kFaults) {
      INFO("stage " << static_cast<int>(stage) << ", fault " << static_cast<int>(fault));
      support::RawChild owner([=] {
        std::signal(SIGILL, SIG_DFL);  // the test program's own handler is nobody else's
        auto const code = outcome<Front>(*Way::options().start_method, {stage, fault});
        mp::launch::ForkServer::of_this_process().stop();
        return code;
      });
      bool const is_in_owner = stage == Stage::EncodeArgument || stage == Stage::DecodeResult;
      CHECK(owner.exitcode() == (is_in_owner ? support::exitcode_after(fault, 0) : 0));
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a pool's task that goes wrong fails alone", "[faults]", ByFork, BySpawn,
                   ByForkServer) {
  check_all<TestType, ByPool>();
}

TEMPLATE_TEST_CASE("an executor's call that goes wrong fails alone", "[faults]", ByFork, BySpawn,
                   ByForkServer) {
  check_all<TestType, ByExecutor>();
}

TEMPLATE_TEST_CASE("an initializer that goes wrong breaks the pool", "[faults]", ByFork, BySpawn,
                   ByForkServer) {
  for (auto const fault : kFaults) {
    INFO("fault " << static_cast<int>(fault));
    mp::Pool pool({.processes = 2,
                   .start_method = TestType::options().start_method,
                   .initializer = mp::bind(happen, fault)});
    CHECK_THROWS_AS(pool.apply(square, 1), mp::BrokenProcessPool);
    mp::ProcessPoolExecutor executor({.max_workers = 2,
                                      .start_method = TestType::options().start_method,
                                      .initializer = mp::bind(happen, fault)});
    CHECK_THROWS_AS(executor.submit(square, 1).result(), mp::BrokenProcessPool);
  }
}

TEST_CASE("a callback that goes wrong ends its process, or harms nobody", "[faults]") {
  for (auto const fault : kFaults) {
    INFO("fault " << static_cast<int>(fault));
    support::RawChild owner([=] {
      std::signal(SIGILL, SIG_DFL);
      mp::Pool pool(1);
      pool.apply_async({.callback = [=](int) { happen(fault); }}, square, 1).wait();
      return pool.apply(square, 2) == 4 ? 0 : 1;
    });
    CHECK(owner.exitcode() == support::exitcode_after(fault, 0));
  }
}

}  // namespace pool_faults_test
