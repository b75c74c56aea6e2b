// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/when_ready.hpp>

#include <atomic>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <multiprocessing/base/deadline.hpp>

#include "../support/catch.hpp"
#include "../support/coroutine.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"
#include "../support/tasks.hpp"

namespace when_ready_test {

namespace base = multiprocessing::base;
namespace os = multiprocessing::os;
using namespace multiprocessing::work;

namespace {

/// A crew of one worker, and a task of it that ends when told.
struct Scene {
  support::Pipe go;  // the worker inherits it
  std::shared_ptr<Crew> crew = std::make_shared<Crew>(Crew::Options{.workers = 1});
  std::shared_ptr<TaskGroup> group =
      submit_call(crew, "test", {}, &hear_from, support::PipeElsewhere::of(go));

  ~Scene() { crew->terminate("test", Crew::Ending::kill); }

  bool is_readable() const {
    return os::poll_readable(descriptor_of(group), base::Deadline::now());
  }

  static int hear_from(support::PipeElsewhere const& pipe) {
    pipe.hear();
    return 7;
  }
};

support::Detached take(std::shared_ptr<TaskGroup> group, support::Pipe const& told) {
  told.tell(static_cast<char>(co_await Awaiter<int>(group, &collect_one<int>)));
}

}  // namespace

TEST_CASE("what is to follow a task follows once, when it has settled", "[when_ready]") {
  Scene scene;
  support::Pipe told;
  for (char const what : {'a', 'b'}) {
    when_ready(scene.group, [&told, what] { told.tell(what); });
  }
  CHECK_FALSE(os::is_readable(told.reader));
  scene.go.tell();
  CHECK(told.hear() == 'a');
  CHECK(told.hear() == 'b');
  when_ready(scene.group, [&told] { told.tell('c'); });
  CHECK(told.hear() == 'c');
}

TEST_CASE("a group has one descriptor, whoever asks for it first", "[when_ready]") {
  Scene scene;
  auto const before = support::open_fds();
  std::vector<int> fds(8);
  {
    std::vector<std::jthread> threads;
    for (int& fd : fds) threads.emplace_back([&] { fd = descriptor_of(scene.group); });
  }
  CHECK(std::set<int>(fds.begin(), fds.end()).size() == 1);
  CHECK(support::open_fds() == before + 1);
  CHECK_FALSE(scene.is_readable());
  scene.go.tell();
  CHECK(os::poll_readable(fds.front(), base::Deadline::never()));
  CHECK(scene.is_readable());
}

TEST_CASE("a descriptor waits for the callback of a task, too", "[when_ready]") {
  Scene scene;
  scene.group->expect_callback();
  scene.go.tell();
  scene.group->wait_until(base::Deadline::never());
  CHECK_FALSE(scene.is_readable());
  scene.crew->callbacks().add(
      [group = scene.group] { return group->settled(); }, [] {},
      std::shared_ptr<std::atomic<bool>>(scene.group, &scene.group->is_called_back()));
  CHECK(os::poll_readable(descriptor_of(scene.group), base::Deadline::never()));
  CHECK(scene.group->is_ready());
}

TEST_CASE("a coroutine goes on with what the task returned", "[when_ready]") {
  Scene scene;
  support::Pipe told;
  take(scene.group, told);
  take(scene.group, told);
  CHECK_FALSE(os::is_readable(told.reader));
  scene.go.tell();
  CHECK(told.hear() == 7);
  CHECK(told.hear() == 7);
  take(scene.group, told);  // at once
  CHECK(os::is_readable(told.reader));
}

TEST_CASE("a descriptor and a coroutine are refused to another process than the owner's",
          "[when_ready]") {
  Scene scene;
  support::RawChild child([&] {
    int refused = 0;
    try {
      descriptor_of(scene.group);
    } catch (std::logic_error const&) {
      ++refused;
    }
    try {
      static_cast<void>(Awaiter<int>(scene.group, &collect_one<int>).await_ready());
    } catch (std::logic_error const&) {
      ++refused;
    }
    return refused;
  });
  CHECK(child.exitcode() == 2);
}

}  // namespace when_ready_test
