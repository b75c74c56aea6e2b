// SPDX-License-Identifier: BSL-1.0
// The records of all workers, written by one process: by spdlog, which they have no copy of.
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <multiprocessing/logging.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/queue.hpp>

namespace mp = multiprocessing;

class SpdlogHandler final : public mp::LogHandler {
 public:
  explicit SpdlogHandler(spdlog::logger& out) : out_(out) {}

  void handle(mp::LogRecord const& record) override {
    out_.log(record.time, {}, level_of(record.level),
             record.text + " (" + record.process_name + ")");
  }

 private:
  static spdlog::level::level_enum level_of(mp::LogLevel level) {
    if (level >= mp::LogLevel::critical) return spdlog::level::critical;
    if (level >= mp::LogLevel::error) return spdlog::level::err;
    if (level >= mp::LogLevel::warning) return spdlog::level::warn;
    return level >= mp::LogLevel::info ? spdlog::level::info : spdlog::level::debug;
  }

  spdlog::logger& out_;
};

int main() {
  mp::Queue<mp::LogRecord> const queue(10'000);  // a bound: who logs too fast loses records
  mp::get_logger().set_level(mp::LogLevel::info);
  mp::get_logger().add_handler(std::make_shared<mp::QueueLogHandler>(queue));

  mp::Pool pool(2);  // forks before spdlog starts any thread
  spdlog::logger out("main", std::make_shared<spdlog::sinks::ostream_sink_st>(std::cerr));
  out.set_pattern("%l: %v");

  std::thread listener([&] {
    SpdlogHandler handler(out);
    for (auto const& record : queue) handler.handle(record);
  });
  pool.map(
      [](int item) {
        mp::get_logger().info("item " + std::to_string(item));
        if (item == 3) mp::get_logger().warning("item 3 is odd");
      },
      std::vector{1, 2, 3, 4});
  queue.shutdown();  // what is in it is still taken out
  listener.join();
}
