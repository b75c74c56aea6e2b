// SPDX-License-Identifier: BSL-1.0
// Memory that has a name, which unrelated processes find it by: a file below /dev/shm.
//
// It gets its name when it has its size and its pages: who finds it, finds it whole, and who is
// killed while it makes one leaves nothing.
#pragma once

#include <array>
#include <climits>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// The path that shm_open() uses, too. Needs no memory. REQUIRES: no slash in the name, and
/// NAME_MAX bytes at most.
class NamedMemoryPath {
 public:
  explicit NamedMemoryPath(std::string_view name) noexcept;
  char const* text() const noexcept { return text_.data(); }
  std::optional<FileIdentity> file() const noexcept { return file_identity(text()); }

 private:
  static constexpr std::string_view kDirectory = "/dev/shm/";
  std::array<char, kDirectory.size() + NAME_MAX + 1> text_{};
};

/// Memory that can be given a name, for reading and writing, by this user alone (mode 0600).
/// Throws: std::system_error; std::bad_alloc when the machine has not that much.
Fd create_nameable_memory(std::string const& name, std::size_t size);
/// Throws: std::system_error (EEXIST).
void give_name(Fd const& memory, std::string const& name);

/// Throws: std::system_error (ENOENT; EINVAL for what is no file).
Fd open_named_memory(std::string const& name);

/// Who has it keeps it. 0, or why it is still there; ENOENT: the name has gone, or is another
/// file's. Needs no memory.
/// Blocks: while another process does the same, one second at most.
int try_unlink_named_memory(std::string_view name, FileIdentity file) noexcept;

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/named_memory.ipp>
#endif
