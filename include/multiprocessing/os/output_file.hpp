// SPDX-License-Identifier: BSL-1.0
// A file that is written from its begin on, without the weight of <fstream>; no child inherits it.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// Threads: one.
class OutputFile {
 public:
  /// What was in the file is lost. Throws: std::system_error.
  explicit OutputFile(std::string path) : path_(std::move(path)) {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    constexpr mode_t kMode = 0666;
    fd_ = above_standard(
        static_cast<int>(retry_eintr([&] { return ::open(path_.c_str(), kFlags, kMode); })));
    if (!fd_) throw_errno("open", path_);
  }

  /// All of it, at once. Throws: std::system_error.
  void write(std::string_view text) {
    while (!text.empty()) {
      auto const written =
          retry_eintr([&] { return ::write(fd_.get(), text.data(), text.size()); });
      if (written < 0) throw_errno("write", path_);
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }

 private:
  std::string const path_;
  Fd fd_;
};

}  // namespace multiprocessing::os
