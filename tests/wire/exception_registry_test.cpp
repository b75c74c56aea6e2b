// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/exception_registry.hpp>

#include <stdexcept>
#include <string>

#include <multiprocessing/wire/exception.hpp>

#include "../support/catch.hpp"

namespace exception_registry_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;

namespace {

class ByText : public std::runtime_error {
 public:
  explicit ByText(std::string const& text) : std::runtime_error(text) {}
};
class ByState : public std::exception {
 public:
  ByState() = default;
  ByState(int at, std::string in) : line(at), file(std::move(in)) {}
  char const* what() const noexcept override { return file.c_str(); }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(line, file);
  }
  int line = 0;
  std::string file;
};
class Final final : public std::runtime_error {
 public:
  explicit Final(std::string const& text) : std::runtime_error(text) {}
};
class Unreadable : public std::exception {
 public:
  char const* what() const noexcept override { return "can not be read back"; }
  template <class Archive>
  void save(Archive& archive) const {
    archive(1);
  }
  template <class Archive>
  void load(Archive&) {
    throw std::logic_error("load");
  }
};
class Unwritable : public std::exception {
 public:
  char const* what() const noexcept override { return "can not be written"; }
  template <class Archive>
  void serialize(Archive&) {
    throw std::logic_error("serialize");
  }
};
class NotStandard {
 public:
  template <class Archive>
  void serialize(Archive& archive) {
    archive(code);
  }
  int code = 0;
};

/// REQUIRES: called while an exception is handled.
[[noreturn]] void carry() {
  wire::Bytes bytes;
  wire::encode(bytes, wire::record_current_exception());
  std::span<std::byte const> rest(bytes);
  wire::throw_recorded(wire::decode<wire::ExceptionRecord>(rest));
}
template <class E>
[[noreturn]] void carry(E const& error) {
  try {
    throw error;
  } catch (...) {
    carry();
  }
}

}  // namespace

TEST_CASE("a type is known once it is registered, however often", "[exception_registry]") {
  struct Here : ByText {
    using ByText::ByText;
  };
  auto const name = mp::base::type_name(typeid(Here));
  CHECK(wire::known_exception(name) == nullptr);
  wire::register_exception<Here>();
  auto const* const known = wire::known_exception(name);
  REQUIRE(known != nullptr);
  wire::register_exception<Here>();
  CHECK(wire::known_exception(name) == known);
  CHECK(known->next != known);
}

TEST_CASE("a registered type is rebuilt from its text or from its state", "[exception_registry]") {
  wire::register_exception<ByText>();
  wire::register_exception<ByState>();
  wire::register_exception<NotStandard>();
  try {
    carry(ByText("text"));
  } catch (ByText const& arrived) {
    CHECK(typeid(arrived) == typeid(ByText));
    CHECK(std::string(arrived.what()) == "text");
  }
  try {
    carry(ByState(7, "x.cpp"));
  } catch (ByState const& arrived) {
    CHECK(arrived.line == 7);
    CHECK(arrived.file == "x.cpp");
  }
  NotStandard thrown;
  thrown.code = 3;
  try {
    carry(thrown);
  } catch (NotStandard const& arrived) {
    CHECK(arrived.code == 3);
  }
}

TEST_CASE("a registered type keeps its cause, as far as it can carry one", "[exception_registry]") {
  wire::register_exception<ByState>();
  wire::register_exception<Final>();
  try {
    throw std::out_of_range("cause");
  } catch (...) {
    try {
      std::throw_with_nested(ByState(1, "x"));
    } catch (...) {
      try {
        carry();
      } catch (ByState const& arrived) {
        CHECK(arrived.line == 1);
        CHECK_THROWS_AS(std::rethrow_if_nested(arrived), std::out_of_range);
      }
    }
  }
  wire::ExceptionRecord record;
  try {
    throw Final("text");
  } catch (...) {
    record = wire::record_current_exception();
  }
  wire::add_origin(record, {"who", 1, "what"});
  CHECK_THROWS_AS(wire::throw_recorded(record), Final);
}

TEST_CASE("functions of a registered type that throw leave its text", "[exception_registry]") {
  wire::register_exception<Unreadable>();
  wire::register_exception<Unwritable>();
  try {
    carry(Unreadable());
  } catch (mp::RemoteError const& arrived) {
    CHECK_THAT(arrived.what(), ContainsSubstring("can not be read back"));
  }
  try {
    carry(Unwritable());
  } catch (mp::RemoteError const& arrived) {
    CHECK_THAT(arrived.what(), ContainsSubstring("can not be written"));
  }
}

}  // namespace exception_registry_test
