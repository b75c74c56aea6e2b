// SPDX-License-Identifier: BSL-1.0
// A directory that goes with everything in it.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace support {

class TemporaryDirectory {
 public:
  /// Throws: std::filesystem::filesystem_error.
  TemporaryDirectory() {
    auto const name = std::filesystem::temp_directory_path() /
                      ("multiprocessing-" + std::to_string(::getpid()) + "-");
    for (int number = 1;; ++number) {  // another's, of a process that was killed, stays
      directory_ = name.string() + std::to_string(number);
      if (std::filesystem::create_directory(directory_)) return;
    }
  }
  TemporaryDirectory(TemporaryDirectory const&) = delete;
  TemporaryDirectory& operator=(TemporaryDirectory const&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(directory_); }

  std::string path(std::string const& name) const { return directory_ + "/" + name; }
  /// Returns the path.
  std::string write(std::string const& name, std::string const& text) const {
    std::ofstream(path(name)) << text;
    return path(name);
  }
  std::string read(std::string const& name) const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string directory_;
};

}  // namespace support
