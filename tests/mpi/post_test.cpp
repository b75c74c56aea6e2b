// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi/post.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <vector>

#include "../support/catch.hpp"
#include "../support/mpi_world.hpp"

namespace post_test {

namespace mp = multiprocessing;
using mp::mpi::Post;
using mp::wire::Bytes;

namespace {

Bytes bytes(std::size_t size, int mark) { return Bytes(size, static_cast<std::byte>(mark)); }

/// Goes on until `done()`.
template <class Take, class Done>
void run(Post& post, Take const& take, Done const& done) {
  while (!done()) {
    post.receive(take);
    post.flush();
  }
}

}  // namespace

TEST_CASE("packets of all sizes arrive whole, those of one rank in their order") {
  auto const& world = support::world();
  int const me = world.rank();
  // One is larger than what MPI is given at a time.
  std::vector<std::size_t> const sizes{1, 7, 100'000, 70'000'000, 3, 2'000'000, 1};
  Post post(world.comm());
  std::map<int, std::size_t> seen;  // bytes, by rank
  std::size_t all = 0;
  for (auto const size : sizes) all += size;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    for (int rank = 0; rank < world.size(); ++rank) {
      if (rank == me) continue;
      auto const part = bytes(sizes[i], static_cast<int>(i));
      auto& packet = post.to(rank);
      packet.insert(packet.end(), part.begin(), part.end());
    }
    post.flush();  // may send it, or leave it to be sent with the next
  }
  // Which byte is at each place does not depend on how they were put into packets.
  auto const mark_at = [&](std::size_t place) {
    std::size_t i = 0;
    for (; place >= sizes[i]; ++i) place -= sizes[i];
    return static_cast<std::byte>(i);
  };
  bool is_right = true;
  run(
      post,
      [&](int rank, std::span<std::byte const> packet) {
        auto& place = seen[rank];
        for (std::size_t at = 0; at < packet.size();
             at += std::max<std::size_t>(packet.size() / 1000, 1)) {
          is_right = is_right && packet[at] == mark_at(place + at);
        }
        is_right = is_right && packet.back() == mark_at(place + packet.size() - 1);
        place += packet.size();
      },
      [&] {
        return static_cast<int>(seen.size()) == world.size() - 1 && post.has_sent_all() &&
               std::all_of(seen.begin(), seen.end(),
                           [&](auto const& each) { return each.second == all; });
      });
  CHECK(is_right);
  CHECK(post.is_quiet());
  CHECK(post.has_spares() == (world.size() > 1));
  post.rest();
  CHECK_FALSE(post.has_spares());
  MPI_Barrier(world.comm());
}

TEST_CASE("memory of packets is used for others, whatever their size") {
  auto const& world = support::world();
  if (world.size() == 1) return;
  constexpr std::size_t kLarge = 10'000'000;
  Post post(world.comm());
  std::size_t received = 0;
  auto const take = [&](int, std::span<std::byte const> packet) { received += packet.size(); };
  if (world.rank() == 1) {
    auto& packet = post.to(0, kLarge);
    packet.resize(kLarge);
    auto const* const memory = packet.data();
    run(post, take, [&] { return post.has_sent_all(); });
    CHECK(post.to(0, 10).capacity() >= kLarge);  // the only one
    CHECK(post.to(0, kLarge).data() == memory);
  } else if (world.rank() == 0) {
    run(post, take, [&] { return received == kLarge; });
  }
  MPI_Barrier(world.comm());
}

TEST_CASE("what is written while others are sent becomes one packet") {
  auto const& world = support::world();
  if (world.size() == 1) return;
  constexpr int kCount = 5000;
  Post post(world.comm());
  int packets = 0;
  std::size_t received = 0;
  auto const take = [&](int, std::span<std::byte const> packet) {
    ++packets;
    received += packet.size();
  };
  if (world.rank() == 1) {
    for (int i = 0; i < kCount; ++i) {
      post.to(0).push_back(std::byte{1});
      if (i % 10 == 0) post.flush();
    }
    run(post, take, [&] { return post.has_sent_all(); });
  } else if (world.rank() == 0) {
    run(post, take, [&] { return received == kCount; });
    CHECK(packets <= kCount / 10 + 1);
  }
  MPI_Barrier(world.comm());
}

}  // namespace post_test
