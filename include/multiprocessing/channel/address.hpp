// SPDX-License-Identifier: BSL-1.0
// Where a Listener is, as users write it.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

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
  static Address random();

  /// What Python has for no address: a name that nobody else has; for AF_INET and AF_INET6 a port
  /// that nobody else has, for this machine only.
  /// Throws: std::invalid_argument when the family is another one.
  static Address random(int family);

  /// Whether it was given none: a listener makes one, a client has nothing to connect to.
  bool is_none() const noexcept { return form_ == Form::None; }
  /// Of this machine, as the kernel assures.
  bool is_local() const noexcept { return form_ == Form::Path || form_ == Form::Abstract; }
  bool is_path() const noexcept { return form_ == Form::Path; }

  /// Throws: std::invalid_argument when the address can not be of this family. AF_UNSPEC: of any.
  void require_family(int family) const;

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
  std::vector<os::SocketAddress> resolve(int family) const;

 private:
  enum class Form { None, Path, Abstract, Tcp };
  struct Checked {};

  Address(std::string_view text, Checked);

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

  void check_length(std::size_t length) const;

  void parse_tcp(std::string_view text);

  [[noreturn]] void refuse(std::string const& reason) const;

  std::string text_;
  Form form_ = Form::None;
  std::string host_;
  std::uint16_t port_ = 0;
};

}  // namespace multiprocessing

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/channel/address.ipp>
#endif
