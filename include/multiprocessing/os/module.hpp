// SPDX-License-Identifier: BSL-1.0
// The loaded program and shared libraries, by content: the linker's build id names a module in
// every process that loaded the same file, wherever it lies in memory there.
#pragma once

#include <elf.h>
#include <link.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

namespace multiprocessing::os {

struct Module {
  std::uintptr_t base = 0;     ///< what the dynamic linker added to the file's addresses
  std::uint64_t identity = 0;  ///< hash of the build id; of path and layout where there is none
  std::string path;            ///< empty for the program itself
};

namespace module_detail {

inline std::uint64_t fnv1a(void const* data, std::size_t size, std::uint64_t hash) noexcept {
  auto const* const bytes = static_cast<unsigned char const*>(data);
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3U;
  return hash;
}

inline constexpr std::uint64_t kFnvBasis = 0xcbf29ce484222325U;

inline std::optional<std::uint64_t> build_id_in(std::uintptr_t notes, std::size_t size) noexcept {
  auto const align4 = [](std::size_t n) { return (n + 3) & ~std::size_t{3}; };
  while (size >= sizeof(ElfW(Nhdr))) {
    auto const* const note = reinterpret_cast<ElfW(Nhdr) const*>(notes);
    auto const length = sizeof *note + align4(note->n_namesz) + align4(note->n_descsz);
    if (length > size) break;
    auto const* const name = reinterpret_cast<char const*>(note + 1);
    if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
        std::memcmp(name, "GNU", 4) == 0) {
      return fnv1a(name + 4, note->n_descsz, kFnvBasis);
    }
    notes += length;
    size -= length;
  }
  return std::nullopt;
}

inline std::uint64_t identity_of(dl_phdr_info const& info) noexcept {
  auto fallback = fnv1a(info.dlpi_name, std::strlen(info.dlpi_name), kFnvBasis);
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    auto const& header = info.dlpi_phdr[i];
    if (header.p_type == PT_NOTE) {
      auto const id = build_id_in(info.dlpi_addr + header.p_vaddr, header.p_memsz);
      if (id) return *id;
    }
    if (header.p_type == PT_LOAD) fallback = fnv1a(&header, sizeof header, fallback);
  }
  return fallback;
}

inline bool contains(dl_phdr_info const& info, std::uintptr_t address) noexcept {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    auto const& header = info.dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    auto const begin = info.dlpi_addr + header.p_vaddr;
    if (address >= begin && address - begin < header.p_memsz) return true;
  }
  return false;
}

template <class Match>
std::optional<Module> find_module(Match match) {
  struct Search {
    Match match;
    std::optional<Module> found;
  } search{match, std::nullopt};
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        auto& s = *static_cast<Search*>(data);
        if (!s.match(*info)) return 0;
        s.found = Module{info->dlpi_addr, identity_of(*info), info->dlpi_name};
        return 1;
      },
      &search);
  return search.found;
}

}  // namespace module_detail

/// The module whose code or data lies at `address`.
inline std::optional<Module> module_at(std::uintptr_t address) {
  return module_detail::find_module(
      [=](dl_phdr_info const& info) { return module_detail::contains(info, address); });
}

inline std::optional<Module> module_with_identity(std::uint64_t identity) {
  return module_detail::find_module(
      [=](dl_phdr_info const& info) { return module_detail::identity_of(info) == identity; });
}

}  // namespace multiprocessing::os
