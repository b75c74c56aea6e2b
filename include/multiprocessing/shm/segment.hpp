// SPDX-License-Identifier: BSL-1.0
// Shared memory without a name, mapped whole, backed by pages where it was committed.
//
//   offset 0        SegmentHeader   written once by the creator, read by whoever attaches
//   kHeaderSize ..  the user's      committed and discarded by ranges
//   .. size         reserved        addresses without pages cost nothing
//
// Everything in a segment refers to everything else by its offset: processes may map it anywhere.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/mapping.hpp>
#include <multiprocessing/os/memfd.hpp>

namespace multiprocessing::shm {

using Offset = std::uint64_t;

/// `[offset, offset + size)` in a segment.
struct Range {
  Offset offset = 0;
  std::uint64_t size = 0;

  Offset end() const noexcept { return offset + size; }
  friend bool operator==(Range const&, Range const&) = default;
};

/// Rounds `size` up to a multiple of `unit`, a power of two.
constexpr std::uint64_t round_up(std::uint64_t size, std::uint64_t unit) noexcept {
  return (size + unit - 1) & ~(unit - 1);
}

/// The first bytes of every segment: a file format.
struct SegmentHeader {
  static constexpr std::uint64_t kMagic = 0x31676573'63727030U;  // "0prcseg1" in memory
  static constexpr std::uint32_t kVersion = 1;

  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t header_size;
  std::uint64_t size;  ///< of the whole reservation, header included
};
static_assert(std::is_trivially_copyable_v<SegmentHeader> && sizeof(SegmentHeader) == 24);
static_assert(offsetof(SegmentHeader, version) == 8 && offsetof(SegmentHeader, size) == 16);

/// Threads: distinct ranges safe. Fork: the child maps the same memory at the same addresses.
/// Peer death: nothing to clean up; the memory goes with its last holder.
class Segment {
 public:
  static constexpr std::uint64_t kHeaderSize = base::kCacheLine;
  static_assert(sizeof(SegmentHeader) <= kHeaderSize);

  /// Reserves `wanted` bytes of addresses, or by halves less where a limit (RLIMIT_AS,
  /// RLIMIT_FSIZE, an instrumented run) forbids so many, but at least `minimum`.
  /// Throws: std::system_error, std::bad_alloc.
  Segment(char const* label, std::uint64_t wanted, std::uint64_t minimum)
      : fd_(os::create_memfd(label)), mapping_(reserve(fd_, wanted, minimum)) {
    os::fix_size(fd_, mapping_.size());
    os::commit_pages(fd_, 0, kHeaderSize);
    *at<SegmentHeader>(0) = {SegmentHeader::kMagic, SegmentHeader::kVersion,
                             static_cast<std::uint32_t>(kHeaderSize), mapping_.size()};
  }

  /// Maps the segment that somebody else made and sent as a descriptor.
  /// Throws: Error when it is not a segment of this version, std::system_error.
  static Segment attach(os::Fd fd) {
    auto const size = checked_size(fd);
    os::Mapping mapping(fd, size);
    return Segment(std::move(fd), std::move(mapping));
  }

  std::uint64_t size() const noexcept { return mapping_.size(); }
  os::Fd const& fd() const noexcept { return fd_; }

  std::byte* data(Offset offset) const noexcept { return mapping_.data() + offset; }

  template <class T>
  T* at(Offset offset) const noexcept {
    return reinterpret_cast<T*>(data(offset));
  }

  /// Throws: std::bad_alloc when the machine is full.
  void commit(Range range) const { os::commit_pages(fd_, range.offset, range.size); }

  /// See os::Mapping::populate().
  void populate(Range range) const noexcept { mapping_.populate(range.offset, range.size); }

  /// The range reads as zeros from now on, and holds no memory.
  void discard(Range range) const noexcept { os::discard_pages(fd_, range.offset, range.size); }

 private:
  Segment(os::Fd fd, os::Mapping mapping) : fd_(std::move(fd)), mapping_(std::move(mapping)) {}

  static os::Mapping reserve(os::Fd const& fd, std::uint64_t wanted, std::uint64_t minimum) {
    auto size = wanted;
    while (size > os::largest_file_size()) size /= 2;
    if (size < minimum) os::throw_error(EFBIG, "Segment", "RLIMIT_FSIZE");
    for (;; size /= 2) {
      try {
        return os::Mapping(fd, size);
      } catch (std::system_error const&) {
        if (size / 2 < minimum) throw;
      }
    }
  }

  static std::uint64_t checked_size(os::Fd const& fd) {
    SegmentHeader header;
    if (os::read_front(fd, &header, sizeof header) != sizeof header ||
        header.magic != SegmentHeader::kMagic) {
      throw Error("Segment::attach: this descriptor is not a shared segment");
    }
    if (header.version != SegmentHeader::kVersion || header.header_size != kHeaderSize) {
      throw Error("Segment::attach: the segment has layout version " +
                  std::to_string(header.version) + ", this build speaks version " +
                  std::to_string(SegmentHeader::kVersion));
    }
    if (header.size != os::file_size(fd)) {
      throw Error("Segment::attach: the segment's size is not the one in its header");
    }
    return header.size;
  }

  os::Fd fd_;
  os::Mapping mapping_;
};

}  // namespace multiprocessing::shm
