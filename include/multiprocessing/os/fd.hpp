// SPDX-License-Identifier: BSL-1.0
// An owned file descriptor.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

namespace multiprocessing::os {

/// Closes its descriptor when destroyed. Move-only; -1 is "none".
/// Threads: distinct objects safe. Fork: both processes own a descriptor of the same number.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }

  /// Linux releases the number even when close() reports an error, so there is nothing to retry.
  void reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

/// Owns `fd`, under a number above the standard streams': where a program has closed one of those,
/// the next descriptor would take its place, and the next printf go into it. Close-on-exec.
/// Empty, with errno, when `fd` is -1 or no other number is left.
inline Fd above_standard(int fd) noexcept {
  if (fd < 0 || fd > STDERR_FILENO) return Fd(fd);
  Fd const low(fd);
  return Fd(::fcntl(low.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

/// Whether it is of a regular file: one that is open at all.
inline bool is_file(int fd) noexcept {
  struct stat status;
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/// Names a file, a pipe, a terminal: the same for all descriptors of it, in all processes.
struct FileIdentity {
  dev_t device;
  ino_t number;

  friend bool operator==(FileIdentity const&, FileIdentity const&) = default;
};

/// nullopt: it is closed.
inline std::optional<FileIdentity> file_identity(int fd) noexcept {
  struct stat status;
  if (::fstat(fd, &status) == -1) return std::nullopt;
  return FileIdentity{status.st_dev, status.st_ino};
}
/// Of what has this path now, which may be another file than yesterday; nullopt: nothing has.
inline std::optional<FileIdentity> file_identity(char const* path) noexcept {
  struct stat status;
  if (::lstat(path, &status) == -1) return std::nullopt;
  return FileIdentity{status.st_dev, status.st_ino};
}

}  // namespace multiprocessing::os
