// SPDX-License-Identifier: BSL-1.0
// What 18_event_loop.cpp does, with coroutines: every wait is a co_await, all on one thread.
#include <chrono>
#include <exception>
#include <iostream>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <multiprocessing/asio.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>

namespace asio = boost::asio;
namespace mp = multiprocessing;
using namespace asio::experimental::awaitable_operators;

asio::awaitable<void> add_up(mp::Queue<int> squares, int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await mp::async_get(squares);
  std::cout << "sum of squares: " << sum << '\n';
}

asio::awaitable<void> serve(mp::Queue<int> squares, std::vector<mp::Process>& workers) {
  asio::steady_timer limit(co_await asio::this_coro::executor, std::chrono::minutes(1));
  // Whichever is first cancels the other.
  auto const first = co_await (
      (add_up(squares, 100) && mp::async_join(workers[0]) && mp::async_join(workers[1])) ||
      limit.async_wait(asio::use_awaitable));
  std::cout << (first.index() == 0 ? "all workers ended\n" : "took too long\n");
}

int main() {
  mp::Queue<int> const squares;
  std::vector<mp::Process> workers;
  for (int begin : {0, 50}) {
    workers.emplace_back([squares, begin] {
      for (int i = begin + 1; i <= begin + 50; ++i) squares.put(i * i);
    });
    workers.back().start();
  }

  asio::io_context loop;  // after the start: the workers have no copy of it
  asio::co_spawn(loop, serve(squares, workers), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  loop.run();
}
