// SPDX-License-Identifier: BSL-1.0
// The bodies of address.hpp.
#pragma once

#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/address.hpp>
#include <multiprocessing/os/random.hpp>
#include <multiprocessing/os/socket_address.hpp>

namespace multiprocessing {

MULTIPROCESSING_INLINE Address Address::random() {
  std::array<std::byte, 16> bytes;
  os::fill_with_random(bytes);
  std::string text = "@multiprocessing-";
  for (auto const byte : bytes) {
    for (auto const digit : {byte >> 4, byte & std::byte{15}}) {
      text += "0123456789abcdef"[std::to_integer<unsigned>(digit)];
    }
  }
  return Address(text);
}

MULTIPROCESSING_INLINE Address Address::random(int family) {
  if (family == AF_INET) return Address("127.0.0.1:0");
  if (family == AF_INET6) return Address("[::1]:0");
  auto address = random();
  address.require_family(family);
  return address;
}

MULTIPROCESSING_INLINE void Address::require_family(int family) const {
  if (family == AF_UNSPEC) return;
  if (family != AF_UNIX && family != AF_INET && family != AF_INET6) {
    throw std::invalid_argument("the family " + std::to_string(family) +
                                " is not recognized: AF_UNIX, AF_INET or AF_INET6");
  }
  if (is_local() != (family == AF_UNIX)) {
    throw std::invalid_argument("'" + text_ + "' is no address of the family");
  }
}

MULTIPROCESSING_INLINE std::vector<os::SocketAddress> Address::resolve(int family) const {
  require_family(family);
  switch (form_) {
    case Form::Path:
      return {os::SocketAddress::path(text_)};
    case Form::Abstract:
      return {os::SocketAddress::abstract(std::string_view(text_).substr(1))};
    case Form::Tcp:
      return os::resolve(host_, port_, family);
    case Form::None:
      break;
  }
  throw std::invalid_argument("no address was given");
}

MULTIPROCESSING_INLINE Address::Address(std::string_view text, Checked) : text_(text) {
  if (!text.empty() && (text.front() == '@' || text.front() == '\0')) {
    form_ = Form::Abstract;
    text_.front() = '@';
    check_length(text.size() - 1);
  } else if (text.find('\0') != std::string_view::npos) {
    refuse("it has a zero in it");
  } else if (text.find('/') != std::string_view::npos) {
    form_ = Form::Path;
    check_length(text.size());
  } else {
    form_ = Form::Tcp;
    parse_tcp(text);
  }
}

MULTIPROCESSING_INLINE void Address::check_length(std::size_t length) const {
  if (length == 0) refuse("it has no name");
  if (length > os::SocketAddress::kLongestName) {
    refuse("it is longer than " + std::to_string(os::SocketAddress::kLongestName));
  }
}

MULTIPROCESSING_INLINE void Address::parse_tcp(std::string_view text) {
  auto const colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    refuse("write \"host:port\", \"/path\", \"./path\" or \"@name\"");
  }
  auto host = text.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    refuse("write \"[host]:port\" for IPv6");
  }
  if (host.empty()) refuse("it has no host");
  host_ = host;
  auto const* const end = text.data() + text.size();
  auto const parsed = std::from_chars(text.data() + colon + 1, end, port_);
  if (parsed.ec != std::errc() || parsed.ptr != end) refuse("the port is none");
}

MULTIPROCESSING_INLINE void Address::refuse(std::string const& reason) const {
  // no further than to a zero: the reason has to be seen
  throw std::invalid_argument(std::string("'") + text_.c_str() + "' is no address: " + reason);
}

}  // namespace multiprocessing
