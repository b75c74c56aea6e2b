// SPDX-License-Identifier: BSL-1.0
// A shared mapping of a file descriptor, through Boost.Interprocess.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include <boost/interprocess/detail/os_file_functions.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// Maps the first `size` bytes for reading and writing. Reserves addresses only: pages come with
/// `commit_pages`. Left out of core dumps, which would otherwise walk the whole reservation.
/// Fork: the child has the same mapping at the same address.
class Mapping {
 public:
  /// Throws: std::system_error (ENOMEM when there is no room for so many addresses).
  Mapping(Fd const& fd, std::size_t size) {
    try {
      region_ = boost::interprocess::mapped_region(
          Mappable{fd.get()}, boost::interprocess::read_write, 0, size, nullptr, MAP_NORESERVE);
    } catch (boost::interprocess::interprocess_exception const& error) {
      throw_error(error.get_native_error(), "mmap", "memfd");
    }
    ::madvise(region_.get_address(), size, MADV_DONTDUMP);
  }

  /// Enters pages that are about to be written into this process's page table at once, which else
  /// takes a fault for each. Only a hint. REQUIRES: they have been committed.
  void populate(std::size_t offset, std::size_t size) const noexcept {
    constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, since Linux 5.14
    auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    auto const begin = offset / page * page;
    int const errno_before = errno;
    ::madvise(data() + begin, offset + size - begin, kPopulateWrite);
    errno = errno_before;
  }

  std::byte* data() const noexcept { return static_cast<std::byte*>(region_.get_address()); }
  std::size_t size() const noexcept { return region_.get_size(); }

 private:
  struct Mappable {
    int fd;
    boost::interprocess::mapping_handle_t get_mapping_handle() const noexcept {
      return boost::interprocess::ipcdetail::mapping_handle_from_file_handle(fd);
    }
  };

  boost::interprocess::mapped_region region_;
};

}  // namespace multiprocessing::os
