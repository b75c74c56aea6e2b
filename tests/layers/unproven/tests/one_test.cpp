// SPDX-License-Identifier: BSL-1.0
TEST_CASE("proven") {}
