// SPDX-License-Identifier: BSL-1.0
// Workers killed at random moments while tasks run that may be run once more: every result is
// there and right, what is given up is given up, and when the storm is over nothing is left.
//
//   MULTIPROCESSING_TEST_TASK_STORM=40000      more tasks
#include <atomic>
#include <csignal>
#include <cstdint>
#include <exception>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/work/submit.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/task_table.hpp"
#include "../support/tasks.hpp"

namespace task_storm_test {

namespace mp = multiprocessing;
namespace base = multiprocessing::base;
using namespace multiprocessing::work;
using support::used_blocks;

namespace {

constexpr int kWorkers = 4;
// More than any task meets of all kills.
constexpr TaskTerms kPatient{.retries = UINT16_MAX};
constexpr TaskTerms kInsistent{.retries = UINT16_MAX,
                               .retry_on = mp::RetryOn::crash | mp::RetryOn::exception};

/// Of any length: in the entry, with the input or alone, or in a block.
std::string text_of(int x) {
  auto text = std::to_string(x) + ' ';
  text.resize(static_cast<std::size_t>(x % 150), static_cast<char>('a' + x % 26));
  return text;
}
std::string answer_to(std::string const& text) { return text + '!'; }
int square_or_refuse(int x) {
  static thread_local std::mt19937 random(static_cast<unsigned>(::getpid()));  // NOLINT: see below
  if (random() % 2 == 0) throw std::runtime_error("this time not");
  return x * x;
}
int refuse(int x) { throw std::out_of_range(std::to_string(x)); }

/// Kills workers of the crew as long as it lives.
class Storm {
 public:
  explicit Storm(Crew& crew) : thread_([this, &crew] { rage(crew); }) {}
  ~Storm() { end(); }
  void end() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
  }
  long kills() const { return kills_; }

 private:
  void rage(Crew& crew) {
    std::mt19937 random(1);  // NOLINT: the same run every time, as far as the kernel lets it
    while (!over_) {
      auto const pids = crew.worker_pids("test");
      if (!pids.empty()) {
        int const pid = pids[random() % pids.size()];
        if (::getpgid(pid) == ::getpgrp() && ::kill(pid, SIGKILL) == 0) ++kills_;
      }
      for (auto pause = random() % 500; pause > 0 && !over_; --pause) std::this_thread::yield();
    }
  }

  std::atomic<bool> over_{false};
  std::atomic<long> kills_{0};
  std::thread thread_;
};

/// What is left of the crew when its tasks have been dropped and it has ended.
template <class Play>
void with_crew(Play const& play) {
  auto const before = used_blocks();
  {
    auto const crew = std::make_shared<Crew>(Crew::Options{.workers = kWorkers});
    auto const at_rest = used_blocks();
    play(crew);
    // These look at what nobody asks for any more.
    std::vector<std::shared_ptr<TaskGroup>> last;
    for (int i = 0; i < 300; ++i) {
      last.push_back(submit_call(crew, "test", kPatient, &support::square, i));
    }
    for (auto const& group : last) group->wait_until(base::Deadline::never());
    last.clear();
    CHECK(used_blocks() == at_rest);
    crew->close("test");
    crew->join("test");
  }
  CHECK(used_blocks() == before);
}

int tasks() { return static_cast<int>(support::setting("MULTIPROCESSING_TEST_TASK_STORM", 5'000)); }

}  // namespace

TEST_CASE("a storm of kills costs no task that may be run again", "[faults][stress]") {
  with_crew([](std::shared_ptr<Crew> const& crew) {
    Storm storm(*crew);
    std::vector<std::shared_ptr<TaskGroup>> groups;
    for (int i = 0; i < tasks(); ++i) {
      if (i % 3 == 0) groups.push_back(submit_call(crew, "test", kPatient, &support::square, i));
      if (i % 3 == 1) groups.push_back(submit_call(crew, "test", kPatient, &answer_to, text_of(i)));
      if (i % 3 == 2) groups.push_back(submit_call(crew, "test", kPatient, &refuse, i));
    }
    long wrong = 0;
    for (int i = 0; i < tasks(); ++i) {
      auto const group = std::move(groups[static_cast<std::size_t>(i)]);
      group->wait_until(base::Deadline::never());
      try {
        bool const right = i % 3 == 0   ? collect_one<int>(*group) == support::square(i)
                           : i % 3 == 1 ? collect_one<std::string>(*group) == text_of(i) + '!'
                                        : collect_one<int>(*group) == 0;
        if (!right) ++wrong;
      } catch (std::out_of_range const& error) {
        if (i % 3 != 2 || error.what() != std::to_string(i)) ++wrong;
      } catch (std::exception const& error) {
        UNSCOPED_INFO(i << ": " << error.what());
        ++wrong;
      }
    }
    storm.end();
    CHECK(wrong == 0);
    CHECK(storm.kills() > 0);
  });
}

TEST_CASE("a storm of kills costs no task that may be run again when it throws",
          "[faults][stress]") {
  with_crew([](std::shared_ptr<Crew> const& crew) {
    Storm storm(*crew);
    long wrong = 0;
    for (std::uint32_t const backoff_ms : {0U, 1U}) {
      auto options = kInsistent;
      options.backoff_ms = backoff_ms;
      std::vector<std::shared_ptr<TaskGroup>> groups;
      for (int i = 0; i < tasks() / 5; ++i) {
        groups.push_back(submit_call(crew, "test", options, &square_or_refuse, i));
      }
      for (int i = 0; i < tasks() / 5; ++i) {
        auto const group = std::move(groups[static_cast<std::size_t>(i)]);
        group->wait_until(base::Deadline::never());
        if (collect_one<int>(*group) != support::square(i)) ++wrong;
      }
    }
    storm.end();
    CHECK(wrong == 0);
    CHECK(storm.kills() > 0);
  });
}

TEST_CASE("in a storm of kills, tasks that are given up touch no other", "[faults][stress]") {
  with_crew([](std::shared_ptr<Crew> const& crew) {
    Storm storm(*crew);
    std::mt19937 random(2);  // NOLINT: as above
    long wrong = 0;
    long given_up = 0;
    for (int i = 0; i < tasks() / 10; ++i) {
      std::vector<std::shared_ptr<TaskGroup>> groups;
      for (int k = 0; k < 10; ++k) {
        if (k % 2 == 0) {
          groups.push_back(submit_call(crew, "test", kPatient, &answer_to, text_of(i + k)));
        } else {
          groups.push_back(submit_call(crew, "test", kInsistent, &square_or_refuse, i + k));
        }
      }
      std::vector<bool> are_given_up;
      for (auto const& group : groups) {
        are_given_up.push_back(random() % 3 == 0 && group->cancel_running());
      }
      for (int k = 0; k < 10; ++k) {
        auto const at = static_cast<std::size_t>(k);
        auto const group = std::move(groups[at]);
        group->wait_until(base::Deadline::never());
        try {
          bool const right = k % 2 == 0 ? collect_one<std::string>(*group) == text_of(i + k) + '!'
                                        : collect_one<int>(*group) == support::square(i + k);
          if (!right || are_given_up[at]) ++wrong;
        } catch (mp::CancelledError const&) {
          ++(are_given_up[at] ? given_up : wrong);
        }
      }
    }
    storm.end();
    CHECK(wrong == 0);
    CHECK(given_up > 0);
  });
}

}  // namespace task_storm_test
