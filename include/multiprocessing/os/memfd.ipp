// SPDX-License-Identifier: BSL-1.0
// The bodies of memfd.hpp.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/memfd.hpp>
#include <multiprocessing/os/memory.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

MULTIPROCESSING_INLINE Fd create_memfd(char const* label) {
  Fd fd = above_standard(::memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) throw_errno("memfd_create", label);
  return fd;
}

MULTIPROCESSING_INLINE std::uint64_t largest_file_size() noexcept {
  rlimit limit;
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  return limit.rlim_cur;
}

MULTIPROCESSING_INLINE std::uint64_t file_size(Fd const& fd) {
  struct stat status;
  if (::fstat(fd.get(), &status) == -1) throw_errno("fstat", "shared memory");
  return static_cast<std::uint64_t>(status.st_size);
}

MULTIPROCESSING_INLINE std::uint64_t allocated_size(Fd const& fd) {
  struct stat status;
  if (::fstat(fd.get(), &status) == -1) throw_errno("fstat", "shared memory");
  constexpr std::uint64_t kUnit = 512;  // of st_blocks, whatever the pages' size
  return static_cast<std::uint64_t>(status.st_blocks) * kUnit;
}

MULTIPROCESSING_INLINE std::size_t read_front(Fd const& fd, void* to, std::size_t size) {
  auto const length = retry_eintr([&] { return ::pread(fd.get(), to, size, 0); });
  if (length == -1) throw_errno("pread", "shared memory");
  return static_cast<std::size_t>(length);
}

MULTIPROCESSING_INLINE void fix_size(Fd const& fd, std::size_t size) {
  if (retry_eintr([&] { return ::ftruncate(fd.get(), static_cast<off_t>(size)); }) == -1) {
    throw_errno("ftruncate", "shared memory");
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) == -1) {
    throw_errno("fcntl", "F_ADD_SEALS");
  }
}
namespace memfd_detail {

MULTIPROCESSING_INLINE void allocate(Fd const& fd, int mode, std::size_t offset, std::size_t size) {
  // Linux undoes an interrupted fallocate; in pieces, a storm of signals can not stop it for good.
  constexpr std::size_t kPiece = std::size_t{16} << 20;
  if (size > kPiece && size > available_memory()) throw std::bad_alloc();
  for (std::size_t done = 0; done < size; done += kPiece) {
    auto const piece = std::min(kPiece, size - done);
    auto const result = retry_eintr([&] {
      return ::fallocate(fd.get(), mode, static_cast<off_t>(offset + done),
                         static_cast<off_t>(piece));
    });
    if (result == -1) {
      if (errno == ENOSPC || errno == ENOMEM) throw std::bad_alloc();
      throw_errno("fallocate", "shared memory");
    }
  }
}

}  // namespace memfd_detail

MULTIPROCESSING_INLINE void commit_pages(Fd const& fd, std::size_t offset, std::size_t size) {
  memfd_detail::allocate(fd, 0, offset, size);
}

MULTIPROCESSING_INLINE void discard_pages(Fd const& fd, std::size_t offset,
                                          std::size_t size) noexcept {
  retry_eintr([&] {
    return ::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       static_cast<off_t>(offset), static_cast<off_t>(size));
  });
}

MULTIPROCESSING_INLINE void grow(Fd const& fd, std::size_t from, std::size_t to) {
  if (to > largest_file_size()) throw std::bad_alloc();
  try {
    memfd_detail::allocate(fd, FALLOC_FL_KEEP_SIZE, from, to - from);
    if (retry_eintr([&] { return ::ftruncate(fd.get(), static_cast<off_t>(to)); }) == -1) {
      throw_errno("ftruncate", "shared memory");
    }
  } catch (...) {
    discard_pages(fd, from, to - from);
    throw;
  }
}

}  // namespace multiprocessing::os
