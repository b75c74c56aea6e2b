// SPDX-License-Identifier: BSL-1.0
// The bodies of code_name.hpp.
#pragma once

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <climits>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/os/code_name.hpp>

namespace multiprocessing::os {
namespace code_name_detail {

MULTIPROCESSING_INLINE Names::Names(link_map const& map) noexcept {
  // In memory, but for the kernel's own module, which the dynamic linker can not write to.
  auto const place = [&](ElfW(Addr) address) {
    return address < map.l_addr ? map.l_addr + address : address;
  };
  for (auto const* entry = map.l_ld; entry->d_tag != DT_NULL; ++entry) {
    auto const address = place(entry->d_un.d_ptr);
    if (entry->d_tag == DT_SYMTAB) symbols = reinterpret_cast<ElfW(Sym) const*>(address);
    if (entry->d_tag == DT_STRTAB) texts = reinterpret_cast<char const*>(address);
    if (entry->d_tag == DT_GNU_HASH) hash = reinterpret_cast<std::uint32_t const*>(address);
  }
}

MULTIPROCESSING_INLINE char const* Names::at(std::uint64_t offset) const noexcept {
  if (symbols == nullptr || texts == nullptr || hash == nullptr) return nullptr;
  // Four numbers; a filter of addresses; the first symbol of each bucket; and for each symbol a
  // word whose lowest bit ends its bucket.
  std::uint32_t const buckets = hash[0];
  std::uint32_t const first_symbol = hash[1];
  std::uint32_t const filter_words =
      hash[2] * static_cast<std::uint32_t>(sizeof(ElfW(Addr)) / sizeof(std::uint32_t));
  auto const* const bucket = hash + 4 + filter_words;
  auto const* const chain = bucket + buckets;
  for (std::uint32_t i = 0; i < buckets; ++i) {
    if (bucket[i] < first_symbol) continue;  // empty
    for (auto symbol = bucket[i];; ++symbol) {
      if (is_at(symbols[symbol], offset)) return texts + symbols[symbol].st_name;
      if ((chain[symbol - first_symbol] & 1U) != 0) break;
    }
  }
  return nullptr;
}

MULTIPROCESSING_INLINE bool Names::is_at(ElfW(Sym) const& symbol, std::uint64_t offset) noexcept {
  auto const type = symbol.st_info & 0xfU;  // the same for both sizes of machines
  bool const is_code = type == STT_FUNC || type == STT_GNU_IFUNC;
  return is_code && symbol.st_shndx != SHN_UNDEF && offset >= symbol.st_value &&
         offset - symbol.st_value < symbol.st_size;
}

MULTIPROCESSING_INLINE std::string module_name(link_map const& map) {
  std::string path;
  if (map.l_name != nullptr && *map.l_name != '\0') {
    path = map.l_name;
  } else {  // the program
    path.resize(PATH_MAX);
    auto const length = ::readlink("/proc/self/exe", path.data(), path.size());
    path.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  }
  return path.substr(path.rfind('/') + 1);
}

}  // namespace code_name_detail

MULTIPROCESSING_INLINE std::string hexadecimal(std::uintptr_t value) {
  std::array<char, 2 + 2 * sizeof value + 1> text;
  std::snprintf(text.data(), text.size(), "0x%jx", static_cast<std::uintmax_t>(value));
  return text.data();
}

MULTIPROCESSING_INLINE std::string code_name(std::uintptr_t address) {
#if defined(DLFO_STRUCT_HAS_EH_DBASE)
  dl_find_object found{};
  if (::_dl_find_object(reinterpret_cast<void*>(address), &found) == 0) {
    auto const& map = *found.dlfo_link_map;
    auto const offset = address - map.l_addr;
    auto const place = code_name_detail::module_name(map) + "+" + hexadecimal(offset);
    char const* const name = code_name_detail::Names(map).at(offset);
    return name == nullptr ? place : base::readable_name(name) + " (" + place + ")";
  }
#endif
  return hexadecimal(address);
}

MULTIPROCESSING_INLINE std::string linked_name(std::uintptr_t address) {
  Dl_info found{};
  bool const is_known = ::dladdr(reinterpret_cast<void*>(address), &found) != 0;
  return is_known && found.dli_sname != nullptr ? base::readable_name(found.dli_sname)
                                                : hexadecimal(address);
}

}  // namespace multiprocessing::os
