// SPDX-License-Identifier: BSL-1.0
// One thread serves the results of worker processes, and their ends: Boost.Asio watches the
// descriptors that the library gives. With co_await: 19_event_loop_coroutines.cpp
#include <iostream>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>

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
  int missing = 100, running = 2, sum = 0;
  Watched results(loop, squares.fileno());
  results.each_time([&] {
    // Until there is nothing, which arms the descriptor again. There may be nothing at once.
    while (auto const square = squares.try_get()) --missing, sum += *square;
    return missing > 0;
  });
  std::vector<Watched> ends;
  ends.reserve(workers.size());
  for (auto& worker : workers) {
    ends.emplace_back(loop, worker.sentinel()).each_time([&] { return --running < 0; });
  }
  loop.run();  // until nothing is watched any more
  std::cout << "sum of squares: " << sum << "\nstill running: " << running << '\n';
}
