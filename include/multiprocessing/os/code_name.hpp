// SPDX-License-Identifier: BSL-1.0
// The name of the function at an address, as dladdr() would find it, but without its lock: a forked
// child's dynamic linker may be locked for ever by a thread that only its parent has.
#pragma once

#include <elf.h>
#include <link.h>

#include <cstdint>
#include <string>

namespace multiprocessing::os {

namespace code_name_detail {

/// The tables of a module by which the dynamic linker finds names.
struct Names {
  ElfW(Sym) const* symbols = nullptr;
  char const* texts = nullptr;
  std::uint32_t const* hash = nullptr;  // of GNU's kind; null: the module has none

  explicit Names(link_map const& map) noexcept;

  /// Of the function whose code is at `offset` in the module; null: it is not exported.
  char const* at(std::uint64_t offset) const noexcept;

 private:
  static bool is_at(ElfW(Sym) const& symbol, std::uint64_t offset) noexcept;
};

std::string module_name(link_map const& map);

}  // namespace code_name_detail

/// "0x7f12"
std::string hexadecimal(std::uintptr_t value);

/// "app::parse(char const*) (libapp.so+0x12ab)": the offset is what addr2line wants. Without the
/// name where the function is not exported (-rdynamic exports those of a program), and "0x7f.." for
/// what lies in no module. REQUIRES: no module is loaded or removed meanwhile. Throws: bad_alloc.
std::string code_name(std::uintptr_t address);

/// The name alone, for who may wait for the dynamic linker's lock: not where another process was
/// forked from. "0x7f.." where none is exported.
std::string linked_name(std::uintptr_t address);

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/code_name.ipp>
#endif
