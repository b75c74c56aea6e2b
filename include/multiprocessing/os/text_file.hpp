// SPDX-License-Identifier: BSL-1.0
// The small text files below /proc and /sys, without the weight of <fstream>.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// The whole file; empty when it can not be read.
std::string read_text_file(std::string const& path);

/// The number that follows `label` and blanks; nullopt where there is none.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view label);

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/text_file.ipp>
#endif
