// SPDX-License-Identifier: BSL-1.0
// Memory that has a name, which unrelated processes find it by: a file below /dev/shm.
//
// It gets its name when it has its size and its pages: who finds it, finds it whole, and who is
// killed while it makes one leaves nothing.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/memfd.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// Where shm_open() has it, too. REQUIRES: no slash in `name`.
inline std::string path_of_named_memory(std::string const& name) { return "/dev/shm/" + name; }

/// Memory that can be given a name, for reading and writing, by this user alone (mode 0600).
/// Throws: std::system_error; std::bad_alloc when the machine has not that much.
inline Fd create_nameable_memory(std::size_t size) {
  Fd fd = above_standard(::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) throw_errno("open", "/dev/shm, O_TMPFILE");
  commit_pages(fd, 0, size);
  return fd;
}
/// Throws: std::system_error (EEXIST).
inline void give_name(Fd const& memory, std::string const& name) {
  // By its number, as the file has no other name yet.
  auto const number = "/proc/self/fd/" + std::to_string(memory.get());
  auto const path = path_of_named_memory(name);
  if (::linkat(AT_FDCWD, number.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == -1) {
    throw_errno("linkat", path);
  }
}

/// Throws: std::system_error (ENOENT).
inline Fd open_named_memory(std::string const& name) {
  auto const path = path_of_named_memory(name);
  Fd fd = above_standard(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) throw_errno("open", path);
  return fd;
}

/// Who has it keeps it. Throws: std::system_error (ENOENT).
inline void unlink_named_memory(std::string const& name) {
  auto const path = path_of_named_memory(name);
  if (::unlink(path.c_str()) == -1) throw_errno("unlink", path);
}

}  // namespace multiprocessing::os
