// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/log_settings.hpp>

#include <multiprocessing/pipe.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace log_settings_test {

namespace mp = multiprocessing;
namespace launch = mp::launch;

namespace {
mp::Logger& logger() { return mp::Logger::of_this_process(); }
}  // namespace

TEST_CASE("settings are applied as they were, and can be sent", "[log_settings]") {
  auto const [text, status] = support::stderr_of([] {
    if (launch::current_log_settings().to_stderr) return 1;
    launch::log_to_stderr();
    logger().set_level(mp::LogLevel::info);
    auto const settings = launch::current_log_settings();
    if (settings.level != 20 || !settings.to_stderr || !settings.turn) return 2;

    auto const [reader, writer] = mp::Pipe<launch::LogSettings>(mp::one_way);
    writer.send(settings);
    auto const received = reader.recv();
    if (received.level != 20 || !received.to_stderr || *received.turn != *settings.turn) return 3;
    writer.send({.level = 7});
    if (reader.recv().turn) return 4;

    launch::apply_log_settings({});
    logger().critical("silent");
    if (launch::current_log_settings().to_stderr) return 5;
    launch::apply_log_settings(received);
    logger().info("heard");
    logger().debug("silent");
    return 0;
  });
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(text == "[INFO/MainProcess] heard\n");
}

TEST_CASE("the first turn that is applied is the one that is used", "[log_settings]") {
  launch::StderrHandler other_process;
  auto const* const turn = other_process.turn_of_stderr();
  REQUIRE(turn != nullptr);
  support::RawChild child([&] {
    launch::apply_log_settings({.level = 10, .to_stderr = true, .turn = *turn});
    return *launch::current_log_settings().turn == *turn ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

}  // namespace log_settings_test
