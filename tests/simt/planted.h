// What:    kernels that are wrong on purpose, each with its right twin: what the executor and the sanitizers have to
//          find, and what they have to leave alone.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

namespace layercost {

enum class Found {
  fault,    // a simt::Fault
  address,  // the address or the undefined-behaviour sanitizer ends the program
  race,     // ThreadSanitizer ends the program
};

struct Planted {
  const char* kernel;
  Found found;
  const char* text;  // a regular expression, of what is said about the wrong one
  void (*wrong)();
  void (*right)();
};

const std::vector<Planted>& planted();

}  // namespace layercost
