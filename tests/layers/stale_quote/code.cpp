// SPDX-License-Identifier: BSL-1.0
int two = 2;
