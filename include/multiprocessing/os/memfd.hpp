// SPDX-License-Identifier: BSL-1.0
// Files of memory: created without a name, sized, and given memory. What has a name is in
// named_memory.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include <multiprocessing/os/fd.hpp>

namespace multiprocessing::os {

/// An empty memory file, close-on-exec. `label` shows in /proc/PID/maps only.
Fd create_memfd(char const* label);

/// The largest size a file of this process may have (RLIMIT_FSIZE): beyond, the kernel would not
/// only refuse but send SIGXFSZ.
std::uint64_t largest_file_size() noexcept;

std::uint64_t file_size(Fd const& fd);

/// Bytes of memory that it has, beside what it could have.
std::uint64_t allocated_size(Fd const& fd);

/// Reads up to `size` bytes from the beginning of the file; returns how many there were.
std::size_t read_front(Fd const& fd, void* to, std::size_t size);

/// Sets the size and forbids to shrink it, so that no holder can turn another's access into SIGBUS.
void fix_size(Fd const& fd, std::size_t size);

namespace memfd_detail {
/// `mode`: as fallocate(2) has it. Throws: std::bad_alloc.
void allocate(Fd const& fd, int mode, std::size_t offset, std::size_t size);
}  // namespace memfd_detail

/// Backs `[offset, offset + size)` with pages; what was there stays.
/// Throws: std::bad_alloc when the machine is full, where a mere touch would be SIGBUS.
void commit_pages(Fd const& fd, std::size_t offset, std::size_t size);

/// Gives the pages that lie wholly inside the range back to the system; it then reads as zeros.
void discard_pages(Fd const& fd, std::size_t offset, std::size_t size) noexcept;

/// Makes a file of size `from` one of size `to`, and backs what is new with pages.
/// Throws: std::bad_alloc when the machine is full, std::system_error; then nothing has changed.
void grow(Fd const& fd, std::size_t from, std::size_t to);

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/memfd.ipp>
#endif
