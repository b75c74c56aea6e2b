// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/exception.hpp>

#include <csignal>
#include <future>

#include "../support/catch.hpp"

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;

namespace {

class Custom : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws `error`, carries it through bytes, and throws what arrives.
template <class E>
[[noreturn]] void carry(E const& error) {
  wire::Bytes bytes;
  try {
    throw error;
  } catch (...) {
    wire::Encoder encoder(bytes);
    wire::encode(encoder, wire::record_current_exception());
  }
  wire::Decoder decoder(bytes);
  wire::throw_recorded(wire::decode<wire::ExceptionRecord>(decoder));
}

/// Whether `error` arrives as exactly its own type, with its text.
template <class E>
bool arrives(E const& error) {
  try {
    carry(error);
  } catch (E const& arrived) {
    return typeid(arrived) == typeid(E) && std::string(arrived.what()) == error.what();
  } catch (...) {
    return false;
  }
}

}  // namespace

TEST_CASE("standard exceptions arrive as themselves", "[exception]") {
  CHECK(arrives(std::runtime_error("text")));
  CHECK(arrives(std::logic_error("text")));
  CHECK(arrives(std::invalid_argument("text")));
  CHECK(arrives(std::domain_error("text")));
  CHECK(arrives(std::length_error("text")));
  CHECK(arrives(std::out_of_range("text")));
  CHECK(arrives(std::range_error("text")));
  CHECK(arrives(std::overflow_error("text")));
  CHECK(arrives(std::underflow_error("text")));
  CHECK(arrives(std::bad_alloc()));
  CHECK(arrives(std::bad_array_new_length()));
  CHECK(arrives(std::bad_cast()));
  CHECK(arrives(std::bad_optional_access()));
  CHECK(arrives(std::bad_variant_access()));
  CHECK(arrives(std::bad_function_call()));
  CHECK(arrives(std::runtime_error("")));
}

TEST_CASE("system errors keep their code, category and text", "[exception]") {
  for (auto const& error : {std::system_error(ENOENT, std::generic_category(), "open(/x)"),
                            std::system_error(EIO, std::system_category()),
                            std::system_error(0, std::system_category(), "")}) {
    CHECK(arrives(error));
    try {
      carry(error);
    } catch (std::system_error const& arrived) {
      CHECK(arrived.code() == error.code());
    }
  }
  // Of a category that is not known to be the same object there, the type can not be kept.
  CHECK_THROWS_AS(carry(std::system_error(std::make_error_code(std::future_errc::no_state))),
                  mp::RemoteError);
}

TEST_CASE("this library's errors arrive as themselves", "[exception]") {
  CHECK(arrives(mp::Error("text")));
  CHECK(arrives(mp::BrokenProcessPool("text")));
  CHECK(arrives(mp::CancelledError("text")));
  CHECK(arrives(mp::WorkerDied("text", 12, -SIGKILL)));
  try {
    carry(mp::ProcessDied("text", 12, 3));
  } catch (mp::ProcessDied const& arrived) {
    CHECK(arrived.pid() == 12);
    CHECK(arrived.exitcode() == 3);
  }
}

TEST_CASE("unknown types arrive as RemoteError with name and text", "[exception]") {
  try {
    carry(Custom("text"));
  } catch (mp::RemoteError const& arrived) {
    CHECK_THAT(arrived.type_name(), ContainsSubstring("Custom"));
    CHECK_THAT(arrived.what(), ContainsSubstring("Custom: text"));
  }
  try {
    carry(5);
  } catch (mp::RemoteError const& arrived) {
    CHECK(arrived.type_name() == "int");
  }
}

TEST_CASE("a remote error that travels on keeps its first type", "[exception]") {
  CHECK(arrives(mp::RemoteError("app::Oops", "it broke")));
}
