// SPDX-License-Identifier: BSL-1.0
// A shared library that tests load and close. It is built twice.

extern "C" int plugin_build() { return BUILD; }
