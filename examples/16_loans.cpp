// SPDX-License-Identifier: BSL-1.0
// Images go from process to process without a copy: rendered in the message, read in the message.
#include <algorithm>
#include <cstddef>
#include <functional>
#include <iostream>
#include <numeric>
#include <span>
#include <utility>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/process.hpp>

namespace mp = multiprocessing;

constexpr std::size_t kWidth = 1920;
constexpr std::size_t kHeight = 1080;

// A picture of grey pixels that gets brighter from left to right, and from frame to frame.
void render(std::span<std::byte> pixels, std::size_t frame) {
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<std::byte>(std::min<std::size_t>(i % kWidth / 16 + 20 * frame, 255));
  }
}

void produce(mp::Connection<mp::Any, void> const& out) {
  for (std::size_t frame = 0; frame < 4; ++frame) {
    mp::Loan image = out.loan(kWidth * kHeight);  // shared memory, ours until it is sent
    render(image.bytes(), frame);
    out.send(std::move(image));  // hands over 8 bytes, whatever the size
  }
}

int main() {
  auto [in, out] = mp::Pipe(mp::one_way);
  mp::Process camera(produce, std::move(out));
  camera.start();
  try {
    for (int frame = 0;; ++frame) {
      mp::View const image = in.recv_view();  // the same memory, until `image` goes
      auto const sum = std::transform_reduce(
          image.bytes().begin(), image.bytes().end(), std::size_t{0}, std::plus<>(),
          [](std::byte pixel) { return std::to_integer<std::size_t>(pixel); });
      std::cout << "frame " << frame << ": mean brightness " << sum / image.bytes().size() << '\n';
    }
  } catch (mp::EOFError const&) {
    camera.join();
  }
}
