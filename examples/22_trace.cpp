// SPDX-License-Identifier: BSL-1.0
// What every worker did, and when: a file that https://ui.perfetto.dev shows as a timeline.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/pool.hpp>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

int decode(int frame) {
  std::this_thread::sleep_for(4ms);  // stands for work
  if (frame == 7) std::abort();      // a bad frame
  return frame;
}
int enhance(int frame) {
  std::this_thread::sleep_for(3ms + frame % 5 * 1ms);
  return frame;
}
int encode(int frame) {
  std::this_thread::sleep_for(6ms);
  return frame;
}

int main(int argc, char** argv) {
  std::string const path = argc > 1 ? argv[1] : "trace.json";
  mp::Pool pool(3);
  pool.trace(path);
  std::vector<mp::AsyncResult<int>> decoded, enhanced, encoded;
  for (int frame = 0; frame < 12; ++frame) decoded.push_back(pool.apply_async(decode, frame));
  for (auto const& each : decoded) {
    try {
      enhanced.push_back(pool.apply_async(enhance, each.get()));
    } catch (mp::WorkerDied const&) {
      std::cout << "a frame is lost\n";  // the timeline shows where
    }
  }
  for (auto const& each : enhanced) encoded.push_back(pool.apply_async(encode, each.get()));
  for (auto const& each : encoded) each.wait();
  pool.close();
  pool.join();  // writes the file
  std::cout << encoded.size() << " frames, see " << path << '\n';
}
