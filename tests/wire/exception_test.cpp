// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/exception.hpp>

#include <any>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <variant>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace exception_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;

namespace {

class Custom : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Handles `error` as a worker would, and throws what arrives at the other side.
template <class E>
[[noreturn]] void carry(E const& error) {
  wire::Bytes bytes;
  try {
    throw error;
  } catch (...) {
    wire::encode(bytes, wire::record_current_exception());
  }
  std::span<std::byte const> rest(bytes);
  wire::throw_recorded(wire::decode<wire::ExceptionRecord>(rest));
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

/// What `body` throws, and the causes of that: types and texts.
template <class Body>
std::vector<std::pair<std::string, std::string>> chain_of(Body const& body) {
  std::vector<std::pair<std::string, std::string>> chain;
  try {
    body();
  } catch (...) {
    for (auto const& state : wire::record_current_exception().chain) {
      chain.emplace_back(state.type_name, state.what);
    }
  }
  return chain;
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
  CHECK(arrives(std::bad_weak_ptr()));
  CHECK(arrives(std::bad_any_cast()));
  CHECK(arrives(std::runtime_error("")));
  CHECK(arrives(std::runtime_error("of two lines\nand more")));
}

TEST_CASE("exceptions with more state than a text keep it", "[exception]") {
  namespace fs = std::filesystem;
  auto const code = std::make_error_code(std::errc::no_such_file_or_directory);
  CHECK(arrives(fs::filesystem_error("copy", "/from", "/to", code)));
  CHECK(arrives(fs::filesystem_error("open", "/from", code)));
  CHECK(arrives(fs::filesystem_error("nothing", code)));
  try {
    carry(fs::filesystem_error("copy", "/from", "/to", code));
  } catch (fs::filesystem_error const& arrived) {
    CHECK(arrived.path1() == "/from");
    CHECK(arrived.path2() == "/to");
    CHECK(arrived.code() == code);
  }
  CHECK(arrives(std::ios_base::failure("read")));
  std::ifstream file;
  file.exceptions(std::ios::failbit);
  CHECK_THROWS_AS(
      [&] {
        try {
          file.open("/no such file");
        } catch (std::exception const&) {
          auto const record = wire::record_current_exception();
          wire::throw_recorded(record);
        }
      }(),
      std::ios_base::failure);
  CHECK(arrives(std::future_error(std::future_errc::no_state)));
  try {
    carry(std::regex_error(std::regex_constants::error_paren));
  } catch (std::regex_error const& arrived) {
    CHECK(arrived.code() == std::regex_constants::error_paren);
  }
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
  struct Category : std::error_category {
    char const* name() const noexcept override { return "app"; }
    std::string message(int) const override { return "message"; }
  };
  static Category const category;
  CHECK_THROWS_AS(carry(std::system_error(std::error_code(1, category))), mp::RemoteError);
}

TEST_CASE("this library's errors arrive as themselves", "[exception]") {
  CHECK(arrives(mp::Error("text")));
  CHECK(arrives(mp::BrokenProcessPool("text")));
  CHECK(arrives(mp::CancelledError("text")));
  CHECK(arrives(mp::BrokenBarrierError("text")));
  CHECK(arrives(mp::BrokenContainerError("text")));
  CHECK(arrives(mp::PicklingError("text")));
  CHECK(arrives(mp::UnpicklingError("text")));
  CHECK(arrives(mp::TypeError("text")));
  CHECK(arrives(mp::TimeoutError("text")));
  CHECK(arrives(mp::Empty("text")));
  CHECK(arrives(mp::Full("text")));
  CHECK(arrives(mp::ShutDown("text")));
  CHECK(arrives(mp::EOFError("text")));
  CHECK(arrives(mp::BrokenPipeError("text")));
  CHECK(arrives(mp::AuthenticationError("text")));
  CHECK(arrives(mp::WorkerDied("text", 12, -SIGKILL)));
  try {
    carry(mp::BufferTooShort("text", std::size_t{1} << 40));
  } catch (mp::BufferTooShort const& arrived) {
    CHECK(arrived.size() == std::size_t{1} << 40);
  }
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
  try {
    carry(std::string("only text"));
  } catch (mp::RemoteError const& arrived) {
    CHECK_THAT(arrived.what(), ContainsSubstring("only text"));
  }
}

TEST_CASE("a remote error that travels on keeps its first type", "[exception]") {
  CHECK(arrives(mp::RemoteError("app::Oops", "it broke")));
}

TEST_CASE("causes arrive with what they caused, in order and as themselves", "[exception]") {
  auto const chain = chain_of([] {
    try {
      try {
        throw std::out_of_range("7");
      } catch (...) {
        std::throw_with_nested(Custom("in between"));
      }
    } catch (...) {
      try {
        std::throw_with_nested(std::runtime_error("no such row"));
      } catch (...) {
        wire::Bytes bytes;
        wire::encode(bytes, wire::record_current_exception());
        std::span<std::byte const> rest(bytes);
        wire::throw_recorded(wire::decode<wire::ExceptionRecord>(rest));
      }
    }
  });
  REQUIRE(chain.size() == 3);
  CHECK(chain[0].first == "std::runtime_error");
  CHECK(chain[0].second == "no such row");
  CHECK_THAT(chain[1].first, ContainsSubstring("Custom"));
  CHECK(chain[2].first == "std::out_of_range");
  CHECK(chain[2].second == "7");
}

TEST_CASE("a cause is caught as its type with rethrow_if_nested", "[exception]") {
  wire::ExceptionRecord record;
  try {
    try {
      throw std::out_of_range("7");
    } catch (...) {
      std::throw_with_nested(std::bad_alloc());
    }
  } catch (...) {
    record = wire::record_current_exception();
  }
  try {
    wire::throw_recorded(record);
  } catch (std::bad_alloc const& error) {
    CHECK_THROWS_AS(std::rethrow_if_nested(error), std::out_of_range);
  }
}

TEST_CASE("a chain of causes without end is cut", "[exception]") {
  std::exception_ptr last = std::make_exception_ptr(std::runtime_error("first"));
  for (int i = 0; i < 100; ++i) {
    try {
      try {
        std::rethrow_exception(last);
      } catch (...) {
        std::throw_with_nested(std::runtime_error("next"));
      }
    } catch (...) {
      last = std::current_exception();
    }
  }
  auto const chain = chain_of([&] { std::rethrow_exception(last); });
  CHECK(chain.size() == 32);
}

TEST_CASE("the origin is the last cause, with what the asker knows", "[exception]") {
  wire::ExceptionRecord record;
  try {
    throw std::runtime_error("text");
  } catch (...) {
    record = wire::record_current_exception();
  }
  wire::add_origin(record, {"PoolWorker-1", 12, {}});
  wire::add_task(record, "item 3");
  try {
    wire::throw_recorded(record);
  } catch (std::runtime_error const& error) {
    CHECK(std::string(error.what()) == "text");
    try {
      std::rethrow_if_nested(error);
      FAIL("has no cause");
    } catch (mp::RemoteTraceback const& origin) {
      CHECK(origin.process_name() == "PoolWorker-1");
      CHECK(origin.pid() == 12);
      CHECK(origin.task() == "item 3");
      CHECK(std::string(origin.what()) == "in process 'PoolWorker-1' (pid 12), item 3");
    }
  }
}

TEST_CASE("what the receiver is handling itself does not become a cause", "[exception]") {
  wire::ExceptionRecord record;
  try {
    throw std::runtime_error("sent");
  } catch (...) {
    record = wire::record_current_exception();
  }
  try {
    throw 5;
  } catch (int) {
    auto const chain = chain_of([&] { wire::throw_recorded(record); });
    REQUIRE(chain.size() == 1);
    CHECK(chain[0].second == "sent");
  }
}

TEST_CASE("a record of nothing is still an exception", "[exception]") {
  CHECK_THROWS_AS(wire::throw_recorded({}), mp::RemoteError);
}

}  // namespace exception_test
