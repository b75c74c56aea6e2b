// SPDX-License-Identifier: BSL-1.0
// Which numbers of an interval are prime: by a segmented wheel sieve, or by trial division.
//
// A byte of the sieve stands for 30 numbers: only the 8 that 2, 3 and 5 don't divide have a bit.
// Multiples p * q of a prime p, for q of one remainder modulo 30, hit the same bit of every p-th
// byte, so crossing out is eight ANDs with constant masks per step of p bytes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace sieve {

inline constexpr std::array<std::uint64_t, 8> kWheel{1, 7, 11, 13, 17, 19, 23, 29};
/// Bytes sieved at a time: fits the second-level cache, where sieving primes above the size of the
/// first-level cache would miss that one anyway.
inline constexpr std::uint64_t kSegmentBytes = 256 * 1024;
inline constexpr std::uint64_t kNumbersPerSegment = 30 * kSegmentBytes;

/// The count of the primes of an interval, with the first and last ten of them.
struct Primes {
  static constexpr std::uint32_t kEnds = 10;

  std::uint64_t count = 0;
  std::array<std::uint64_t, kEnds> first{};  ///< the first min(count, 10), ascending
  std::array<std::uint64_t, kEnds> last{};   ///< the last min(count, 10), ascending

  std::uint64_t ends() const { return std::min<std::uint64_t>(count, kEnds); }

  /// Appends a larger prime.
  void add(std::uint64_t prime) {
    if (count < kEnds) {
      first[count] = last[count] = prime;
    } else {
      std::shift_left(last.begin(), last.end(), 1);
      last.back() = prime;
    }
    ++count;
  }

  /// Appends the primes of the interval behind this one.
  void add(Primes const& next) {
    auto const total = count + next.count;
    for (std::uint64_t i = 0; count + i < kEnds && i < next.ends(); ++i) {
      first[count + i] = next.first[i];
    }
    std::vector<std::uint64_t> both(last.data(), last.data() + ends());
    both.insert(both.end(), next.last.data(), next.last.data() + next.ends());
    auto const keep = std::min<std::size_t>(both.size(), kEnds);
    std::copy(both.end() - static_cast<std::ptrdiff_t>(keep), both.end(), last.begin());
    count = total;
  }
};

/// The largest r with r * r <= n.
inline std::uint64_t square_root(std::uint64_t n) {
  std::uint64_t low = 0;
  std::uint64_t high = std::uint64_t{1} << 32;
  while (high - low > 1) {
    auto const middle = low + (high - low) / 2;
    (middle * middle <= n ? low : high) = middle;
  }
  return low;
}

/// The primes from 7 up to `limit`, which is small.
inline std::vector<std::uint32_t> sieving_primes(std::uint64_t limit) {
  std::vector<bool> composite(limit + 1);
  std::vector<std::uint32_t> primes;
  for (std::uint64_t n = 2; n <= limit; ++n) {
    if (composite[n]) continue;
    if (n > 5) primes.push_back(static_cast<std::uint32_t>(n));
    for (auto multiple = n * n; multiple <= limit; multiple += n) composite[multiple] = true;
  }
  return primes;
}

/// The bit of n % 30 in the sieve, as a mask that clears it. REQUIRES: gcd(n, 30) == 1.
constexpr std::uint8_t clear_mask(std::uint64_t n) {
  std::uint8_t bit = 0;
  while (kWheel[bit] != n % 30) ++bit;
  return static_cast<std::uint8_t>(~(1U << bit));
}

/// Crosses out the multiples of a prime of remainder `residue` modulo 30 in `bytes` bytes from the
/// byte `first` on; may write up to a step of `prime` bytes beyond both ends.
template <std::uint64_t residue>
void cross_out(std::uint8_t* bytes, std::ptrdiff_t begin, std::ptrdiff_t size,
               std::ptrdiff_t prime) {
  // p * (30 k + w) lies in byte p k + p w / 30, at a bit that depends on p % 30 and w only.
  std::array<std::ptrdiff_t, 8> at{};
  for (std::size_t i = 0; i < 8; ++i) at[i] = prime * static_cast<std::ptrdiff_t>(kWheel[i]) / 30;
  for (auto base = begin; base < size; base += prime) {
    auto* const b = bytes + base;
    b[at[0]] &= clear_mask(residue * kWheel[0]);
    b[at[1]] &= clear_mask(residue * kWheel[1]);
    b[at[2]] &= clear_mask(residue * kWheel[2]);
    b[at[3]] &= clear_mask(residue * kWheel[3]);
    b[at[4]] &= clear_mask(residue * kWheel[4]);
    b[at[5]] &= clear_mask(residue * kWheel[5]);
    b[at[6]] &= clear_mask(residue * kWheel[6]);
    b[at[7]] &= clear_mask(residue * kWheel[7]);
  }
}

/// Sieves segments; holds O(segment + square root of the limit).
class Segment {
 public:
  /// For segments that end at or before `limit`.
  explicit Segment(std::uint64_t limit)
      : primes_(sieving_primes(square_root(limit))),
        slack_(primes_.empty() ? 0 : primes_.back()),
        memory_(slack_ + kSegmentBytes + slack_) {}

  /// Sieves the numbers [30 * first_byte, 30 * (first_byte + size)); size <= kSegmentBytes.
  /// Bit i of byte b stands for 30 * (first_byte + b) + kWheel[i].
  std::span<std::uint8_t> sieve(std::uint64_t first_byte, std::uint64_t size) {
    auto* const bytes = memory_.data() + slack_;
    std::memset(bytes, 0xff, size);
    for (auto const prime : primes_) {
      if (std::uint64_t{prime} * prime >= 30 * (first_byte + size)) break;
      auto const step = static_cast<std::ptrdiff_t>(prime);
      auto const begin = -static_cast<std::ptrdiff_t>(first_byte % prime);
      auto const end = static_cast<std::ptrdiff_t>(size);
      switch (prime % 30) {
        case 1:
          cross_out<1>(bytes, begin, end, step);
          break;
        case 7:
          cross_out<7>(bytes, begin, end, step);
          break;
        case 11:
          cross_out<11>(bytes, begin, end, step);
          break;
        case 13:
          cross_out<13>(bytes, begin, end, step);
          break;
        case 17:
          cross_out<17>(bytes, begin, end, step);
          break;
        case 19:
          cross_out<19>(bytes, begin, end, step);
          break;
        case 23:
          cross_out<23>(bytes, begin, end, step);
          break;
        default:
          cross_out<29>(bytes, begin, end, step);
          break;
      }
    }
    restore_sieving_primes(bytes, first_byte, size);
    return {bytes, size};
  }

 private:
  /// Every sieving prime has crossed out itself, too, and 1 is none.
  void restore_sieving_primes(std::uint8_t* bytes, std::uint64_t first_byte, std::uint64_t size) {
    for (auto const prime : primes_) {
      if (prime / 30 >= first_byte + size) break;
      if (prime / 30 < first_byte) continue;
      bytes[prime / 30 - first_byte] |= static_cast<std::uint8_t>(~clear_mask(prime));
    }
    if (first_byte == 0) bytes[0] &= clear_mask(1);
  }

  std::vector<std::uint32_t> primes_;
  std::size_t slack_;
  std::vector<std::uint8_t> memory_;
};

/// Appends the numbers that `byte` of the sieve, at `place`, says are prime.
inline void append(std::vector<std::uint64_t>& primes, std::uint8_t byte, std::uint64_t place) {
  for (unsigned bits = byte; bits != 0; bits &= bits - 1) {
    primes.push_back(30 * place + kWheel[static_cast<std::size_t>(std::countr_zero(bits))]);
  }
}

inline std::uint64_t count_bits(std::span<std::uint8_t const> bytes) {
  std::uint64_t count = 0;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    count += static_cast<std::uint64_t>(std::popcount(word));
  }
  for (auto const byte : bytes) count += static_cast<std::uint64_t>(std::popcount(byte));
  return count;
}

/// The primes of a sieved segment.
inline Primes primes_in(std::span<std::uint8_t const> sieved, std::uint64_t first_byte) {
  Primes primes;
  primes.count = count_bits(sieved);
  std::vector<std::uint64_t> found;
  for (std::size_t i = 0; found.size() < primes.ends(); ++i) {
    append(found, sieved[i], first_byte + i);
  }
  std::copy_n(found.begin(), primes.ends(), primes.first.begin());
  auto begin = sieved.size();
  for (found.clear(); found.size() < primes.ends();) {
    --begin;
    found.clear();
    for (auto i = begin; i < sieved.size(); ++i) append(found, sieved[i], first_byte + i);
  }
  std::copy_n(found.end() - static_cast<std::ptrdiff_t>(primes.ends()), primes.ends(),
              primes.last.begin());
  return primes;
}

/// The primes in [begin, end).
inline Primes primes_between(std::uint64_t begin, std::uint64_t end, Segment& segment) {
  Primes primes;
  for (auto const small : std::array<std::uint64_t, 3>{2, 3, 5}) {
    if (begin <= small && small < end) primes.add(small);
  }
  auto const last_byte = (end + 29) / 30;
  for (auto byte = begin / 30; byte < last_byte; byte += kSegmentBytes) {
    auto const sieved = segment.sieve(byte, std::min(kSegmentBytes, last_byte - byte));
    for (auto const number : kWheel) {  // the border bytes reach out of the interval
      if (30 * byte + number < begin) sieved.front() &= clear_mask(number);
      if (30 * (byte + sieved.size() - 1) + number >= end) sieved.back() &= clear_mask(number);
    }
    primes.add(primes_in(sieved, byte));
  }
  return primes;
}

/// The same by dividing every number by all up to its square root: slow, but beyond doubt.
inline Primes primes_between_by_trial(std::uint64_t begin, std::uint64_t end) {
  auto const is_prime = [](std::uint64_t n) {
    if (n < 4) return n >= 2;
    if (n % 2 == 0) return false;
    for (std::uint64_t divisor = 3; divisor <= n / divisor; divisor += 2) {
      if (n % divisor == 0) return false;
    }
    return true;
  };
  Primes primes;
  for (auto n = begin; n < end; ++n) {
    if (is_prime(n)) primes.add(n);
  }
  return primes;
}

}  // namespace sieve
