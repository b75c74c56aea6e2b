// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/sent_fd.hpp>

#include <utility>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/pickle.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace sent_fd_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;

namespace {
struct Lent {
  int number = -1;
  mp::os::Fd received = {};

  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    wire::save_fd(encoder, number);
  }
  template <class Decoder>
  static Lent decode_from(Decoder& decoder) {
    return {-1, wire::read_fd(decoder)};
  }
};
/// A message that has the pipe's writer along.
struct Message {
  explicit Message(support::Pipe const& pipe) {
    wire::encode(bytes, Lent{pipe.writer.get()}, parcel);
  }
  Lent read() const {
    std::span<std::byte const> rest(bytes);
    return wire::decode<Lent>(rest, parcel);
  }
  wire::Bytes bytes;
  wire::Parcel parcel;
};
}  // namespace

TEST_CASE("a duplicate arrives, and the sender keeps its own", "[sent_fd]") {
  support::Pipe pipe;
  auto const lent = Message(pipe).read();
  CHECK(lent.received);
  CHECK(lent.received.get() != pipe.writer.get());
  CHECK(::write(lent.received.get(), "x", 1) == 1);
  CHECK(pipe.hear() == 'x');
  pipe.tell();
  CHECK(pipe.hear() == '.');
}

TEST_CASE("it is received once", "[sent_fd]") {
  support::Pipe pipe;
  Message const message(pipe);
  CHECK(message.read().received);
  CHECK_THROWS_AS(message.read(), mp::UnpicklingError);
}

TEST_CASE("bytes alone can not take it along", "[sent_fd]") {
  support::Pipe pipe;
  CHECK_THROWS_AS(mp::dumps(Lent{pipe.writer.get()}), mp::PicklingError);
}

}  // namespace sent_fd_test
