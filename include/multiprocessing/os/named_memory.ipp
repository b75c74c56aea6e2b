// SPDX-License-Identifier: BSL-1.0
// The bodies of named_memory.hpp.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/memfd.hpp>
#include <multiprocessing/os/named_memory.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

MULTIPROCESSING_INLINE NamedMemoryPath::NamedMemoryPath(std::string_view name) noexcept {
  auto const end = std::copy(kDirectory.begin(), kDirectory.end(), text_.begin());
  std::copy_n(name.begin(), std::min<std::size_t>(name.size(), NAME_MAX), end);
}

MULTIPROCESSING_INLINE Fd create_nameable_memory(std::string const& name, std::size_t size) {
  Fd fd = above_standard(::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) throw_errno("open", "/dev/shm, for " + name);
  if (::fchmod(fd.get(), 0600) == -1) throw_errno("fchmod", name);  // whatever the umask
  commit_pages(fd, 0, size);
  return fd;
}

MULTIPROCESSING_INLINE void give_name(Fd const& memory, std::string const& name) {
  // By its number, as the file has no other name yet.
  auto const number = "/proc/self/fd/" + std::to_string(memory.get());
  NamedMemoryPath const path(name);
  if (::linkat(AT_FDCWD, number.c_str(), AT_FDCWD, path.text(), AT_SYMLINK_FOLLOW) == -1) {
    throw_errno("linkat", path.text());
  }
}

MULTIPROCESSING_INLINE Fd open_named_memory(std::string const& name) {
  NamedMemoryPath const path(name);
  Fd fd = above_standard(::open(path.text(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) throw_errno("open", path.text());
  if (!is_file(fd.get())) throw_error(EINVAL, "open", path.text());
  return fd;
}

MULTIPROCESSING_INLINE int try_unlink_named_memory(std::string_view name,
                                                   FileIdentity file) noexcept {
  NamedMemoryPath const path(name);
  Fd const fd(::open(path.text(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return errno;
  // Nobody else unlinks it between the look and the unlinking, so that nobody can make another.
  constexpr std::chrono::seconds kUnlinkingTakes{1};  // one that takes longer has been stopped
  auto const patience = base::Deadline::after(kUnlinkingTakes);
  struct ::flock lock {};
  lock.l_type = F_WRLCK;
  while (::fcntl(fd.get(), F_OFD_SETLK, &lock) == -1 && (errno == EAGAIN || errno == EACCES) &&
         !patience.passed()) {
    ::poll(nullptr, 0, 1);
  }
  if (path.file() != file) return ENOENT;
  return ::unlink(path.text()) == -1 ? errno : 0;
}

}  // namespace multiprocessing::os
