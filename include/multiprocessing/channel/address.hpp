// SPDX-License-Identifier: BSL-1.0
// Where a Listener is, as users write it.
#pragma once

#include <sys/socket.h>

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/os/random.hpp>
#include <multiprocessing/os/socket_address.hpp>

namespace multiprocessing {

/// "/path" or "./path" (anything with a slash), "@name" or "\0name" (a name without a file), or
/// "host:port" (digits or a name; "[::1]:80" for IPv6; port 0: any).
/// Python: differs; there TCP addresses are tuples.
class Address {
 public:
  /// None.
  Address() = default;
  /// Throws: std::invalid_argument when it is none of these.
  template <class Text>
  requires(std::convertible_to<Text const&, std::string_view> && !std::same_as<Text, Address>)
      Address(Text const& text)
      : Address(view(text), Checked{}) {}  // NOLINT: implicit by intent

  /// A name that nobody else has.
  static Address random() {
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

  /// What Python has for no address: a name that nobody else has; for AF_INET and AF_INET6 a port
  /// that nobody else has, for this machine only.
  /// Throws: std::invalid_argument when the family is another one.
  static Address random(int family) {
    if (family == AF_INET) return Address("127.0.0.1:0");
    if (family == AF_INET6) return Address("[::1]:0");
    auto address = random();
    address.require_family(family);
    return address;
  }

  /// Whether it was given none: a listener makes one, a client has nothing to connect to.
  bool is_none() const noexcept { return form_ == Form::None; }
  /// Of this machine, as the kernel assures.
  bool is_local() const noexcept { return form_ == Form::Path || form_ == Form::Abstract; }
  bool is_path() const noexcept { return form_ == Form::Path; }

  /// Throws: std::invalid_argument when the address can not be of this family. AF_UNSPEC: of any.
  void require_family(int family) const {
    if (family == AF_UNSPEC) return;
    if (family != AF_UNIX && family != AF_INET && family != AF_INET6) {
      throw std::invalid_argument("the family " + std::to_string(family) +
                                  " is not recognized: AF_UNIX, AF_INET or AF_INET6");
    }
    if (is_local() != (family == AF_UNIX)) {
      throw std::invalid_argument("'" + text_ + "' is no address of the family");
    }
  }

  /// As it is written, with "@" for a zero at the beginning.
  std::string const& str() const noexcept { return text_; }
  friend std::string const& to_string(Address const& address) noexcept { return address.text_; }
  friend std::ostream& operator<<(std::ostream& out, Address const& address) {
    return out << address.text_;
  }
  friend bool operator==(Address const& one, Address const& other) noexcept {
    return one.text_ == other.text_;
  }

  /// What the kernel takes for it, best first: only a host can have more than one.
  /// Blocks: as long as the system's resolver does, for names of hosts only.
  /// Throws: std::invalid_argument when the host is not known, or the family another one.
  std::vector<os::SocketAddress> resolve(int family) const {
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

 private:
  enum class Form { None, Path, Abstract, Tcp };
  struct Checked {};

  Address(std::string_view text, Checked) : text_(text) {
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

  /// The zero of "\0name" does not end it.
  template <class Text>
  static std::string_view view(Text const& text) {
    if constexpr (std::is_array_v<Text>) {
      std::string_view whole(text, std::extent_v<Text>);
      if (whole.front() != '\0') return text;
      return whole.substr(0, whole.find_last_not_of('\0') + 1);
    } else {
      return text;
    }
  }

  void check_length(std::size_t length) const {
    if (length == 0) refuse("it has no name");
    if (length > os::SocketAddress::kLongestName) {
      refuse("it is longer than " + std::to_string(os::SocketAddress::kLongestName));
    }
  }

  void parse_tcp(std::string_view text) {
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

  [[noreturn]] void refuse(std::string const& reason) const {
    // no further than to a zero: the reason has to be seen
    throw std::invalid_argument(std::string("'") + text_.c_str() + "' is no address: " + reason);
  }

  std::string text_;
  Form form_ = Form::None;
  std::string host_;
  std::uint16_t port_ = 0;
};

}  // namespace multiprocessing
