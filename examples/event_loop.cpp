// SPDX-License-Identifier: BSL-1.0
// One thread serves the results of worker processes, their ends and a time limit: with Boost.Asio
// and the descriptors that the library gives. With co_await: event_loop_coroutines.cpp
#include <chrono>
#include <iostream>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <multiprocessing.hpp>

namespace asio = boost::asio;
namespace mp = multiprocessing;

// Has the loop watch a descriptor, which stays the library's.
class Watched {
 public:
  Watched(asio::io_context& loop, int fd) : descriptor_(loop, fd) {}
  Watched(Watched&&) = default;
  ~Watched() { descriptor_.release(); }  // or Asio closes it

  // Calls `serve` whenever it is readable, until that returns false.
  template <class Serve>
  void each_time(Serve serve) {
    descriptor_.async_wait(descriptor_.wait_read, [this, serve](boost::system::error_code error) {
      if (!error && serve()) each_time(serve);
    });
  }

 private:
  asio::posix::stream_descriptor descriptor_;
};

int main() {
  mp::Queue<int> const squares;
  std::vector<mp::Process> workers;
  for (int first : {0, 50}) {
    workers.emplace_back([squares, first] {
      for (int i = first + 1; i <= first + 50; ++i) squares.put(i * i);
    });
    workers.back().start();
  }

  asio::io_context loop;  // after the start: the workers have no copy of it
  asio::steady_timer limit(loop, std::chrono::minutes(1));
  limit.async_wait([&](boost::system::error_code error) {
    if (!error) loop.stop();
  });
  int missing = 100, running = 2, sum = 0;
  auto const leave_when_done = [&] {
    if (missing == 0 && running == 0) limit.cancel();
  };
  Watched results(loop, squares.fileno());
  results.each_time([&] {
    // Until there is nothing, which arms the descriptor again. There may be nothing at once.
    while (auto const square = squares.try_get()) --missing, sum += *square;
    leave_when_done();
    return missing > 0;
  });
  std::vector<Watched> ends;
  ends.reserve(workers.size());
  for (auto& worker : workers) {
    ends.emplace_back(loop, worker.sentinel()).each_time([&] {
      --running;
      leave_when_done();
      return false;
    });
  }
  loop.run();
  std::cout << "sum of squares: " << sum << "\nstill running: " << running << '\n';
}
