// SPDX-License-Identifier: BSL-1.0
// A terminal that a test reads the screen of.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <multiprocessing/os/fd.hpp>

namespace support {

class Terminal {
 public:
  explicit Terminal(unsigned short columns = 60)
      : screen_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (!screen_ || ::grantpt(screen_.get()) != 0 || ::unlockpt(screen_.get()) != 0) std::abort();
    line_ =
        multiprocessing::os::Fd(::open(::ptsname(screen_.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!line_) std::abort();
    resize(columns);
  }

  /// What programs have as theirs.
  int fd() const { return line_.get(); }

  void resize(unsigned short columns) const {
    winsize size{};
    size.ws_row = 24;
    size.ws_col = columns;
    if (::ioctl(line_.get(), TIOCSWINSZ, &size) != 0) std::abort();
  }

  /// What has been written since the last look; each line ends with "\r\n".
  std::string look() const {
    std::string text;
    char buffer[1024];
    for (pollfd entry{screen_.get(), POLLIN, 0}; ::poll(&entry, 1, 0) == 1;) {
      auto const size = ::read(screen_.get(), buffer, sizeof buffer);
      if (size <= 0) break;
      text.append(buffer, static_cast<std::size_t>(size));
    }
    return text;
  }

 private:
  multiprocessing::os::Fd screen_;
  multiprocessing::os::Fd line_;
};

}  // namespace support
