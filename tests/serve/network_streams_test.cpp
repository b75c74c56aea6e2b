// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/network_streams.hpp>

#include <memory>
#include <utility>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/process.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/sockets.hpp"

namespace network_streams_test {

namespace mp = multiprocessing;
namespace channel = multiprocessing::channel;
using multiprocessing::serve::NetworkStreams;

TEST_CASE("a forked child has no copy of a connection", "[network_streams]") {
  auto const streams = NetworkStreams::make();
  auto [mine, theirs] = support::local_ends();
  auto stream = std::make_shared<channel::SocketStream>(std::move(mine));
  channel::SocketStream other(std::move(theirs));
  streams->add(stream);
  support::Pipe const pipe;
  mp::Process child({.start_method = mp::StartMethod::fork},
                    [elsewhere = support::PipeElsewhere::of(pipe)] { elsewhere.hear(); });
  child.start();
  stream.reset();
  CHECK_THROWS_AS(other.receive(mp::base::Deadline::never()), mp::EOFError);  // while it lives
  pipe.tell();
  child.join();
  CHECK(child.exitcode() == 0);
}

TEST_CASE("connections that have ended are forgotten", "[network_streams]") {
  auto const streams = NetworkStreams::make();
  for (int i = 0; i < 3; ++i) {
    auto [mine, theirs] = support::local_ends();
    streams->add(std::make_shared<channel::SocketStream>(std::move(mine)));
  }
  streams->give_up();
}

}  // namespace network_streams_test
